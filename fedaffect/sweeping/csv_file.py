"""``sweep.csv``: one line a cell, shares in [0, 1]."""

from __future__ import annotations

import csv
import io

from fedaffect.sweep_record import CellRecord, SweepRecord

FIGURES = ("stress", "own_head", "attacker")
PARTS = ("value", "low", "high", "chance", "n_people")
PRIVACY = ("status", "mechanism", "unit", "adjacency", "eps", "delta", "z", "claimed_per_round",
           "true_total")  # fmt: skip


def csv_text(record: SweepRecord) -> str:
    """Return the cells of a sweep as CSV; empty where something is undefined or says nothing."""
    keys = [axis.key for axis in record.axes]
    fronts = {name for s in record.settings if s.on_front for name in s.cells}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["cell", "setting", *keys, "state", "error", "run_id"]
        + [f"{figure}_{part}" for figure in FIGURES for part in PARTS]
        + ["strongest_attack", *PRIVACY, "on_front"]
    )
    for cell in record.cells:
        writer.writerow(_row(cell, keys, cell.name in fronts))
    return out.getvalue()


def _row(cell: CellRecord, keys: list[str], on_front: bool) -> list[object]:
    told: list[object] = [cell.name, cell.setting, *(cell.values[key] for key in keys)]
    told += [cell.state, cell.error[0] if cell.error else None]
    done = cell.figures
    if done is None:
        return told + [None] * (len(FIGURES) * len(PARTS) + len(PRIVACY) + 3)
    told.append(done.run_id)
    told += [getattr(getattr(done, figure), part) for figure in FIGURES for part in PARTS]
    told += [done.strongest_attack, *(getattr(done.privacy, name) for name in PRIVACY)]
    return [*told, "yes" if on_front else "no"]
