"""Data that are missing or damaged: exit 3 before training, or on with a note."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import call, refused

from fedaffect.data.e4_write import mark_simulated
from fedaffect.data.schema import WRIST_CHANNELS
from fedaffect.data.synthetic_person import draw_person
from fedaffect.data.synthetic_signals import simulate_session
from fedaffect.data.wesad_file import DEVICES, LABEL_HZ
from fedaffect.data.wesad_sample import write_pickle
from fedaffect.rng import generator

PEOPLE = ("S2", "S3", "S4")
BASELINE, STRESS = 1, 2
RUN = ("simulate", "--data", "wesad", "--engine", "local", "--no-reference", "--quiet")
SHORT = ("--rounds", "1", "--eval", "blocks", "-o", "data.gap_s=0")


def write_person(root: Path, name: str, plan: list[tuple[int, float]], bad_s: float = 0) -> None:
    """Write a person of a wrist-only WESAD; EDA of the first ``bad_s`` seconds is NaN."""
    index = int(name[1:])
    signals, codes = simulate_session(generator(0, "bad", index), draw_person(0, index), plan)
    wrist = {
        key: np.stack([signals[f"wrist.{c}"].values for c in channels], axis=1)
        for key, (_, channels) in DEVICES["wrist"].items()
    }
    wrist["EDA"][: int(bad_s * 4)] = np.nan
    label = np.repeat(codes.values, round(LABEL_HZ / codes.rate_hz)).astype(np.int32)
    (root / name).mkdir(parents=True)
    with open(root / name / f"{name}.pkl", "wb") as file:
        write_pickle({"signal": {"wrist": wrist}, "label": label, "subject": name}, file)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the fifteen people, four minutes each."""
    root = tmp_path_factory.mktemp("wesad") / "three"
    mark_simulated(root)
    for name in PEOPLE:
        write_person(root, name, [(BASELINE, 60.0), (STRESS, 60.0)] * 2)
    return root


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(sound, tmp_path / "wesad"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert f"{missing} is not a folder" in refused("E320", *RUN, "--data-root", missing)
    assert "holds no S2/S2.pkl" in refused("E320", *RUN, "--data-root", tmp_path)


def test_missing_people_are_listed_all_at_once(sound: Path, tmp_path: Path) -> None:
    said = refused("E321", *RUN, "--data-root", sound, "--out", tmp_path / "run")
    absent = [f"S{i}" for i in (*range(5, 12), *range(13, 18))]
    assert f"{len(absent)} of 15 files are missing" in said
    assert ", ".join(f"{s}/{s}.pkl" for s in absent) in said
    assert "--allow-missing" in said
    assert not (tmp_path / "run").exists()


def test_allow_missing_goes_on_and_says_so(sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    said = call(*RUN, *SHORT, "--data-root", sound, "--allow-missing", "--out", out, "--json")
    assert said.code == 0, said.err
    data = said.document["data"]
    assert data["people"] == 3
    assert len(data["files"]) == 3
    assert any("missing people: S5, S6" in note for note in data["notes"])


def test_more_clients_than_people_names_the_numbers(sound: Path) -> None:
    said = refused("E221", *RUN, *SHORT, "--data-root", sound, "--allow-missing", "--clients", "20")
    assert "--clients 20 is more than the 3 subjects of wesad (partition subject)" in said
    assert "do: --clients 3, or --partition dirichlet" in said


def test_a_person_with_too_many_holes(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "S3")
    write_person(copy, "S3", [(BASELINE, 60.0), (STRESS, 60.0)] * 2, bad_s=100.0)
    words = (*RUN, *SHORT, "--data-root", copy, "--allow-missing", "--out", tmp_path / "run")
    said = refused("E331", *words)
    assert "S3" in said


def test_a_person_with_a_small_hole_loses_windows_only(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "S3")
    write_person(copy, "S3", [(BASELINE, 60.0), (STRESS, 60.0)] * 2, bad_s=8.0)
    words = (*RUN, *SHORT, "--data-root", copy, "--allow-missing", "--json")
    said = call(*words, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert any("S3" in note and "finite" in note for note in said.document["data"]["notes"])


def test_a_person_with_one_class_stays_and_has_no_invented_score(
    copy: Path, tmp_path: Path
) -> None:
    shutil.rmtree(copy / "S4")
    write_person(copy, "S4", [(BASELINE, 60.0), (3, 60.0)] * 2)  # 3: amusement, no stress
    words = (*RUN, *SHORT, "--data-root", copy, "--allow-missing", "--json")
    said = call(*words, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    record = said.document
    people = {p["person"]: p for p in record["figures"]["per_person"]}
    assert people["S4"]["stress_balanced_accuracy"] is None
    assert people["S4"]["stress_accuracy"] is not None
    assert people["S2"]["stress_balanced_accuracy"] is not None
    row = record["data"]["partition"]["by_stress"][2]
    assert row[0] > 0
    assert row[1] == 0
    assert record["rounds"][0]["clients"] == 3


def test_nobody_with_stress_is_not_applicable_on_the_terminal(tmp_path: Path) -> None:
    root = tmp_path / "calm"
    mark_simulated(root)
    for name in PEOPLE[:2]:
        write_person(root, name, [(BASELINE, 60.0), (3, 60.0)])
    words = (*RUN, *SHORT, "--data-root", root, "--allow-missing", "--out", tmp_path / "run")
    said = call(*words)
    assert said.code == 0, said.err
    (row,) = [line for line in said.out.splitlines() if "  stress balanced" in line]
    assert "n/a (one class)" in row
    assert "%" not in row.partition("n/a")[2].partition("n/a")[0]
    assert "n/a (one class)" in (tmp_path / "run" / "report.html").read_text()


def test_a_modality_that_the_recordings_lack(sound: Path, tmp_path: Path) -> None:
    words = ("--data-root", sound, "--allow-missing", "--modality", "chest")
    said = call(*RUN, *SHORT, *words, "--out", tmp_path / "run")
    assert said.code == 3
    assert said.err.startswith("error E322: ")
    folder = tmp_path / "e4"
    assert call("data", "make", "e4", "--out", folder).code == 0
    plan = ("simulate", "--dry-run", "--data", "e4", "--data-root", folder)
    refused("E227", *plan, "--modality", "chest")
    assert len(WRIST_CHANNELS) == 6
