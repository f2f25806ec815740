"""The figure of where identity sits: every attacker at every layer, beside the baselines."""

from __future__ import annotations

from typing import Any

from fedaffect.audit_record import AttackResult, AttackRow, AuditRecord
from fedaffect.reports.formats import attacker, percent
from fedaffect.reports.marks import WIDTH_IN
from fedaffect.reports.metrics import figure, is_share
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg

BY_LAYER = "c1"  # the attack whose rows name layers
_NOWHERE = "no layer"


def leakage_map(audit: AuditRecord | None) -> Drawing | None:
    """Draw the accuracy of every attacker at every layer, or ``None`` without such an attack."""
    result = next((r for r in audit.results if r.id == BY_LAYER), None) if audit else None
    rows = _shown(result) if result else []
    layers = list(dict.fromkeys(row.where or _NOWHERE for row in rows))
    if result is None or len(layers) < 2:
        return None
    names = list(dict.fromkeys(row.name for row in rows))
    cells = {(row.name, row.where or _NOWHERE): row for row in rows}
    title = finding(result)
    about = (
        "A heat map: one row per attacker or baseline, one column per layer from the input to the "
        "heads, each cell the share of test windows given to the right person. Cells in a dotted "
        "frame are baselines."
    )
    with canvas(WIDTH_IN, 1.5 + 0.34 * len(names)) as drawn:
        axes = drawn.subplots()
        _cells(axes, [[cells.get((name, layer)) for layer in layers] for name in names])
        axes.set_xticks(range(len(layers)), [label(layer, 16) for layer in layers])
        axes.set_yticks(range(len(names)), [label(attacker(name), 34) for name in names])
        axes.tick_params(axis="x", rotation=30 if len(layers) > 7 else 0)
        axes.grid(False)
        svg = to_svg(drawn, "layers", title, about)
    table = tuple(
        (
            attacker(row.name) + (" (baseline)" if row.role == "baseline" else ""),
            row.where or _NOWHERE,
            figure(row.metric, row.figure),
            percent(row.figure.chance),
        )
        for row in rows
    )
    columns = ("Attacker", "Layer", "Right person named", "Chance")
    return Drawing("layers", title, about, svg, columns, table)


def finding(result: AttackResult) -> str:
    """State where the strongest attacker reads identity best, and what needs no training."""
    rows = [row for row in _shown(result) if row.figure.value is not None]
    attacks = [row for row in rows if row.role == "attack"]
    if not attacks:
        return "No attacker could be measured at any layer"
    best = max(attacks, key=_value)
    title = (
        f"Identity is read best at {label(best.where or _NOWHERE, 20)} "
        f"({attacker(best.name)}): {percent(best.figure.value)}, "
        f"chance {percent(best.figure.chance)}"
    )
    baselines = [row for row in rows if row.role == "baseline"]
    if baselines:
        most = max(baselines, key=_value)
        title += (
            f"; strongest baseline, {attacker(most.name)} at "
            f"{label(most.where or _NOWHERE, 20)}: {percent(most.figure.value)}"
        )
    return title


def _shown(result: AttackResult) -> list[AttackRow]:
    """Return the rows that count the same as the headline, from the input to the heads."""
    return [row for row in result.rows if row.metric == result.metric and is_share(row.metric)]


def _value(row: AttackRow) -> float:
    return row.figure.value if row.figure.value is not None else -1.0


def _cells(axes: Any, rows: list[list[AttackRow | None]]) -> None:
    """Fill cells in vermillion, denser for more identity, frame baselines, number them all."""
    from matplotlib.patches import Rectangle

    colour = [int(COLOURS["vermillion"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    shown = [[_value(row) if row else -1.0 for row in line] for line in rows]
    most = max(1e-9, *(v for line in shown for v in line))
    filled = [[[*colour, 0.04 + 0.5 * v / most if v >= 0 else 0.0] for v in line] for line in shown]
    axes.imshow(filled, aspect="auto", interpolation="none")
    for i, line in enumerate(rows):
        for j, row in enumerate(line):
            value = shown[i][j]
            axes.text(j, i, f"{100 * value:.0f}" if value >= 0 else "–", ha="center", va="center")
            if row is not None and row.role == "baseline":
                frame: dict[str, Any] = {
                    "fill": False,
                    "linestyle": ":",
                    "edgecolor": COLOURS["ink"],
                }
                axes.add_patch(Rectangle((j - 0.45, i - 0.42), 0.9, 0.84, linewidth=1.1, **frame))
