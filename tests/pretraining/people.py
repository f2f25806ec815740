"""A small public population and its windows."""

from functools import cache

from fedaffect.data.schema import WindowTable
from fedaffect.data.synthetic import Synthetic
from fedaffect.data.windows import cut_windows


@cache
def few_people() -> WindowTable:
    """Eight simulated people with two sessions of four minutes."""
    return cut_windows(Synthetic(people=8, sessions=2, session_s=240.0, seed=11).load())
