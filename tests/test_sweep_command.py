"""``fedaffect sweep`` as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from command_line import call, refused

TINY = (
    *("--clients", "3", "--rounds", "2"),
    *("-o", "synthetic.sessions=2", "-o", "synthetic.session_s=240"),
)
PRIVATE = ("--dp", "gaussian", "--unsafe-test-noise", "k")
GRID = ("sweep", "--grid", "eps=20,none")


def metrics_of(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in folder.glob("runs/*/metrics.json")}


def test_a_dry_run_tells_the_noise_of_every_cell_and_trains_nothing(tmp_path):
    out = tmp_path / "sweep"
    said = call(
        *("sweep", "--grid", "eps=1,5,none", "--grid", "clients=10,100", "--dp", "gaussian"),
        *("--delta", "1e-5", "--rounds", "40", "--out", out, "--dry-run"),
    )
    assert (said.code, said.err) == (0, "")
    assert not out.exists()
    rows = [line.split() for line in said.out.splitlines() if line[:2].strip().isdigit()]
    assert [row[0] for row in rows if "-" in row[0]] == [
        "1-eps=1-clients=10",
        "2-eps=1-clients=100",
        "3-eps=5-clients=10",
        "4-eps=5-clients=100",
        "5-no-dp-clients=10",
        "6-no-dp-clients=100",
    ]
    assert max(map(len, said.out.splitlines())) <= 80


def test_the_noise_of_a_dry_run_is_that_of_the_closed_form():
    said = call(
        *("sweep", "--grid", "eps=5", "--dp", "gaussian", "--delta", "1e-5", "--rounds", "40"),
        *("--clients", "20", "--dry-run", "--json"),
    )
    (cell,) = said.document["cells"]
    # PRIVACY golden row: 40 rounds at (5, 1e-5) need z = 5.640670 (Balle & Wang 2018)
    assert cell["noise_multiplier"] == pytest.approx(5.640670, abs=1e-6)
    assert cell["eps"] == "5.00"
    assert cell["values"] == {"dp.eps": "5"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("E261", ()),
        ("E261", ("--grid", "epsilonn=1")),
        ("E262", ("--grid", "seed=4..0")),
        ("E263", ("--grid", "seed=0..1", "--seed", "3")),
        ("E264", ("--grid", "seed=0..5000")),
        ("E265", ("--grid", "seed=0..1", "-o", "run.engine=ray")),
        ("E220", ("--grid", "eps=1,5")),
        ("E210", ("--grid", "strategy=fedavg,fedsmart")),
        ("E203", ("--grid", "seed=0..1", "--jobs", "0")),
        ("E201", ("--grid", "seed=0..1", "--jobs", "two")),
        ("E830", ("--resume", "no-such-folder")),
        ("E266", ("--resume", "x", "--grid", "seed=0..1")),
        ("E266", ("--resume", "x", "--seed", "1")),
        ("E266", ("--resume", "x", "--dry-run")),
        ("E200", ("--grids", "seed=0..1")),
    ],
)
def test_wrong_input_is_refused_before_anything_runs(tmp_path, monkeypatch, code, words):
    monkeypatch.chdir(tmp_path)
    refused(code, "sweep", *words)
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_is_used_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused("E801", "sweep", "--grid", "seed=0..1", "--out", tmp_path)


def test_json_is_one_document_and_the_table_goes_to_stderr(tmp_path):
    out = tmp_path / "sweep"
    said = call("sweep", "--grid", "dp=none", "--jobs", 1, *TINY, "--out", out, "--json")
    assert said.code == 0
    assert said.document == json.loads((out / "sweep.json").read_bytes())
    assert said.document["cells"][0]["state"] == "finished"
    table = said.err.partition("\nSweep ")[2].partition("\n\n  ")[0].splitlines()
    assert max(map(len, table)) <= 80
    assert " 1/1  1-no-dp" in said.err
    assert "chance" in said.err


def test_the_exit_code_is_that_of_the_first_cell_that_failed(tmp_path):
    out = tmp_path / "sweep"
    # The ledger's home is no folder: cells with DP end with 8, the one without goes on.
    home = tmp_path / "home"
    home.mkdir()
    (home / "ledger").write_text("in the way")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDAFFECT_HOME", str(home))
        said = call(
            *("sweep", "--grid", "eps=20,none", "--dp", "gaussian", "--jobs", 1, *TINY),
            *("--out", out, "--json"),
        )
    assert said.code == 8, said.err
    states = {cell["name"]: cell["state"] for cell in said.document["cells"]}
    assert states == {"1-eps=20": "failed", "2-no-dp": "finished"}
    assert "! E810     cell 1-eps=20" in said.err


def start(out: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a sweep of the grid in a process group of its own."""
    command = [sys.executable, "-m", "fedaffect", *GRID, *PRIVATE, *TINY, "--out", str(out), *words]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def wait_for(process: subprocess.Popen[bytes], out: Path, pattern: str) -> None:
    """Wait until a file of the sweep is there; the sweep must not have ended."""
    deadline = time.monotonic() + 120
    while not list(out.glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A sweep that nobody disturbs."""
    out = tmp_path_factory.mktemp("whole") / "sweep"
    assert call(*GRID, *PRIVATE, *TINY, "--out", out, "--jobs", "1", "--quiet").code == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_sweep_loses_no_cell_and_ends_with_the_same_numbers(tmp_path, whole, jobs):
    out = tmp_path / "sweep"
    process = start(out, "--jobs", str(jobs))
    wait_for(process, out, "runs/2-no-dp/rounds.jsonl")
    started = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in started if child.name().startswith("ray::_as_here")]
    assert bool(workers) == (jobs == 2)
    os.kill(process.pid, signal.SIGKILL)  # the sweep alone: its workers must notice
    process.wait()
    finished = metrics_of(out)
    assert jobs == 2 or list(finished) == ["1-eps=20"]
    said = call("sweep", "--resume", out, "--jobs", "1", "--json")
    assert said.code == 0, said.err
    assert [cell["state"] for cell in said.document["cells"]] == ["finished"] * 2
    assert metrics_of(out) == metrics_of(whole)
    assert finished.items() <= metrics_of(out).items()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_an_interrupted_sweep_says_how_to_go_on(tmp_path):
    out = tmp_path / "sweep"
    command = [sys.executable, "-m", "fedaffect", *GRID, *PRIVATE, *TINY, "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--jobs", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(process, out, "runs/1-*/rounds.jsonl")  # type: ignore[arg-type]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"go on with:  fedaffect sweep --resume {out}" in err
    assert "Traceback" not in err
