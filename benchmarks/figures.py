"""From what engines reported to rows of figures, and to text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from reference_engines import EngineName
from turns import Turns

# Relative difference of the distances that float32 rounding may leave: where it decides between two
# inputs of a maximum, a client's update moves by 0.2 to 1.5 % of its length (README.md).
SAME_WORK = 5e-4
COMPARED = 3  # first rounds in which it does: it adds up, round by round

Row = Mapping[str, Any]


def rows_of(repeats: Sequence[Turns], floor: str) -> list[dict[str, Any]]:
    """Return one row an engine; medians are over rounds after the first, of all repeats.

    A ratio is the median over rounds of an engine's round against the same round of ``floor``,
    and of the same loop with as many workers, where that ran.
    """
    names = list(dict.fromkeys(e.name for turns in repeats for e in turns.engines))
    rows = []
    for name in names:
        runs = [next((e for e in t.engines if e.name == name), None) for t in repeats]
        done = [run for run in runs if run is not None]
        row = {
            "engine": name,
            "workers": EngineName.read(name).workers,
            "wall_s": median(s for run in done for s in run.wall_s[1:]),
            "wall_min_s": min(s for run in done for s in run.wall_s[1:]),
            "cpu_s": median(s for run in done for s in run.cpu_s[1:]),
            "cpu_min_s": min(s for run in done for s in run.cpu_s[1:]),
            "startup_s": median(run.startup_s for run in done),
            "first_s": median(run.first_s for run in done),
            "memory_mb": max(run.memory_mb for run in done),
            "processes": max(run.processes for run in done),
            "distances": done[0].distances,
            "rounds_wall_s": [_rounded(run.wall_s) if run else None for run in runs],
            "rounds_cpu_s": [_rounded(run.cpu_s) if run else None for run in runs],
        }
        rows.append(row)
    for row in rows:
        same = EngineName.read(floor).kind + f"-{row['workers']}" * (row["workers"] > 1)
        floors = {"": floor, "_same": same}
        for ending, other in floors.items():
            against = next((r for r in rows if r["engine"] == other), None)
            for kind in ("wall", "cpu"):
                row[f"{kind}_ratio{ending}"] = against and ratio(row, against, kind)
    return rows


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(s, 4) for s in seconds]


def ratio(row: Row, other: Row, kind: str = "wall") -> float | None:
    """Return the median over rounds of ``row``'s seconds / ``other``'s in the same round.

    Args:
        row: Figures of an engine.
        other: Figures of another one, in the same turns.
        kind: ``wall`` or ``cpu``.

    Returns:
        ``None`` where they have no round in common but the first.
    """
    key = f"rounds_{kind}_s"
    pairs = [
        (mine, theirs)
        for a, b in zip(row[key], other[key], strict=True)
        if a is not None and b is not None
        for mine, theirs in zip(a[1:], b[1:], strict=False)  # some engines do fewer rounds
    ]
    return median([m / t for m, t in pairs]) if pairs else None


def largest_difference(rows: Sequence[Row]) -> float:
    """Return the largest relative difference of distances after one of the first rounds.

    NaN if a distance is none.
    """
    rounds = min(COMPARED, max(len(row["distances"]) for row in rows))
    ends = [[r["distances"][k] for r in rows if k < len(r["distances"])] for k in range(rounds)]
    return float(np.max([np.ptp(end) / np.max(end) for end in ends]))


def text_table(rows: Sequence[Row]) -> str:
    """Return the figures for people."""
    lines = [
        f"{'engine':14} {'wall s':>8} {'min':>8} {'CPU s':>8} {'x wall':>7} {'x CPU':>7} "
        f"{'x same':>7} {'start s':>8} {'first s':>8} {'MB':>6} {'procs':>5}  distance"
    ]
    for row in rows:
        ratios = [row[name] for name in ("wall_ratio", "cpu_ratio", "wall_ratio_same")]
        told = " ".join(f"{'-' if r is None else format(r, '.3f'):>7}" for r in ratios)
        lines.append(
            f"{row['engine']:14} {row['wall_s']:8.3f} {row['wall_min_s']:8.3f} "
            f"{row['cpu_s']:8.3f} {told} {row['startup_s']:8.1f} {row['first_s']:8.2f} "
            f"{row['memory_mb']:6.0f} {row['processes']:5d}  {row['distances'][-1]:.9g}"
        )
    return "\n".join(lines)
