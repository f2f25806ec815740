"""Seconds per round of the engines, of peers and of a plain PyTorch loop on exactly the same work.

Usage: ``python benchmarks/reference_work.py`` or, for every work of a table,
``python benchmarks/reference_work.py --table benchmarks/tables/NAME.toml --out FILE.json``.
Every engine is a process of its own; they take turns, round by round, so that a busy moment of
the machine does not fall on one engine only. ``benchmarks/README.md`` says how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from engines.work import Work
from figures import SAME_WORK, largest_difference, rows_of, text_table
from machine import Stolen, machine
from peers import NEEDS, versions
from reference_engines import ENGINES, PRIVATE_ENGINES, EngineName
from turns import take_turns


@dataclass(frozen=True)
class Measurement:
    """One ``[[work]]`` of a table.

    Args:
        name: What it is called.
        work: What a round is.
        engines: Who does it.
        floor: The engine that the others are divided by.
        repeats: Fresh starts of every engine.
        fewer: Rounds of engines that do fewer than the others.
        left_out: Engines that do not run here, and why.
    """

    name: str
    work: Work
    engines: tuple[str, ...]
    floor: str
    repeats: int = 1
    fewer: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.engines:
            EngineName.read(name)
        if self.repeats < 1 or any(n < 2 for n in (self.work.rounds, *self.fewer.values())):
            raise ValueError("at least two rounds, as the first warms up, and one repeat")

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Measurement:
        """Return the measurement that a table's entry describes.

        Raises:
            TypeError: it has a key that nobody knows.
            ValueError: an engine is not known, or there are too few rounds.
        """
        fields = dict(entry)
        private = fields.get("noise") is not None
        own = {
            "engines": tuple(fields.pop("engines", PRIVATE_ENGINES if private else ENGINES)),
            "floor": fields.pop("floor", "opacus" if private else "loop"),
            "repeats": fields.pop("repeats", 1),
            "fewer": fields.pop("fewer", {}),
            "left_out": fields.pop("left_out", {}),
        }
        return cls(name=fields.pop("name"), work=Work(**fields), **own)


def measurements_of(table: Path) -> list[Measurement]:
    """Return every measurement of a table."""
    return [Measurement.of(entry) for entry in tomllib.loads(table.read_text())["work"]]


def measure(what: Measurement, tell: Callable[[str], None]) -> dict[str, Any]:
    """Let the engines take turns and return the figures.

    ``same_work`` is whether they ended at the same model; ``None`` where noise forbids that.
    """
    missing = {name: EngineName.read(name).why_not for name in what.engines}
    names = [name for name in what.engines if not missing[name]]
    for why in sorted({why for why in missing.values() if why}):
        tell(why)
    load, stolen = psutil.getloadavg()[0], Stolen()
    turns = [take_turns(what.work, names, what.fewer, tell) for _ in range(what.repeats)]
    rows = rows_of(turns, what.floor)
    private = what.work.noise is not None
    apart = None if private or not rows else largest_difference(rows)
    return {
        "name": what.name,
        **asdict(what.work),
        "windows": sum(what.work.sizes),
        "floor": what.floor,
        "repeats": what.repeats,
        "load_before": round(load, 1),
        "stolen": stolen.share,
        "largest_difference": apart,
        "same_work": None if apart is None else apart <= SAME_WORK,
        "engines": rows,
        "failed": {name: why for t in turns for name, why in t.failed.items()},
        "missing": {name: why for name, why in missing.items() if why},
        "left_out": dict(what.left_out),
    }


def heading(figures: Mapping[str, Any]) -> str:
    """Return in a few words what was measured, and whether the engines did the same."""
    sizes = "" if not figures["spread"] else f" on average, log-normal (sigma {figures['spread']})"
    bound = figures["max_grad_norm"]
    bounded = "" if bound is None else f", gradients bounded at {bound:g}"
    apart = figures["largest_difference"]
    same = "noise: distances differ" if apart is None else f"distances differ by {apart:.1e}"
    return (
        f"{figures['name']}: {figures['clients']} clients x {figures['samples']} windows{sizes}, "
        f"batch {figures['batch_size']}{bounded}, {figures['rounds']} rounds; {same}; "
        f"load before {figures['load_before']}"
    )


def run(
    measurements: Sequence[Measurement], tell: Callable[[str], None]
) -> tuple[dict[str, Any], bool]:
    """Measure everything; return the figures, and whether every engine did its work."""
    works, good = [], True
    for what in measurements:
        tell(f"{what.name}: {', '.join(what.engines)}")
        figures = measure(what, tell)
        works.append(figures)
        print(f"\n{heading(figures)}\n{text_table(figures['engines'])}", flush=True)
        if figures["same_work"] is False:
            print("the engines did not do the same work: no figure counts")
        good = good and figures["same_work"] is not False and not figures["failed"]
    peers = {peer: versions(peer) for peer in NEEDS}
    return {"machine": machine(), "peers": peers, "works": works}, good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--table", type=Path, help="TOML file with one [[work]] a measurement")
    parser.add_argument("--engines", nargs="+", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--repeats", type=int, default=1, help="fresh starts of every engine")
    for name in ("clients", "samples", "batch_size", "rounds", "seed"):
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=int, default=getattr(Work(), name))
    parser.add_argument("--spread", type=float, default=0.0, help="sigma of log-normal clients")
    parser.add_argument("--max-grad-norm", type=float, help="bound on every step's gradient")
    parser.add_argument("--noise", type=float, help="noise multiplier of window-level privacy")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = vars(parser.parse_args())
    table, out = given.pop("table"), given.pop("out")
    if given["engines"] is None:
        del given["engines"]
    try:
        what = measurements_of(table) if table else [Measurement.of({"name": "given", **given})]
    except ValueError as error:
        parser.error(str(error))
    figures, good = run(what, lambda text: print(f"  {text}", file=sys.stderr, flush=True))
    if out:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
