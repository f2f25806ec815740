"""WESAD folders and files that a user may bring and that do not fit."""

import os
import shutil

import numpy as np
import pytest
from wesad_files import error_of, python2_writer, rewrite

from fedaffect.data.wesad import Wesad
from fedaffect.data.wesad_file import read_subject
from fedaffect.errors import DataError

pytestmark = pytest.mark.usefixtures("wesad_home")


def test_missing_people_are_listed_at_once(wesad_copy):
    shutil.rmtree(wesad_copy / "S5")
    (wesad_copy / "S17" / "S17.pkl").unlink()
    error = error_of(wesad_copy)
    assert error.code == "E321"
    assert "2 of 15 files are missing" in error.message
    assert "S5/S5.pkl, S17/S17.pkl" in error.message
    data = Wesad(allow_missing=True).load(wesad_copy)
    assert len(data.recordings) == 13
    assert data.notes[-1] == "missing people: S5, S17"
    assert "S5" not in Wesad(allow_missing=True).subjects(wesad_copy)


def test_folder_that_cannot_be_read(wesad_copy):
    shutil.rmtree(wesad_copy / "S5")
    (wesad_copy / "S5").symlink_to("S5")
    error = error_of(wesad_copy, allow_missing=True)
    assert error.code == "E310"
    assert "S5/S5.pkl: Too many levels of symbolic links" in error.message


def test_root_that_is_no_wesad_folder(tmp_path):
    assert "none was given" in error_of(None).message
    assert error_of(tmp_path / "gone").message.endswith("gone is not a folder")
    error = error_of(tmp_path, allow_missing=True)
    assert (error.code, "holds no S2/S2.pkl" in error.message) == ("E320", True)


def test_every_broken_file_is_found_and_the_others_are_kept(wesad_copy, wesad_home):
    path = wesad_copy / "S5" / "S5.pkl"
    os.truncate(path, 5000)
    (wesad_copy / "S6" / "S6.pkl").write_text("<html>not found</html>")
    error = error_of(wesad_copy)
    assert error.code == "E313"
    assert error.message.startswith("S5.pkl ends at byte 5000 of at least ")
    assert error.message.endswith("(and 1 more problem)")
    assert [e.code for e in error.__cause__.exceptions] == ["E313", "E312"]
    assert len(list((wesad_home / "cache" / "recordings").iterdir())) == 13


def short_wrist(tree):
    tree["signal"]["wrist"]["BVP"] = tree["signal"]["wrist"]["BVP"][:-128]


def slow_labels(tree):
    tree["label"] = tree["label"][:: round(700 / 64)]


def no_values(tree):
    tree["signal"]["wrist"]["EDA"][:] = np.nan


def codes_9_and_12(tree):
    tree["label"][:3] = 9
    tree["label"][10] = 12


def fraction(tree):
    return tree | {"label": tree["label"] + 0.5}


BROKEN = {
    "other subject": (lambda t: t | {"subject": "S6"}, "E326", "folder S5 states subject 'S6'"),
    "path as subject": (lambda t: t | {"subject": "../../x\0"}, "E326", r"'../../x\x00'"),
    "array as subject": (lambda t: t | {"subject": t["label"]}, "E326", "type LazyArray"),
    "no label": (lambda t: {"signal": t["signal"]}, "E322", "has no 'subject'; it has signal"),
    "signal is text": (lambda t: t | {"signal": "x"}, "E322", "signal is a value of type str"),
    "no wrist": (lambda t: t | {"signal": {}}, "E322", "signal has no 'wrist'; it has nothing"),
    "no BVP": (lambda t: t["signal"]["wrist"].pop("BVP") is None or t, "E322", "no 'BVP'; it has"),
    "label is text": (lambda t: t | {"label": "x"}, "E322", "label is a value of type str"),
    "label is 2-D": (lambda t: t | {"label": np.zeros((5, 2))}, "E322", "shape (5, 2)"),
    "empty": (lambda t: t | {"label": t["label"][:0]}, "E324", "0.0 s of labels"),
    "short wrist": (short_wrist, "E324", "wrist/BVP"),
    "slow labels": (slow_labels, "E324", "expected ~32 Hz, got 352 Hz"),
    "no values": (no_values, "E325", "wrist/EDA holds no value at all"),
    "codes": (codes_9_and_12, "E323", "outside 0 to 7: 9 (3 samples), 12 (1 samples)"),
    "fractions": (fraction, "E323", "0.5 ("),
}


@pytest.mark.parametrize("case", BROKEN)
def test_structure_that_does_not_fit(wesad_copy, case):
    change, code, words = BROKEN[case]
    rewrite(wesad_copy, "S5", change)
    error = error_of(wesad_copy)
    assert (error.code, words in error.message) == (code, True), error
    assert "S5.pkl" in error.message


def test_one_person_under_two_ids(wesad_copy):
    shutil.copy(wesad_copy / "S2" / "S2.pkl", wesad_copy / "S3" / "S3.pkl")
    assert error_of(wesad_copy).code == "E326"
    rewrite(wesad_copy, "S3", lambda t: t | {"subject": "S3"})
    assert error_of(wesad_copy).code == "E350"


def test_wrist_shows_wrong_rate_of_the_chest(tmp_path):
    writer = python2_writer()
    tree = writer.official_size_tree(rows=70_000)
    tree["signal"]["chest"] = {k: v[::11].copy() for k, v in tree["signal"]["chest"].items()}
    tree["label"] = tree["label"][::11].copy()
    path = tmp_path / "S2.pkl"
    with open(path, "wb") as stream:
        writer.Python2Writer(stream).write(tree)
    with pytest.raises(DataError, match="expected ~32 Hz, got 352 Hz"):
        read_subject(path, "S2", ["chest"])
