"""A comparison of runs as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fedaffect.comparison_record import Comparison, Difference, SideBySide
    from fedaffect.record import Estimate

WIDTH = 80
NAME = 22


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return who is compared, what differs, and by how much."""
    labels = [run.label for run in comparison.runs]
    lines = ["Runs"]
    for run in comparison.runs:
        marks = "  SYNTHETIC PEOPLE" * run.synthetic + "  stopped by its budget" * run.stopped
        lines.append(f"  {run.label:3} {run.run_id:22} {run.data}{marks}  {run.folder}")
    lines += ["", "Settings that differ"]
    lines += _side_by_side(labels, comparison.settings) or ["  none"]
    lines += ["", "Figures  in %, 95 % intervals over people"]
    for figure in comparison.figures:
        lines.append(f"  {figure.name}")
        for label, estimate in zip(labels, figure.figures, strict=True):
            found = next((d for d in figure.differences if d.label == label), None)
            beside = f"  {_difference(labels[0], found)}" if found else ""
            lines.append(f"    {label:3} {_estimate(estimate):34}{beside}".rstrip())
    lines += _reasons(comparison)
    lines += ["", "Privacy", *_side_by_side(labels, comparison.privacy)]
    return [*lines, "", *(f"! note     {note}" for note in comparison.notes)]


def _side_by_side(labels: Sequence[str], rows: Sequence[SideBySide]) -> list[str]:
    lines = []
    for row in rows:
        cells = [f"{label} {_said(v)}" for label, v in zip(labels, row.values, strict=True)]
        line = f"  {row.name:{NAME}} {'   '.join(cells)}"
        if len(line) <= WIDTH:
            lines.append(line)
        else:
            lines += [f"  {row.name}", *(f"      {cell}" for cell in cells)]
    return lines


def _reasons(comparison: Comparison) -> list[str]:
    """Return, once each, why differences are not paired."""
    said = {
        f"  {d.how}: {figure.name}: {d.reason}" if d.how == "unpaired" else f"  {d.reason}": None
        for figure in comparison.figures
        for d in figure.differences
        if d.reason
    }
    return list(said)


def _estimate(e: Estimate) -> str:
    if e.value is None:
        return e.note or "n/a"
    ends = "" if e.low is None or e.high is None else f" [{100 * e.low:.1f}, {100 * e.high:.1f}]"
    chance = "n/a" if e.chance is None else f"{100 * e.chance:.1f}"
    return f"{100 * e.value:.1f}{ends}  chance {chance}"


def _difference(baseline: str, d: Difference) -> str:
    if d.value is None:
        return "no difference told"
    ends = "" if d.low is None or d.high is None else f" [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    people = f", {d.n_people} people" if d.how == "paired" else ""
    return f"{d.label} - {baseline} {100 * d.value:+.1f}{ends} {d.how}{people}"


def _said(value: object) -> str:
    return (
        "not set" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    )
