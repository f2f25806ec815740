"""Every table, the start-up, the plots and the report: ``python benchmarks/run_all.py``.

A part that fails loses its own figures only, which then stay as they were. ``--only NAME`` runs
some parts; ``--list`` names them. Takes about 45 minutes on two cores. Peers that are not installed
are left out: ``python benchmarks/peers.py install`` first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import report
import start_up
import sweep
from machine import machine
from reference_work import measurements_of, run

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
TABLES = ("people", "small", "thousand", "ten_thousand", "ragged", "window_privacy")
SWEEPS = ("clients", "samples", "parameters")


def table(name: str, tell: Callable[[str], None]) -> bool:
    """Measure a table and keep its figures; return whether every engine did its work."""
    figures, good = run(measurements_of(HERE / "tables" / f"{name}.toml"), tell)
    keep(name, figures)
    return good


def swept(name: str, tell: Callable[[str], None]) -> bool:
    """Measure a sweep, keep its figures and draw them; return whether all did their work."""
    about, what = sweep.measurements_of(HERE / "sweeps" / f"{name}.toml")
    figures, good = run(what, tell)
    figures["sweep"] = about
    keep(f"sweep_{name}", figures)
    sweep.plot(figures, RESULTS / f"sweep_{name}.svg")
    return good


def started(tell: Callable[[str], None]) -> bool:
    """Measure the start-up and keep its figures."""
    keep("start_up", {"machine": machine(), "start_up": start_up.measure(5)})
    return True


def keep(name: str, figures: dict[str, Any]) -> None:
    """Write the figures of a part."""
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")


PARTS: dict[str, Callable[[Callable[[str], None]], bool]] = {
    "start_up": started,
    **{name: lambda tell, name=name: table(name, tell) for name in TABLES},
    **{f"sweep_{name}": lambda tell, name=name: swept(name, tell) for name in SWEEPS},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    given = parser.parse_args()
    if given.list:
        print("\n".join(PARTS))
        return 0
    began, bad = time.monotonic(), []

    def tell(text: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)

    for number, name in enumerate(given.only, 1):
        tell(f"part {number} of {len(given.only)}: {name}")
        try:
            good = PARTS[name](tell)
        except (RuntimeError, ValueError, OSError, subprocess.SubprocessError):
            traceback.print_exc()
            good = False
        bad += [] if good else [name]
        report.write()
    tell(f"done; see {report.README.relative_to(HERE.parent)}")
    for name in bad:
        tell(f"{name}: not every engine did its work")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
