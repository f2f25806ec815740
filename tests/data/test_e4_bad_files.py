"""E4: files of a session that are damaged, missing or in other units."""

from pathlib import Path

import pytest
from e4_folders import START, text, typed_session

from fedaffect.data.e4 import read_session
from fedaffect.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return typed_session(tmp_path)


GOOD_EDA = ["0.5"] * 8
DAMAGE = {
    "other rate": ("E345", "8 Hz, expected 4 Hz", text("8.000000", GOOD_EDA)),
    "rate is a word": ("E344", "line 2 is 'fast'", text("fast", GOOD_EDA)),
    "two starts": ("E344", "line 1", text("4", GOOD_EDA, "1, 2")),
    "negative start": ("E344", "line 1", text("4", GOOD_EDA, "-5")),
    "start not finite": ("E344", "line 1", text("4", GOOD_EDA, "inf")),
    "html": ("E344", "line 1 is '<!DOCTYPE html>'", "<!DOCTYPE html>\n<html>\n"),
    "empty file": ("E344", "line 1 is ''", ""),
    "no samples": ("E346", "no samples", text("4", [])),
    "word": ("E346", "line 5 is 'x'", text("4", ["0.5", "0.5", "x", "0.5"])),
    "underscore": ("E346", "line 4 is '1_0'", text("4", ["0.5", "1_0"])),
    "hole": ("E346", "line 4 is ''", text("4", ["0.5", "", "0.5"])),
    "one column more": ("E346", "line 4", text("4", ["0.5", "0.5,0.5", "0.5"])),
    "all rows wider": ("E346", "line 3", text("4", ["0.5,0.5"] * 8)),
    "nul": ("E346", "line 3", text("4", ["\0", "0.5"])),
    "comment": ("E346", "line 4", text("4", ["0.5", "# x"])),
    "kilo-ohm": ("E347", "microsiemens", text("4", ["450"] * 8)),
    "negative": ("E347", "microsiemens", text("4", ["-3"] * 8)),
    "never finite": ("E347", "median of nan", text("4", ["nan"] * 8)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_file_is_named_with_its_line(folder: Path, name: str) -> None:
    code, words, content = DAMAGE[name]
    (folder / "EDA.csv").write_text(content)
    with pytest.raises(DataError) as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert words in caught.value.message
    assert str(folder / "EDA.csv") in caught.value.message


def test_bytes_that_are_no_text(folder: Path) -> None:
    (folder / "EDA.csv").write_bytes(b"\x1f\x8b\x08\x00gzip")
    with pytest.raises(DataError, match="is not text: byte 1") as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E343"


def test_a_folder_in_place_of_a_file(folder: Path) -> None:
    (folder / "BVP.csv").unlink()
    (folder / "BVP.csv").mkdir()
    with pytest.raises(DataError, match="cannot read") as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E343"


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("TEMP.csv", ["306.3"] * 8, "deg"),
        ("ACC.csv", ["0.1,0.02,0.98"] * 64, "1/64 g"),
        ("ACC.csv", ["300,200,9800"] * 64, "1/64 g"),
    ],
    ids=["kelvin", "g", "milli-g"],
)
def test_other_units_are_refused(folder: Path, name: str, rows: list[str], words: str) -> None:
    head = (folder / name).read_text().splitlines()[:2]
    (folder / name).write_text("\n".join([*head, *rows]) + "\n")
    with pytest.raises(DataError, match=words) as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E347"


def test_no_common_time(folder: Path) -> None:
    (folder / "EDA.csv").write_text(text("4", GOOD_EDA, f"{START + 3600}"))
    with pytest.raises(DataError, match="no common time"):
        read_session(folder, "A", "01")


def test_missing_files_are_named_together(folder: Path) -> None:
    (folder / "ACC.csv").unlink()
    (folder / "TEMP.csv").unlink()
    with pytest.raises(DataError, match=r"ACC\.csv, TEMP\.csv missing") as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E341"
