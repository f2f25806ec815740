import stat
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fedaffect.data.schema import FileEntry, WindowTable
from fedaffect.data.synthetic import Synthetic
from fedaffect.data.table_cache import cached_table
from fedaffect.data.windows import cut_windows

KEY = {"dataset": "synthetic", "overlap": 0.5, "root": Path("/data")}


class Maker:
    """Makes a table and counts how often."""

    def __init__(self) -> None:
        table = cut_windows(Synthetic(people=2, sessions=1, session_s=60).load())
        files = (FileEntry("S2/ä.csv", 12, "ab" * 32),)
        self.table = replace(table, files=files, notes=("one", "zwei"), window_s=0.1 + 0.2)
        self.calls = 0

    def __call__(self) -> WindowTable:
        self.calls += 1
        return self.table


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def assert_equal(a: WindowTable, b: WindowTable) -> None:
    for f in fields(WindowTable):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
        else:
            assert type(x) is type(y)
            assert x == y, f.name


def test_second_time_comes_from_disk_exactly(home: Path) -> None:
    make = Maker()
    assert_equal(cached_table(KEY, make), make.table)
    assert_equal(cached_table(KEY, make), make.table)
    assert make.calls == 1
    (path,) = (home / "cache" / "windows").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_key_is_another_table(home: Path) -> None:
    make = Maker()
    cached_table(KEY, make)
    cached_table({**KEY, "overlap": 0.0}, make)
    assert make.calls == 2


@pytest.mark.parametrize("place", [0, 4, 40, 0.3, 0.6, 0.95, -1])
def test_any_damage_is_found_and_the_table_made_again(home: Path, place: float) -> None:
    make = Maker()
    cached_table(KEY, make)
    (path,) = (home / "cache" / "windows").iterdir()
    raw = bytearray(path.read_bytes())
    at = int(place * len(raw)) if isinstance(place, float) else place
    raw[at] ^= 0x20
    path.write_bytes(raw)
    assert_equal(cached_table(KEY, make), make.table)
    assert make.calls == 2
    assert_equal(cached_table(KEY, make), make.table)
    assert make.calls == 2


@pytest.mark.parametrize("left", [0, 5, 200, -3])
def test_a_file_cut_off_is_made_again(home: Path, left: int) -> None:
    make = Maker()
    cached_table(KEY, make)
    (path,) = (home / "cache" / "windows").iterdir()
    path.write_bytes(path.read_bytes()[:left])
    assert_equal(cached_table(KEY, make), make.table)
    assert make.calls == 2


def test_a_folder_that_cannot_be_written_costs_only_time(home: Path) -> None:
    make = Maker()
    cached_table(KEY, make)
    (path,) = (home / "cache" / "windows").iterdir()
    path.unlink()
    path.mkdir()  # a file cannot replace a folder, for root neither
    assert_equal(cached_table(KEY, make), make.table)
    assert make.calls == 2
    assert [p.name for p in path.parent.iterdir()] == [path.name]
