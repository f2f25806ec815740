import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let tests import the benchmarks, which are programs and no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return BENCHMARKS


@pytest.fixture(autouse=True)
def no_leftovers() -> None:
    """The scripts' modules have common names: forget them before a test."""
    for name in [p.stem for p in BENCHMARKS.glob("*.py")]:
        sys.modules.pop(name, None)
