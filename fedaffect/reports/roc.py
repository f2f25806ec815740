"""The figure of membership: TPR against FPR, log-log down to 1/N, with what privacy allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedaffect.audit_record import AttackResult, AuditRecord
from fedaffect.reports import guarantee
from fedaffect.reports.formats import accuracy, count, delta, epsilon, percent
from fedaffect.reports.marks import WIDTH_IN, logarithmic
from fedaffect.reports.metrics import figure
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg

FALSE_ALARMS = (0.01, 0.001)  # at which a true-positive rate is asked for
_STYLES = (("vermillion", "^"), ("blue", "o"), ("green", "D"), ("purple", "s"), ("ink", "v"))
_MOST_POINTS = 150


def membership_roc(audit: AuditRecord | None, privacy: Mapping[str, Any]) -> Drawing | None:
    """Draw every membership attack that ran, or ``None`` where none has a curve.

    No curve goes below one false alarm in its non-members. Where the statement promises a finite
    epsilon the bound TPR <= e^eps FPR + delta (Kairouz, Oh & Viswanath 2015) is drawn in.

    Args:
        audit: The audit.
        privacy: The privacy statement of the run.
    """
    attacks = with_curves(audit)
    if not attacks:
        return None
    promise = claim(privacy)
    title = finding(attacks)
    about = (
        "True positive rate against false positive rate, both on logarithmic axes, one line per "
        "membership attack, each down to one false alarm among its non-members. The dashed "
        "diagonal is guessing; a dotted line, if there is one, is the most that the privacy "
        "statement allows."
    )
    smallest = min(1 / r.n_nonmembers for r in attacks)
    lowest = min(smallest, *(1 / r.n_members for r in attacks if r.n_members)) * 0.8
    with canvas(WIDTH_IN, 4.4) as drawn:
        axes = drawn.subplots()
        logarithmic(axes)
        line = np.geomspace(smallest, 1, 60)
        dashes = (0, (4, 3))
        style = {"color": COLOURS["soft"], "linestyle": dashes, "linewidth": 1}
        axes.plot(line, line, label="guessing", **style)
        for at, result in enumerate(attacks):
            _curve(axes, result, lowest, at)
        if promise is not None:
            allowed = np.minimum(1, math.exp(min(promise[0], 700)) * line + promise[1])
            style = {"color": COLOURS["ink"], "linestyle": ":", "linewidth": 1.6}
            axes.plot(line, allowed, label="most that the statement allows", **style)
        axes.set_xlim(smallest * 0.8, 1.1)
        axes.set_ylim(lowest, 1.2)
        axes.set_xlabel("false positive rate (non-members called members)")
        axes.set_ylabel("true positive rate")
        drawn.legend(loc="outside lower center", ncols=3)
        svg = to_svg(drawn, "roc", title, about)
    rows = tuple(
        (r.name, f"{point.fpr:.3g}", f"{point.tpr:.3g}") for r in attacks for point in r.roc
    )
    columns = ("Attack", "False positive rate", "True positive rate")
    return Drawing("roc", title, about, svg, columns, rows)


def with_curves(audit: AuditRecord | None) -> list[AttackResult]:
    """Return the membership attacks that ran and have a curve."""
    results = audit.results if audit else ()
    return [
        r
        for r in results
        if r.family == "membership" and r.status == "done" and r.roc and r.n_nonmembers
    ]


def claim(privacy: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return (eps, delta) of a formal statement, which bounds what is said of a whole unit."""
    eps, at = privacy.get("eps"), privacy.get("delta")
    if guarantee.status(privacy) != "FORMAL" or not isinstance(eps, int | float):
        return None
    return float(eps), float(at) if isinstance(at, int | float) else 0.0


def bound_note(privacy: Mapping[str, Any]) -> str:
    """Say which bound is drawn in, and what it speaks of."""
    promise = claim(privacy)
    if promise is None:
        return "The statement promises no finite ε, so it allows every rate: no bound is drawn."
    pair = f"(ε = {epsilon(promise[0])}, δ = {delta(promise[1])}), {guarantee.scope(privacy)}"
    unit = guarantee.text_of(privacy.get("unit"), "unit")
    return (
        f"Dotted: TPR ≤ e^ε FPR + δ for {pair}. It holds for whether a {unit} took part, and so "
        "for everything within it; where it reaches 1 it allows everything."
    )


def rate_rows(audit: AuditRecord | None) -> list[tuple[str, ...]]:
    """Return, for each curve, people, smallest FPR, AUC and TPR at 1 % and 0.1 % FPR."""
    return [
        (
            r.name,
            f"{count(r.n_members)} / {count(r.n_nonmembers)}",
            percent(1 / r.n_nonmembers),
            figure(r.metric, r.figure),
            percent(r.figure.chance),
            *(_rate(r, at) for at in FALSE_ALARMS),
        )
        for r in with_curves(audit)
    ]


def finding(attacks: list[AttackResult]) -> str:
    """State whether any attack tells members from non-members, strongest first."""
    measured = [r for r in attacks if r.figure.value is not None]
    if not measured:
        return "Whether members are told from non-members cannot be said"
    best = max(measured, key=lambda r: r.figure.value or 0.0)
    found, chance = best.figure, best.figure.chance
    told = f"{label(best.name, 30)}: {figure(best.metric, found)}, chance {percent(chance)}"
    if found.low is None or chance is None:
        return f"Membership by {told}"
    if found.low > chance:
        return f"Members are told from non-members by {told}"
    return f"Membership was not detected by these attacks; the strongest, {told}"


def _rate(result: AttackResult, at: float) -> str:
    named = {_number(text): estimate for text, estimate in result.tpr_at_fpr.items()}
    if at < 1 / result.n_nonmembers or at not in named:
        return f"not resolvable ({count(result.n_nonmembers)} non-members)"
    return f"{accuracy(named[at])}, chance {percent(at)}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _curve(axes: Any, result: AttackResult, lowest: float, at: int) -> None:
    colour, shape = _STYLES[at % len(_STYLES)]
    points = [p for p in result.roc if p.fpr >= (1 - 1e-9) / result.n_nonmembers]
    step = max(1, -(-len(points) // _MOST_POINTS))
    kept = [*points[:-1:step], *points[-1:]]
    axes.plot(
        [p.fpr for p in kept],
        [max(p.tpr, lowest) for p in kept],
        color=COLOURS[colour],
        marker=shape,
        markevery=max(1, len(kept) // 8),
        drawstyle="steps-post",
        label=label(result.name, 30),
    )
