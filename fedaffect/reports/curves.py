"""The figure of how a run went: loss, stress and identity by round."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fedaffect.record import RoundRecord, RunRecord
from fedaffect.reports import findings
from fedaffect.reports.formats import epsilon, number, percent
from fedaffect.reports.marks import WIDTH_IN, chance_line
from fedaffect.reports.svg import COLOURS, Drawing, canvas, to_svg

_NAN = float("nan")
_MOST_FOLD_LINES = 6


def learning_curves(record: RunRecord) -> Drawing | None:
    """Draw loss, stress and identity by round (mean over folds), or ``None`` before round 1."""
    if not record.rounds:
        return None
    title = findings.learning(record)
    chance = record.figures
    with canvas(WIDTH_IN, 3.0) as figure:
        told = any(r.loss is not None for r in record.rounds)  # else it stays on the clients
        *first, stress, identity = figure.subplots(1, 3 if told else 2)
        for loss in first:
            loss.set_title("Training loss")
            _curve(loss, record, lambda r: r.loss, "training loss", "ink", "v", 1)
        stress.set_title("Stress (%)")
        _curve(stress, record, lambda r: r.stress_balanced_accuracy, "balanced accuracy", "blue")
        _curve(stress, record, lambda r: r.stress_macro_f1, "macro F1", "green", "D")
        chance_line(stress, chance.stress_balanced_accuracy.chance)
        identity.set_title("Identity (%)")
        _curve(
            identity, record, lambda r: r.identity_probe, "fresh linear probe", "vermillion", "^"
        )
        own = "own head (not a privacy metric)"
        _curve(identity, record, lambda r: r.identity_own_head, own, "purple", "s")
        chance_line(identity, chance.identity_strongest.chance)
        for axes in (*first, stress, identity):
            axes.set_xlabel("round")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.margins(y=0.12)
        entries = {
            text: handle
            for axes in (*first, stress, identity)
            for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=6)
        shown = "training loss, stress figures" if told else "stress figures"
        about = f"Line charts over rounds: {shown}, identity figures."
        svg = to_svg(figure, "curves", title, about)
    columns: tuple[str, ...] = (
        "Fold",
        "Round",
        "Clients",
        "Loss",
        "Stress balanced accuracy",
        "Macro F1",
    )
    columns += ("Own head", "Fresh probe", "ε so far")
    rows = tuple(
        (
            str(r.fold),
            str(r.round),
            _clients(r),
            number(r.loss),
            percent(r.stress_balanced_accuracy),
            percent(r.stress_macro_f1),
            percent(r.identity_own_head),
            percent(r.identity_probe),
            epsilon(r.eps_spent),
        )
        for r in record.rounds
    )
    return Drawing("curves", title, about, svg, columns, rows)


def _clients(r: RoundRecord) -> str:
    if r.clients is None:
        return "secret"
    return f"{r.clients}/{r.clients_planned}" + (" (abandoned)" if r.abandoned else "")


def _curve(
    axes: Any,
    record: RunRecord,
    read: Callable[[RoundRecord], float | None],
    text: str,
    colour: str,
    shape: str = "o",
    scale: float = 100,
) -> None:
    """Draw the mean over folds by round, and each fold as a thin line where there are several."""
    by_fold: dict[int, dict[int, float]] = {}
    for r in record.rounds:
        value = read(r)
        by_fold.setdefault(r.fold, {})[r.round] = _NAN if value is None else scale * value
    rounds = sorted({r.round for r in record.rounds})
    if 1 < len(by_fold) <= _MOST_FOLD_LINES:
        for fold in by_fold.values():
            axes.plot(list(fold), list(fold.values()), color=COLOURS[colour], lw=0.6, alpha=0.35)
    means = []
    for at in rounds:
        here = [f[at] for f in by_fold.values() if at in f and not math.isnan(f[at])]
        means.append(sum(here) / len(here) if here else _NAN)
    known_at = [at for at, mean in zip(rounds, means, strict=True) if not math.isnan(mean)]
    if known_at:
        known = [mean for mean in means if not math.isnan(mean)]
        style = {"color": COLOURS[colour], "marker": shape, "label": text}
        axes.plot(known_at, known, markevery=max(1, len(known) // 8), **style)
