"""E4: the data set, which is people and their sessions in a folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from e4_folders import START, signals, text

from fedaffect.data.e4 import E4, write_e4_session
from fedaffect.data.labels import Label, write_labels
from fedaffect.data.people import check_id, duplicates
from fedaffect.data.problems import each_problem
from fedaffect.data.schema import UNLABELLED, WRIST_CHANNELS, Recording, Signal
from fedaffect.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three people: one folder each, or one folder a session."""
    lines = [Label(0, 5, "rest"), Label(5, 11, "stress")]
    for i, where in enumerate(["anna", "bo/day2", "bo/day1", "cy"]):
        write_e4_session(tmp_path / where, signals(12, seed=i), START + 1000 * i)
        write_labels(tmp_path / where / "labels.csv", lines)
    return tmp_path


def test_people_and_sessions_in_order(root: Path) -> None:
    (root / "notes.txt").write_text("not a person")
    (root / ".cache").mkdir()
    data = E4().load(root)
    assert [(r.subject, r.session) for r in data.recordings] == [
        ("anna", "01"),
        ("bo", "day1"),
        ("bo", "day2"),
        ("cy", "01"),
    ]
    assert E4().subjects(root) == ("anna", "bo", "cy")
    assert data.conditions == {0: "rest", 1: "stress"}
    assert data.stress_of == {0: 0, 1: 1}
    assert data.recordings[0].condition.values.tolist() == [0] * 20 + [1] * 24 + [UNLABELLED] * 4
    assert len(data.files) == 4 * 5
    assert data.files[4].path == "anna/labels.csv"
    assert not data.synthetic


def test_words_that_mean_stress_are_an_option(root: Path) -> None:
    lines = [Label(0, 4, "walk"), Label(4, 8, "exam"), Label(8, 11, "talk")]
    write_labels(root / "cy" / "labels.csv", lines)
    data = E4(stress_labels=("exam", "talk")).load(root)
    assert data.conditions == {0: "exam", 1: "rest", 2: "stress", 3: "talk", 4: "walk"}
    assert data.stress_of == {0: 1, 1: 0, 2: 0, 3: 1, 4: 0}


def test_all_problems_at_once(root: Path) -> None:
    (root / "anna" / "BVP.csv").unlink()
    (root / "bo" / "day1" / "labels.csv").unlink()
    for name in ("EDA.csv", "TEMP.csv"):
        (root / "cy" / name).write_text(text("8", ["30"]))
    with pytest.raises(DataError, match="and 3 more problems") as caught:
        E4().load(root)
    assert [e.code for e in each_problem(caught.value)] == ["E341", "E348", "E345", "E345"]
    assert "start_s,end_s,label" in each_problem(caught.value)[1].do


def test_copies_are_refused_whatever_the_clock_says(root: Path) -> None:
    lines = (root / "anna" / "BVP.csv").read_text().splitlines()
    (root / "cy" / "BVP.csv").write_text("\n".join([f"{START + 3000}.00", *lines[1:]]) + "\n")
    with pytest.raises(DataError, match="anna/01 = cy/01") as caught:
        E4().load(root)
    assert caught.value.code == "E350"


def test_constant_signals_are_no_copies() -> None:
    flat = {"wrist.bvp": Signal(np.zeros(100), 64.0)}
    condition = Signal(np.zeros(4, np.int64), 4.0)
    assert duplicates([Recording(who, "01", flat, condition) for who in "ab"]) == []


@pytest.mark.parametrize(
    ("code", "words", "prepare"),
    [
        ("E342", "zip file", lambda root: (root / "dora.zip").write_bytes(b"PK")),
        ("E342", "zip file", lambda root: (root / "bo" / "1644_A0.ZIP").write_bytes(b"PK")),
        ("E341", "no E4 session", lambda root: (root / "empty").mkdir()),
        ("E341", "both", lambda root: shutil.copy(root / "cy" / "BVP.csv", root / "bo")),
        ("E351", "bad name", lambda root: (root / "cy").rename(root / "bad name")),
        ("E351", "aaaa", lambda root: (root / "cy").rename(root / ("a" * 65))),
    ],
)
def test_folders_that_cannot_be_read_as_people(root: Path, code, words, prepare) -> None:
    prepare(root)
    with pytest.raises(DataError) as caught:
        E4().load(root)
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_zip_beside_its_unpacked_folder_is_ignored(root: Path) -> None:
    (root / "anna.zip").write_bytes(b"PK")
    assert len(E4().load(root).recordings) == 4


@pytest.mark.parametrize("what", ["none", "absent", "file", "zip", "no people"])
def test_root_that_is_no_data_folder(tmp_path: Path, what: str) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "a.zip").write_text("x")
    (tmp_path / "e").mkdir()
    given_root = {
        "none": None,
        "absent": tmp_path / "absent",
        "file": tmp_path / "f",
        "zip": tmp_path / "a.zip",
        "no people": tmp_path / "e",
    }[what]
    with pytest.raises(DataError) as caught:
        E4().load(given_root)
    assert caught.value.code == {"zip": "E342", "no people": "E341"}.get(what, "E340")


@pytest.mark.parametrize("text", ["../../x", "a\0b", "<b>", "..", ".a", "", "a" * 65, "é", "a\n"])
def test_ids_that_are_refused(text: str) -> None:
    with pytest.raises(DataError) as caught:
        check_id(text, "folder")
    assert caught.value.code == "E351"
    assert caught.value.message.isprintable()


def test_sample_loads_is_simulated_and_depends_on_its_seed_only(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        E4().write_sample(tmp_path / name, seed=seed)
        digests.append([f.sha256 for f in E4().load(tmp_path / name).files])
    data = E4().load(tmp_path / "a")
    assert data.synthetic
    assert len({r.subject for r in data.recordings}) == 6
    assert len(data.recordings) == 12
    for r in data.recordings:
        assert set(r.signals) == set(WRIST_CHANNELS)
        assert sorted(set(r.condition.values.tolist())) == [0, 1]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
