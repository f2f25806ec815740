"""The figure of what privacy cost, round by round, however one counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedaffect.record import RunRecord
from fedaffect.reports import guarantee
from fedaffect.reports.formats import delta, epsilon, number
from fedaffect.reports.marks import WIDTH_IN, plain_ticks
from fedaffect.reports.svg import COLOURS, Drawing, canvas, to_svg

_WAYS = (
    ("basic", "sum over rounds (basic)", "vermillion", "s"),
    ("rdp", "Renyi (moments accountant)", "purple", "^"),
    ("tight", "tight", "blue", "o"),
)


def spending(record: RunRecord) -> Drawing | None:
    """Draw eps against round, three ways of counting, or ``None`` without a formal guarantee."""
    privacy = record.privacy
    points = _points(privacy.get("composition"))
    if guarantee.status(privacy) != "FORMAL" or not points:
        return None
    last, asked = points[-1], _budget(privacy)
    at = delta(privacy.get("delta"))
    title = (
        f"(ε = {epsilon(last['tight'])}, δ = {at}) per {privacy.get('unit')} after "
        f"{number(last['release'])} releases; the rounds added up one by one would say "
        f"{epsilon(last['basic'])}"
    )
    about = (
        "Three rising lines of ε over releases: tight accounting lowest, Renyi accounting above "
        "it, the plain sum over rounds highest. A dashed line is the budget."
    )
    with canvas(WIDTH_IN, 3.4) as figure:
        axes = figure.subplots()
        for key, text, colour, shape in _WAYS:
            style = {"color": COLOURS[colour], "marker": shape, "label": text}
            axes.plot([p["release"] for p in points], [p[key] for p in points], **style)
        if asked is not None:
            dashes = (0, (4, 3))
            axes.axhline(asked, color=COLOURS["ink"], linestyle=dashes, linewidth=1, label="budget")
        if last["basic"] > 50 * max(last["tight"], 1e-9):
            axes.set_yscale("log")
            plain_ticks(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_xlabel("release")
        axes.set_ylabel(f"ε at δ = {at}")
        figure.legend(loc="outside lower center", ncols=4)
        svg = to_svg(figure, "spending", title, about)
    rows = tuple(
        (number(p["release"]), *(epsilon(p[key]) for key in ("tight", "rdp", "basic")))
        for p in points
    )
    return Drawing("spending", title, about, svg, ("Release", "Tight", "Renyi", "Basic"), rows)


def spending_caption(record: RunRecord) -> str:
    """Write what every value of the figure refers to."""
    privacy = record.privacy
    scope = guarantee.scope(
        {**privacy, "horizon": "releases so far", "releases_planned": None, "accountant": None}
    )
    return f"ε so far at δ = {delta(privacy.get('delta'))}, {scope}"


def _points(given: object) -> list[dict[str, Any]]:
    """Return the points that can be drawn: finite numbers for every way of counting."""
    names = ("release", *(way[0] for way in _WAYS))
    points = given if isinstance(given, list | tuple) else ()
    return [
        dict(p)
        for p in points
        if isinstance(p, Mapping) and all(_drawable(p.get(name)) for name in names)
    ]


def _budget(privacy: Mapping[str, Any]) -> float | None:
    budget = privacy.get("budget")
    asked = budget.get("eps") if isinstance(budget, Mapping) else None
    return float(asked) if asked is not None and _drawable(asked) else None


def _drawable(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e300
