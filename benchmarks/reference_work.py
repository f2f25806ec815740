"""Seconds per round of the engines and of a plain PyTorch loop on exactly the same work.

Usage: ``python benchmarks/reference_work.py`` or, for every work of a table,
``python benchmarks/reference_work.py --table benchmarks/reference_work.toml --out FILE.json``.
Every engine is a process of its own; they take turns, round by round, so that a busy moment of
the machine does not fall on one engine only. ``benchmarks/README.md`` says how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from reference_engines import ENGINES, Work, command

SAME_WORK = 1e-4  # relative difference of the distances that float32 rounding may leave
WATCH_S = 0.1
PACKAGES = ("fedaffect", "torch", "numpy", "flwr", "ray")


@dataclass
class Engine:
    """A running engine and what it has reported."""

    name: str
    process: subprocess.Popen[str]
    started_s: float
    startup_s: float = 0.0
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    processes: int = 0
    distance: float = float("nan")

    @classmethod
    def start(cls, name: str, work: Work) -> Engine:
        """Start the engine and wait until it is ready for its first round."""
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        started_s = time.perf_counter()
        process = subprocess.Popen(
            command(name, work), env=os.environ | quiet | one_thread, **pipes
        )
        engine = cls(name, process, started_s)
        with engine.watched():
            engine._hear("ready")
        engine.startup_s = time.perf_counter() - started_s
        return engine

    def do_round(self, last: bool) -> None:
        """Let the engine do one round and keep what it took."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if self.wall_s:
            said = self._hear("wall_s")
        else:
            with self.watched():  # the first round is not in the medians, so watching is free
                said = self._hear("wall_s")
        self.wall_s.append(said["wall_s"])
        self.cpu_s.append(said["cpu_s"])
        if last:
            self.distance = self._hear("distance")["distance"]
            self.process.wait()
        else:
            self._hear("ready")
            self.weigh()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Weigh the engine again and again while the block runs."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(WATCH_S):
                self.weigh()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def weigh(self) -> None:
        """Keep the largest memory seen of all processes; shared pages count once."""
        try:
            root = psutil.Process(self.process.pid)
            family = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        total = 0
        for member in family:
            try:
                info = member.memory_full_info()
            except psutil.Error:  # ended while we looked
                continue
            total += getattr(info, "pss", info.uss)
        self.memory_mb = max(self.memory_mb, total / 1e6)
        self.processes = max(self.processes, len(family))

    def stop(self) -> None:
        """End the engine if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _hear(self, what: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"engine {self.name} ended before it said {what!r}")
        said: dict[str, Any] = json.loads(line)
        if what not in said:
            raise RuntimeError(f"engine {self.name} said {said}, expected {what!r}")
        return said


def take_turns(work: Work, names: Sequence[str]) -> list[Engine]:
    """Start every engine and let them do their rounds in turn, each time another one first."""
    engines: list[Engine] = []
    try:
        for name in names:
            engines.append(Engine.start(name, work))
        for number in range(work.rounds):
            at = number % len(engines)
            for engine in engines[at:] + engines[:at]:
                engine.do_round(last=number == work.rounds - 1)
    finally:
        for engine in engines:
            engine.stop()
    return engines


def figures(repeats: Sequence[Sequence[Engine]]) -> list[dict[str, Any]]:
    """Return one row an engine, over all repeats; rounds after the first only, unless said.

    A ratio is the median over rounds of an engine's round against the loop's same round.
    """
    rows = []
    for runs in zip(*repeats, strict=True):
        loops = [next((e for e in engines if e.name == "loop"), None) for engines in repeats]
        wall = [s for run in runs for s in run.wall_s[1:]]
        cpu = [s for run in runs for s in run.cpu_s[1:]]
        row: dict[str, Any] = {
            "engine": runs[0].name,
            "wall_s": median(wall),
            "wall_min_s": min(wall),
            "cpu_s": median(cpu),
            "cpu_min_s": min(cpu),
        }
        for kind in ("wall", "cpu"):
            pairs = [
                (mine, floor)
                for run, loop in zip(runs, loops, strict=True)
                if loop is not None
                for mine, floor in zip(
                    getattr(run, f"{kind}_s")[1:], getattr(loop, f"{kind}_s")[1:], strict=True
                )
            ]
            row[f"{kind}_ratio"] = median([m / f for m, f in pairs]) if pairs else None
        row |= {
            "startup_s": median(run.startup_s for run in runs),
            "first_round_s": median(run.wall_s[0] for run in runs),
            "memory_mb": max(run.memory_mb for run in runs),
            "processes": max(run.processes for run in runs),
            "distance": runs[0].distance,
            "rounds_wall_s": [[round(s, 4) for s in run.wall_s] for run in runs],
            "rounds_cpu_s": [[round(s, 4) for s in run.cpu_s] for run in runs],
        }
        rows.append(row)
    return rows


def largest_difference(ends: Sequence[float]) -> float:
    """Return the largest relative difference between distances; NaN if any is not a number."""
    return float(np.ptp(ends) / np.max(ends))


def text_table(work: Work, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures for people."""
    bound = "none" if work.max_grad_norm is None else f"{work.max_grad_norm:g}"
    lines = [
        f"{work.clients} clients x {work.samples} windows, batch {work.batch_size}, "
        f"gradient bound {bound}, {work.rounds} rounds",
        f"{'engine':8} {'wall s':>8} {'min':>8} {'CPU s':>8} {'x wall':>7} {'x CPU':>7} "
        f"{'start s':>8} {'first s':>8} {'MB':>6} {'procs':>5}  distance",
    ]
    for row in rows:
        ratios = [row[f"{kind}_ratio"] for kind in ("wall", "cpu")]
        wall_ratio, cpu_ratio = ("-" if r is None else f"{r:.3f}" for r in ratios)
        lines.append(
            f"{row['engine']:8} {row['wall_s']:8.3f} {row['wall_min_s']:8.3f} {row['cpu_s']:8.3f} "
            f"{wall_ratio:>7} {cpu_ratio:>7} {row['startup_s']:8.1f} {row['first_round_s']:8.2f} "
            f"{row['memory_mb']:6.0f} {row['processes']:5d}  {row['distance']:.9g}"
        )
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Return what the figures depend on, and nothing that names the machine or its user."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = found[0].partition(":")[2].strip() if found else model
    return {
        "cpu": model,
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def works_of(table: Path) -> list[tuple[str, Work, list[str], int]]:
    """Return name, work, engines and repeats of every ``[[work]]`` of the table."""
    works = []
    for entry in tomllib.loads(table.read_text())["work"]:
        name, engines = entry.pop("name"), entry.pop("engines", list(ENGINES))
        repeats = entry.pop("repeats", 1)
        works.append((name, Work(**entry), engines, repeats))
    return works


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--table", type=Path, help="TOML file with one [[work]] a measurement")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--repeats", type=int, default=1, help="fresh starts of every engine")
    for name in ("clients", "samples", "batch_size", "rounds", "seed"):
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=int, default=getattr(Work(), name))
    parser.add_argument("--max-grad-norm", type=float, help="bound on every step's gradient")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    if given.table:
        works = works_of(given.table)
    else:
        fields = {name: getattr(given, name) for name in asdict(Work()) if hasattr(given, name)}
        works = [("command line", Work(**fields), given.engines, given.repeats)]
    if any(work.rounds < 2 or repeats < 1 for _, work, _, repeats in works):
        parser.error("at least two rounds, as the first warms up, and one repeat")
    about, measured, same = machine(), [], True
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    for name, work, engines, repeats in works:
        load = psutil.getloadavg()[0]
        runs = [take_turns(work, engines) for _ in range(repeats)]
        rows = figures(runs)
        apart = largest_difference([engine.distance for run in runs for engine in run])
        same = same and apart <= SAME_WORK
        print(f"\n{name}: load before {load:.1f}, distances differ by {apart:.1e}")
        print(text_table(work, rows), flush=True)
        measured.append(
            {"name": name, **asdict(work), "repeats": repeats, "load_before": load, "engines": rows}
        )
    if given.out:
        given.out.write_text(json.dumps({"machine": about, "works": measured}, indent=1) + "\n")
    if not same:
        print("the engines did not do the same work: no figure counts")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
