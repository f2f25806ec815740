"""Finished runs that several files of tests read; nobody may change them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from audited_runs import Ran, ran


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Return the finished run of a case, made once."""
    made: dict[str, Ran] = {}

    def of(case: str) -> Ran:
        if case not in made:
            made[case] = ran(case, tmp_path_factory.mktemp("runs") / "run")
        return made[case]

    return of
