"""Seconds from starting ``fedaffect simulate`` to its first finished round.

Usage: ``python benchmarks/start_up.py [--runs 5] [--out FILE.json]``. A run per engine that is not
counted fills the data cache and warms the file cache; the counted ones take turns. The first round
is finished when its line is in ``rounds.jsonl``, after which the run is ended. Beside the engines
stands what PyTorch and Ray take for themselves, which no program on top of them can save.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from machine import Stolen, machine

COMMAND = ("simulate", "--dp", "none", "--clients", "20", "--quiet")
ENGINES = ("local", "ray")
TORCH = "import torch; print('ready', flush=True)"
RAY = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=1)
class Worker:
    def __init__(self):
        import torch
    def ready(self):
        return True

workers = [Worker.remote(), Worker.remote()]
import torch
ray.get([worker.ready.remote() for worker in workers])
print("ready", flush=True)
"""
FLOORS = {"import torch": TORCH, "Ray, two actors that import torch": RAY}
LOOK_S = 0.005
LIMIT_S = 300.0
STOP_S = 30.0


def first_round_s(engine: str, folder: Path, options: tuple[str, ...] = ()) -> float:
    """Return the seconds from starting the command to its first finished round; then end it.

    Args:
        engine: Name of the engine.
        folder: Where the run goes; new.
        options: More flags.

    Raises:
        RuntimeError: the command ended, or took too long, before that.
    """
    rounds = folder / "rounds.jsonl"
    command = [sys.executable, "-m", "fedaffect", *COMMAND, "--engine", engine, *options]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--out", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder.parent,
    )
    try:
        while not (rounds.exists() and rounds.read_bytes().endswith(b"\n")):
            if process.poll() is not None or time.perf_counter() - began > LIMIT_S:
                raise RuntimeError(f"{' '.join(command)}: no round, exit {process.returncode}")
            time.sleep(LOOK_S)
        return time.perf_counter() - began
    finally:
        _stop(process)


def ready_s(code: str) -> float:
    """Return the seconds from starting Python with ``code`` to its first line; then end it.

    Raises:
        RuntimeError: it ended without one.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None  # a pipe
    try:
        if not process.stdout.readline():
            raise RuntimeError(f"never ready, exit {process.wait()}: {code}")
        return time.perf_counter() - began
    finally:
        _stop(process)
        process.stdout.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a run as a user would; whatever is left of it after a while, for good."""
    if process.poll() is not None:
        return
    root = psutil.Process(process.pid)
    family = [root, *root.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_S)
    for member in alive:
        try:
            member.kill()
        except psutil.Error:  # ended just now
            continue
    process.wait()


def measure(runs: int, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the times of engines and floors, which take turns."""
    load, stolen = psutil.getloadavg()[0], Stolen()
    with tempfile.TemporaryDirectory(prefix="su-") as state:
        os.environ["FEDAFFECT_HOME"] = str(Path(state) / "home")
        folders = (Path(state) / str(number) for number in itertools.count())
        timed: dict[str, Callable[[], float]] = {
            engine: lambda engine=engine: first_round_s(engine, next(folders), options)
            for engine in ENGINES
        }
        timed |= {name: lambda code=code: ready_s(code) for name, code in FLOORS.items()}
        times: dict[str, list[float]] = {name: [] for name in timed}
        for number in range(runs + 1):
            for name, seconds_of in timed.items():
                seconds = seconds_of()
                warming = "" if number else " (fills the caches, not counted)"
                print(f"  {name}: {seconds:.2f} s{warming}", file=sys.stderr, flush=True)
                if number:
                    times[name].append(seconds)
    told = {
        name: {"median_s": median(found), "runs_s": [round(s, 3) for s in found]}
        for name, found in times.items()
    }
    return {
        "command": " ".join(("fedaffect", *COMMAND, *options)),
        "load_before": round(load, 1),
        "stolen": stolen.share,
        "engines": {name: told[name] for name in ENGINES},
        "floors": {name: told[name] for name in FLOORS},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of every engine")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    if given.runs < 1:
        parser.error("at least one run")
    figures = measure(given.runs)
    for name, found in (figures["engines"] | figures["floors"]).items():
        print(f"{name:34} {found['median_s']:6.2f} s  {found['runs_s']}")
    if given.out:
        said = {"machine": machine(), "start_up": figures}
        given.out.write_text(json.dumps(said, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
