"""The figure of measured against promised epsilon: bounds and estimates, kept apart."""

from __future__ import annotations

import math

from fedaffect.audit_record import AttackResult, AuditRecord, EpsBound
from fedaffect.reports.formats import delta, epsilon, number, plural
from fedaffect.reports.marks import WIDTH_IN, plain_ticks
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg

COLUMNS = (
    "Audit", "Lower bound", "At", "Gate bound", "At", "Estimate", "Best possible", "Promised",
    "δ", "Unit", "Adjacency", "Observer", "Horizon",
)  # fmt: skip
_MARKS = (
    ("lower", "lower bound, 95 %", "vermillion", ">", True, 0.0),
    ("estimate", "estimate (no bound)", "purple", "s", False, 0.2),
    ("best_possible", "most that the audit could show", "soft", "|", True, 0.0),
    ("claimed", "promised", "blue", "D", False, -0.2),
)


def eps_audit(audit: AuditRecord | None) -> Drawing | None:
    """Draw each audit's bound, estimate and cap against the promise; ``None`` without bounds."""
    bounds = with_bounds(audit)
    if not bounds:
        return None
    title = finding(bounds)
    about = (
        "One row per audit. A triangle is a lower bound on ε, a square an estimate, a bar the most "
        "that the audit's design could have shown, a hollow diamond the ε that is promised."
    )
    with canvas(WIDTH_IN, 1.7 + 0.42 * len(bounds)) as drawn:
        axes = drawn.subplots()
        largest = 1.0
        for field, text, colour, shape, filled, shift in _MARKS:
            found = [
                (value, at)
                for at, (_, bound) in enumerate(bounds)
                if (value := getattr(bound, field)) is not None
            ]
            if not found:
                continue
            values = [value for value, _ in found]
            largest = max(largest, *values)
            axes.plot(
                values,
                [at + shift for _, at in found],
                shape,
                color=COLOURS[colour],
                markerfacecolor=COLOURS[colour if filled else "panel"],
                markersize=13 if shape == "|" else 8,
                markeredgewidth=2 if shape == "|" else 1.3,
                label=text,
            )
        if largest > 30:
            axes.set_xscale("symlog", linthresh=1)
            plain_ticks(axes.xaxis)
        axes.set_xlim(left=-0.03 * min(largest, 3))
        axes.set_ylim(len(bounds) - 0.4, -0.6)
        axes.set_yticks(range(len(bounds)), [label(r.name, 30) for r, _ in bounds])
        axes.set_xlabel("ε of the row's unit, adjacency, observer and δ")
        drawn.legend(loc="outside lower center", ncols=4)
        svg = to_svg(drawn, "bounds", title, about)
    return Drawing("bounds", title, about, svg, COLUMNS, tuple(_row(*pair) for pair in bounds))


def with_bounds(audit: AuditRecord | None) -> list[tuple[AttackResult, EpsBound]]:
    """Return the audits that ran and say something about epsilon."""
    results = audit.results if audit else ()
    return [(r, r.bound) for r in results if r.bound is not None and r.status == "done"]


def finding(bounds: list[tuple[AttackResult, EpsBound]]) -> str:
    """State whether a bound lies above what is promised."""
    above = [
        r
        for r, b in bounds
        if b.lower is not None and b.claimed is not None and b.lower > b.claimed
    ]
    if above:
        return (
            f"{plural(len(above), 'audit')} found a 95 % lower bound above the ε that is promised: "
            f"{label(', '.join(r.name for r in above), 120)}"
        )
    promised = [b for _, b in bounds if b.claimed is not None]
    if not promised:
        return "Lower bounds on ε where nothing is promised: no bound can contradict a promise"
    return (
        f"No lower bound lies above the ε that is promised in {plural(len(promised), 'audit')}; "
        "the promise was not contradicted by these attacks"
    )


def _row(result: AttackResult, bound: EpsBound) -> tuple[str, ...]:
    return (
        result.name,
        _rounded_down(bound.lower),
        f"{number(100 * bound.confidence)} %",
        _rounded_down(bound.lower_gate),
        "n/a" if bound.gate_confidence is None else f"{number(100 * bound.gate_confidence)} %",
        _eps(bound.estimate),
        _eps(bound.best_possible),
        "no finite value" if bound.claimed is None else epsilon(bound.claimed),
        delta(bound.delta),
        bound.unit,
        bound.adjacency,
        bound.observer,
        bound.horizon,
    )


def _eps(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _rounded_down(value: float | None) -> str:
    """Write a lower bound, which rounding up would make untrue."""
    return "n/a" if value is None else f"{math.floor(100 * value + 1e-9) / 100:.2f}"
