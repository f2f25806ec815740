from __future__ import annotations

import math
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fedaffect.config import RunConfig
from fedaffect.toml_text import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
TABLE: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(TEXT, PLAIN | st.lists(PLAIN, max_size=3), max_size=4),
    lambda inner: st.dictionaries(TEXT, PLAIN | inner, max_size=4),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Equal, with the types and signs that ``==`` forgets."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    signs = not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other and signs


def without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """Tables that hold nothing are not written."""
    kept = {k: without_empty(v) if isinstance(v, dict) else v for k, v in table.items()}
    return {k: v for k, v in kept.items() if v != {}}


def plain_first(table: dict[str, Any]) -> dict[str, Any]:
    """TOML needs plain values before tables."""
    plain = {k: v for k, v in table.items() if not isinstance(v, dict)}
    return plain | {k: plain_first(v) for k, v in table.items() if isinstance(v, dict)}


@given(TABLE)
def test_a_reader_of_toml_gets_back_what_was_written(table: dict[str, Any]) -> None:
    assert same(tomllib.loads(to_toml(table)), plain_first(without_empty(table)))


def test_what_is_none_is_left_out_and_nan_is_written() -> None:
    text = to_toml({"a": None, "b": {"c": None, "d": math.nan, "e": -math.inf}, "f": {"g": None}})
    assert text == "[b]\nd = nan\ne = -inf\n"


def test_the_text_is_for_people() -> None:
    written = to_toml({"schema_version": 1, "dp": {"eps": 5.0, "mechanism": "gaussian"}})
    assert written == 'schema_version = 1\n\n[dp]\neps = 5.0\nmechanism = "gaussian"\n'


def test_text_cannot_leave_its_quotes() -> None:
    nasty = 'x"\nmechanism = "none" # \\ \x00\x1b[31m\u2028\x7f'
    assert tomllib.loads(to_toml({"dp": {"mechanism": nasty}})) == {"dp": {"mechanism": nasty}}


def test_the_default_configuration_comes_back() -> None:
    values = RunConfig().model_dump(mode="json")
    assert RunConfig.model_validate(tomllib.loads(to_toml(values))) == RunConfig()
