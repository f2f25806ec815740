"""A study in worker processes: the same figures for any number of jobs, and after an end."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from tiny_study import TinyStudy

from fedaffect import registry
from fedaffect.errors import FedaffectError, StorageError
from fedaffect.reproduce import study_folder
from fedaffect.reproduce.run import reproduce
from fedaffect.reproduce.study import Options
from fedaffect.study_record import StudyRecord

PRINTED = Options(as_printed=True)


@pytest.fixture(autouse=True)
def tiny_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDIES, "tiny", f"{TinyStudy.__module__}:TinyStudy")


def figures(record: StudyRecord) -> list[object]:
    return [(t.name, t.figures, t.curve, t.claimed) for t in record.trials]


def test_a_study_leaves_its_files_and_goes_on_where_it_was(tmp_path: Path) -> None:
    steps: list[str] = []
    record, folder = reproduce(
        "tiny", out=tmp_path / "s", on_step=lambda what, *_: steps.append(what)
    )
    assert [c.chosen for c in record.settings].count(True) == 1
    assert (record.cells_done, record.cells_planned) == (2, 2)
    names = {p.name for p in folder.iterdir()} - {".lock"}
    assert names == {"asked.json", "cells", "study.json", "study.html", "figures"}
    assert StudyRecord.model_validate_json((folder / "study.json").read_bytes()) == record
    assert len(steps) == 5  # three settings, two cells

    (noised,) = (folder / "cells").glob("noised-*.json")
    (plain,) = (folder / "cells").glob("plain-*.json")
    noised.unlink()
    plain_bytes = plain.read_bytes()
    steps.clear()
    again, _ = reproduce("tiny", resume=folder, on_step=lambda what, *_: steps.append(what))
    assert steps == ["with noise"]
    assert figures(again) == figures(record)  # equal inputs, equal noise
    assert plain.read_bytes() == plain_bytes

    damaged = plain_bytes[: len(plain_bytes) // 2]
    plain.write_bytes(damaged)
    steps.clear()
    third, _ = reproduce("tiny", resume=folder, on_step=lambda what, *_: steps.append(what))
    assert steps == ["no noise"]
    assert figures(third) == figures(record)


def test_seeds_are_means(tmp_path: Path) -> None:
    quick = Options(as_printed=True, quick=True, seeds=2)
    record, folder = reproduce("tiny", quick, out=tmp_path / "s")
    (trial,) = record.trials
    single = [
        json.loads(next((folder / "cells").glob(f"{name}-*.json")).read_text())["figures"]
        for name in ("plain", "plain@1")
    ]
    expected = sum(f["stress_accuracy"]["value"] for f in single) / 2
    assert trial.figures.stress_accuracy.value == pytest.approx(expected)
    assert single[0] != single[1]
    assert trial.figures.stress_accuracy.note == "mean of 2 seeds"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of Ray
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_the_number_of_jobs_changes_nothing(tmp_path: Path) -> None:
    one, _ = reproduce("tiny", PRINTED, out=tmp_path / "one", jobs=1)
    two, _ = reproduce("tiny", PRINTED, out=tmp_path / "two", jobs=2)
    assert figures(one) == figures(two)
    gc.collect()  # while the warnings of Ray's processes are expected


def test_another_study_or_other_settings_do_not_go_on(tmp_path: Path) -> None:
    folder = study_folder.begin("tiny", PRINTED, tmp_path / "s")
    with pytest.raises(StorageError, match="with other settings") as caught:
        reproduce("tiny", Options(), resume=folder)
    assert caught.value.code == "E841"
    with pytest.raises(StorageError, match="of tiny") as caught:
        reproduce("benouis2023", resume=folder)
    assert caught.value.code == "E841"
    rooted = Options(data="e4", root=tmp_path)
    other = study_folder.begin("tiny", rooted, tmp_path / "other")
    assert study_folder.asked(other, "tiny", None) == rooted
    assert study_folder.asked(folder, "tiny", PRINTED) == PRINTED


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"study": "tiny", "options": {"a": 1}}'])
def test_a_folder_without_a_study_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "asked.json").write_bytes(content)
    with pytest.raises(StorageError) as caught:
        reproduce("tiny", resume=tmp_path)
    assert caught.value.code == "E840"


def test_a_folder_in_use_and_a_full_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    with pytest.raises(StorageError) as caught:
        reproduce("tiny", out=tmp_path / "s")
    assert caught.value.code == "E801"


def test_a_failing_cell_ends_the_study_and_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    key = home / "noise.key"
    key.write_bytes(b"short")
    key.chmod(0o600)
    monkeypatch.setenv("FEDAFFECT_HOME", str(home))
    with pytest.raises(FedaffectError) as caught:
        reproduce("tiny", PRINTED, out=tmp_path / "s")
    assert caught.value.code == "E403"
    assert len(list((tmp_path / "s" / "cells").glob("plain-*.json"))) == 1
    assert not (tmp_path / "s" / "study.json").exists()
    key.unlink()
    record, _ = reproduce("tiny", resume=tmp_path / "s")
    assert len(record.trials) == 2
