"""Every table, the start-up, the plots and the report: ``python benchmarks/run_all.py``.

A part that fails loses its own figures only, which then stay as they were. ``--only NAME`` runs
some parts, ``--list`` names them, ``--rehearse DIR`` runs them with tiny works to see that all is
there. Takes about 45 minutes on two cores. Peers that are not installed are left out:
``python benchmarks/peers.py install`` first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import report
import start_up
import sweep
from machine import machine
from reference_work import Measurement, measurements_of, run

HERE = Path(__file__).resolve().parent
TABLES = ("people", "workers", "small", "thousand", "ten_thousand", "ragged", "window_privacy")
SWEEPS = ("clients", "samples", "parameters")
PARTS = ("start_up", *TABLES, *(f"sweep_{name}" for name in SWEEPS))
FAILURES = (RuntimeError, ValueError, OSError, subprocess.SubprocessError)


@dataclass(frozen=True)
class Run:
    """One go through the parts.

    Args:
        folder: Where figures are kept.
        tell: Told of progress.
        tiny: Do tiny works, to see that they run.
    """

    folder: Path
    tell: Callable[[str], None]
    tiny: bool = False

    def part(self, name: str) -> bool:
        """Measure a part and keep its figures; return whether every engine did its work."""
        if name == "start_up":
            self._keep(name, {"machine": machine(), "start_up": start_up.measure(self._runs)})
            return True
        if name in TABLES:
            return self._measured(name, measurements_of(HERE / "tables" / f"{name}.toml"), {})
        about, what = sweep.measurements_of(HERE / "sweeps" / f"{name.removeprefix('sweep_')}.toml")
        good = self._measured(name, what, {"sweep": about})
        sweep.plot(json.loads(self._file(name).read_text()), self.folder / f"{name}.svg")
        return good

    def _measured(self, name: str, what: list[Measurement], more: dict[str, Any]) -> bool:
        figures, good = run([_tiny(w) for w in what] if self.tiny else what, self.tell)
        self._keep(name, figures | more)
        return good

    @property
    def _runs(self) -> int:
        return 1 if self.tiny else 5

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _keep(self, name: str, figures: dict[str, Any]) -> None:
        self._file(name).write_text(json.dumps(figures, indent=1) + "\n")


def _tiny(what: Measurement) -> Measurement:
    work = what.work
    least = {"clients": min(work.clients, 5), "samples": min(work.samples, 2 * work.batch_size)}
    return replace(what, work=replace(work, rounds=2, **least), repeats=1, fewer={})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    parser.add_argument("--rehearse", type=Path, help="tiny works; figures go to this folder")
    given = parser.parse_args()
    if given.list:
        print("\n".join(PARTS))
        return 0
    began, bad = time.monotonic(), []

    def tell(text: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)

    if given.rehearse:
        given.rehearse.mkdir(parents=True, exist_ok=True)
    go = Run(given.rehearse or report.RESULTS, tell, tiny=given.rehearse is not None)
    for number, name in enumerate(given.only, 1):
        tell(f"part {number} of {len(given.only)}: {name}")
        try:
            good = go.part(name)
        except FAILURES:
            traceback.print_exc()
            good = False
        bad += [] if good else [name]
        if not go.tiny:
            report.write()
    for name in bad:
        tell(f"{name}: not every engine did its work")
    tell("done")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
