"""Sweeps of real tiny runs, in this process and over workers."""

import gc
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from fedaffect.errors import FedaffectError, StorageError
from fedaffect.run_lock import RunLock
from fedaffect.sweeping import sweep_folder
from fedaffect.sweeping.cells import plan_cells
from fedaffect.sweeping.grid import read_grid
from fedaffect.sweeping.sweep import _as_found, carry_on, run_of, sweep
from fedaffect.sweeping.workers import carry_out

SMALL = {"clients": 3, "rounds": 2, "unsafe_test_noise": "k"}
PRIVATE = {"dp": "gaussian", **SMALL}
pytestmark = [  # Ray leaves pipes and its own processes to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
GRID = ("eps=20,none",)


@pytest.fixture(scope="module", autouse=True)
def short_recordings():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDAFFECT_SYNTHETIC__SESSIONS", "2")
        patch.setenv("FEDAFFECT_SYNTHETIC__SESSION_S", "240")
        yield


@pytest.fixture
def collected():
    """Have what Ray leaves collected while its warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory) -> Path:
    """An uninterrupted sweep, one cell at a time."""
    out = tmp_path_factory.mktemp("oracle") / "sweep"
    record = sweep(GRID, jobs=1, out=out, **PRIVATE)
    assert [cell.state for cell in record.cells] == ["finished"] * 2
    return out


def metrics_of(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in folder.glob("runs/*/metrics.json")}


def test_every_cell_is_a_run_folder_and_the_sweep_has_its_files(oracle):
    names = {p.name for p in (oracle / "runs").iterdir()}
    assert names == {"1-eps=20", "2-no-dp"}
    for name in names:
        run = oracle / "runs" / name
        assert (run / "report.html").stat().st_size > 10_000
        assert (run / "manifest.json").exists()
    assert {p.name for p in oracle.iterdir()} - {".lock"} == {
        "runs",
        "sweep.json",
        "sweep.csv",
        "sweep.html",
    }


def test_the_figures_of_a_sweep_are_those_of_its_runs(oracle):
    record = sweep_folder.load(oracle)
    for cell in record.cells:
        told = json.loads((run_of(oracle, cell) / "report.json").read_bytes())
        assert cell.figures is not None
        assert cell.figures.stress.value == told["figures"]["stress_balanced_accuracy"]["value"]
        assert cell.figures.attacker.value == told["figures"]["identity_strongest"]["value"]
        assert cell.figures.run_id == told["provenance"]["run_id"]
    assert [s.name for s in record.settings] == ["eps=20", "no DP"]


def test_a_finished_sweep_is_not_run_again(oracle):
    before = metrics_of(oracle), os.stat(oracle / "runs/1-eps=20/report.json").st_mtime_ns
    ended = []
    carry_on(oracle, 1, lambda cell, *_: ended.append(cell.name))
    assert ended == []
    after = metrics_of(oracle), os.stat(oracle / "runs/1-eps=20/report.json").st_mtime_ns
    assert after == before


def test_an_interrupted_sweep_goes_on_to_the_same_numbers(oracle, tmp_path):
    out = tmp_path / "sweep"

    def interrupt(cell, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(GRID, jobs=1, out=out, on_cell=interrupt, **PRIVATE)
    states = [cell.state for cell in sweep_folder.load(out).cells]
    assert states == ["finished", "waiting"]
    told = []
    record = carry_on(out, 1, lambda cell, done, total: told.append((cell.name[0], done, total)))
    assert told == [("2", 2, 2)]
    assert metrics_of(out) == metrics_of(oracle)
    assert record.hypervolume == sweep_folder.load(oracle).hypervolume


def test_a_cell_that_fails_is_told_and_tried_again(tmp_path):
    axes = read_grid(["seed=3"])
    cells, _ = plan_cells(axes, {"clients": 3, "rounds": 1})
    out = sweep_folder.begin(axes, cells, tmp_path / "sweep")
    (out / "runs" / "1-seed=3").write_text("in the way")
    (cell,) = carry_on(out, 1).cells
    assert cell.error is not None
    assert (cell.state, cell.error[0]) == ("failed", "E801")
    assert "1 cell without a result" in (out / "sweep.html").read_text().replace("\u00a0", " ")
    (out / "runs" / "1-seed=3").unlink()
    assert [cell.state for cell in carry_on(out, 1).cells] == ["finished"]


def test_a_run_of_other_settings_is_not_taken_for_a_cell(oracle, tmp_path):
    out = tmp_path / "sweep"
    shutil.copytree(oracle, out)
    first, second = sorted((out / "runs").iterdir())[:2]
    first.rename(tmp_path / "away")
    shutil.copytree(second, first)
    record = sweep_folder.load(out)
    cell = _as_found(out, record.cells[0])
    assert cell.error is not None
    assert (cell.state, cell.error[0]) == ("failed", "E833")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("E831", {"cells": 5}),
        ("E831", {"schema_version": "x"}),
        ("E831", {"unknown": 1}),
        ("E832", {"code": "0" * 64}),
        ("E832", {"version": "9.9"}),
    ],
)
def test_a_record_of_another_kind_is_refused(oracle, tmp_path, code, change):
    values = json.loads((oracle / "sweep.json").read_bytes())
    values |= change
    (tmp_path / "sweep.json").write_text(json.dumps(values))
    with pytest.raises(StorageError) as caught:
        carry_on(tmp_path, 1)
    assert caught.value.code == code


def test_a_cell_cannot_name_a_folder_elsewhere(oracle, tmp_path):
    values = json.loads((oracle / "sweep.json").read_bytes())
    values["cells"][0]["name"] = "../../1"
    (tmp_path / "sweep.json").write_text(json.dumps(values))
    with pytest.raises(StorageError, match=r"cells.0.name"):
        carry_on(tmp_path, 1)


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(StorageError) as caught:
        carry_on(tmp_path, 1)
    assert caught.value.code == "E830"


def test_one_process_at_a_time_carries_a_sweep(oracle):
    with RunLock(oracle), pytest.raises(StorageError) as caught:
        carry_on(oracle, 1)
    assert caught.value.code == "E807"


def work():
    """Return a function that workers get by value."""

    def done(task: str) -> tuple[str, int, str]:
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "raise":
            raise StorageError("E803", "disk full")
        if task == "bug":
            raise ValueError("oops")
        return task, os.getpid(), os.environ["FEDAFFECT_HOME"] + os.getcwd()

    return done


@pytest.mark.slow
@pytest.mark.usefixtures("collected")
def test_workers_are_processes_and_their_ends_are_told():
    tasks = ["a", "b", "die", "raise", "bug", "c"]
    found = dict(carry_out(work(), tasks, 2))
    for task in "abc":
        name, pid, where = found[task]
        assert name == task
        assert pid != os.getpid()
        assert where == os.environ["FEDAFFECT_HOME"] + os.getcwd()
    errors = {task: found[task] for task in ("die", "raise", "bug")}
    assert all(isinstance(error, FedaffectError) for error in errors.values())
    assert [error.code for error in errors.values()] == ["E100", "E803", "E100"]
    assert "ValueError: oops" in errors["bug"].message


def test_one_job_works_here_in_order():
    found = list(carry_out(work(), ["b", "a"], 1))
    assert [task for task, _ in found] == ["b", "a"]
    assert {result[1] for _, result in found} == {os.getpid()}


@pytest.mark.slow
@pytest.mark.usefixtures("collected")
def test_cells_side_by_side_equal_cells_in_turn(oracle, tmp_path):
    out = tmp_path / "sweep"
    record = sweep(GRID, jobs=2, out=out, **PRIVATE)
    assert [cell.state for cell in record.cells] == ["finished"] * 2
    assert metrics_of(out) == metrics_of(oracle)
    before = sweep_folder.load(oracle)
    assert record.settings == before.settings
    assert record.hypervolume == before.hypervolume
