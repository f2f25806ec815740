"""The figures of a report: each a Drawing whose title states the finding, with its data table.

Colour and shape always go together: stress and this run are blue circles, fresh attackers
vermillion, the own head purple squares, the run without DP green diamonds, chance a dashed line.
"""

from __future__ import annotations

from fedaffect.audit_record import AuditRecord
from fedaffect.record import Estimate, RunRecord
from fedaffect.reports import findings
from fedaffect.reports.attack_card import attack_card
from fedaffect.reports.break_even import break_even
from fedaffect.reports.curves import learning_curves
from fedaffect.reports.eps_audit import eps_audit
from fedaffect.reports.formats import accuracy, attacker, percent
from fedaffect.reports.heatmap import partition_heatmap
from fedaffect.reports.leakage_map import leakage_map
from fedaffect.reports.marks import WIDTH_IN, chance_line, whisker
from fedaffect.reports.people import per_person
from fedaffect.reports.people_needed import people_needed
from fedaffect.reports.roc import membership_roc
from fedaffect.reports.spending import spending
from fedaffect.reports.svg import COLOURS, Drawing, canvas, to_svg

__all__ = [
    "all_figures",
    "attacks_bars",
    "learning_curves",
    "partition_heatmap",
    "per_person",
    "trade_off",
]


def all_figures(record: RunRecord, audit: AuditRecord | None = None) -> dict[str, Drawing | None]:
    """Draw every figure of a report, by name; ``None`` where there is nothing to draw."""
    return {
        "tradeoff": trade_off(record),
        "spending": spending(record),
        "card": attack_card(record),
        "breakeven": break_even(record),
        "released": people_needed(record),
        "partition": partition_heatmap(record.data.partition),
        "people": per_person(record),
        "curves": learning_curves(record),
        "attacks": attacks_bars(record),
        "layers": leakage_map(audit),
        "roc": membership_roc(audit, record.privacy),
        "bounds": eps_audit(audit),
    }


def trade_off(record: RunRecord) -> Drawing:
    """Draw stress against the strongest fresh attacker: this run, without DP, IID reference."""
    marks = [("This run", "blue", "o", True, record.figures)]
    if record.public_only:
        marks.append(("Public weights only", "soft", "^", False, record.public_only))
    if record.no_dp:
        marks.append(("Same run without DP", "green", "D", False, record.no_dp))
    if record.iid_reference:
        marks.append(("IID reference, no DP", "purple", "s", False, record.iid_reference))
    title = findings.trade_off(record)
    about = (
        "Points with 95 % whiskers. Across: accuracy of the strongest fresh identity attacker. "
        "Up: balanced accuracy of stress. Better is up and to the left. Dashed lines: chance."
    )
    with canvas(WIDTH_IN, 4.0) as figure:
        axes = figure.subplots()
        for text, colour, shape, filled, figures in marks:
            x, y = figures.identity_strongest, figures.stress_balanced_accuracy
            if x.value is None or y.value is None:
                continue
            axes.errorbar(
                [100 * x.value],
                [100 * y.value],
                xerr=whisker(x),
                yerr=whisker(y),
                fmt="none",
                color=COLOURS[colour],
                elinewidth=1.2,
                capsize=3,
            )
            axes.plot(
                [100 * x.value],
                [100 * y.value],
                shape,
                color=COLOURS[colour],
                markerfacecolor=COLOURS[colour if filled else "panel"],
                markersize=8,
                label=text,
            )
        chance = record.figures.identity_strongest.chance
        chance_line(axes, record.figures.stress_balanced_accuracy.chance)
        if chance is not None:
            axes.axvline(100 * chance, color=COLOURS["soft"], linestyle=(0, (4, 3)), linewidth=1)
        axes.set_xlim(left=0)
        axes.margins(x=0.1)
        axes.set_ylim(min(40.0, axes.get_ylim()[0]), 102)
        axes.set_xlabel("identity: strongest fresh attacker (%)    ← better")
        axes.set_ylabel("stress: balanced accuracy (%)    better →")
        figure.legend(loc="outside lower center", ncols=4)
        svg = to_svg(figure, "tradeoff", title, about)
    columns = ("Run", "Stress balanced accuracy", "Chance", "Strongest fresh attacker", "Chance")
    rows = tuple(
        (
            text,
            accuracy(f.stress_balanced_accuracy),
            percent(f.stress_balanced_accuracy.chance),
            accuracy(f.identity_strongest),
            percent(f.identity_strongest.chance),
        )
        for text, *_, f in marks
    )
    return Drawing("tradeoff", title, about, svg, columns, rows)


def attacks_bars(record: RunRecord) -> Drawing:
    """Draw every identity attack as a bar with its interval, the chance level and the no-DP run."""
    figures, reference = record.figures, record.no_dp
    ranked = sorted(figures.identity_attacks.items(), key=lambda item: -(item[1].value or 0))
    bars: list[tuple[str, Estimate, Estimate | None, str, str]] = []
    for name, estimate in ranked:
        before = reference.identity_attacks.get(name) if reference else None
        text = f"fresh {attacker(name)}"
        text += " (strongest)" if name == figures.strongest_attack else ""
        bars.append((text, estimate, before, "vermillion", ""))
    raw = reference.raw_features_attack if reference else None
    bars.append(("raw features, no model", figures.raw_features_attack, raw, "soft", "//"))
    head = reference.identity_own_head if reference else None
    bars.append(
        ("own head (not a privacy metric)", figures.identity_own_head, head, "purple", "\\\\")
    )
    title = findings.attacks(record)
    about = (
        "Horizontal bars with 95 % whiskers: share of test windows given to the right person by "
        "each attacker. Dashed line: chance. Diamonds: the same run without DP."
    )
    with canvas(WIDTH_IN, 1.3 + 0.36 * len(bars)) as figure:
        axes = figure.subplots()
        for at, (_, estimate, before, colour, hatch) in enumerate(bars):
            if estimate.value is not None:
                axes.barh(
                    at,
                    100 * estimate.value,
                    height=0.56,
                    color=COLOURS["panel" if hatch else colour],
                    edgecolor=COLOURS[colour],
                    hatch=hatch,
                    linewidth=1,
                )
                axes.errorbar(
                    [100 * estimate.value],
                    [at],
                    xerr=whisker(estimate),
                    fmt="none",
                    color=COLOURS["ink"],
                    elinewidth=1.2,
                    capsize=3,
                )
            if before is not None and before.value is not None:
                axes.plot(
                    [100 * before.value],
                    [at],
                    "D",
                    color=COLOURS["green"],
                    markerfacecolor=COLOURS["panel"],
                    markersize=6,
                    label="same run without DP" if at == 0 else None,
                )
        chance_line(axes, figures.identity_strongest.chance, upright=True)
        axes.set_yticks(range(len(bars)), [text for text, *_ in bars])
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlim(left=0)
        axes.set_xlabel("test windows given to the right person (%)")
        figure.legend(loc="outside lower center", ncols=2)
        svg = to_svg(figure, "attacks", title, about)
    rows = tuple((t, accuracy(e), percent(e.chance), accuracy(b)) for t, e, b, *_ in bars)
    columns = ("Attacker", "This run", "Chance", "Without DP")
    return Drawing("attacks", title, about, svg, columns, rows)
