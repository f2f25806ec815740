"""Which settings are worth having: the Pareto front of utility against leak, and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedaffect.record import Estimate
from fedaffect.reports.formats import accuracy, percent, plural
from fedaffect.reports.marks import WIDTH_IN, chance_line, whisker
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg

# Okabe and Ito (2008), and two greys: a family is told by its shape, the colour only helps.
MARKS = (
    ("blue", "o"),
    ("vermillion", "^"),
    ("green", "D"),
    ("purple", "s"),
    ("ink", "v"),
    ("soft", "P"),
    ("blue", "X"),
    ("vermillion", "<"),
    ("green", ">"),
    ("purple", "h"),
)
_MOST_NAMES = 14
_NAME_HEIGHT_PT, _LETTER_WIDTH_PT = 11.0, 4.6


@dataclass(frozen=True)
class Point:
    """One setting in the trade-off: what it can do, and what it gives away.

    Args:
        name: What is written beside the mark, short.
        utility: Figure to be large, such as balanced accuracy of stress, in [0, 1].
        leak: Figure to be small, such as accuracy of the strongest identity attacker, in [0, 1].
        family: Points of one family share shape and colour.
        filled: Whether the mark is filled: a formal guarantee holds, or it is what this is about;
            references and claims without a guarantee are hollow.
    """

    name: str
    utility: Estimate
    leak: Estimate
    family: str
    filled: bool = True

    @property
    def pair(self) -> tuple[float, float] | None:
        """Utility and leak; ``None`` where one of them is undefined."""
        if self.utility.value is None or self.leak.value is None:
            return None
        return self.utility.value, self.leak.value


def front(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that no other dominates, ascending in leak, then in utility.

    A point dominates another if it is at least as good in both figures and better in one, so
    equal points stand together. Points with an undefined figure are never on the front.
    """
    known = [(p, p.pair) for p in points]
    measured = [(p, pair) for p, pair in known if pair is not None]
    kept = [(p, pair) for p, pair in measured if not any(_dominates(o, pair) for _, o in measured)]
    return tuple(p for p, _ in sorted(kept, key=lambda item: (item[1][1], item[1][0])))


def hypervolume(points: Sequence[Point], reference: tuple[float, float]) -> float:
    """Return the area that the points dominate, up to a reference point.

    Zitzler & Thiele 1998, "Multiobjective optimization using evolutionary algorithms", in two
    dimensions.

    Args:
        points: The points; those with an undefined figure, or not better than the reference in
            both figures, add nothing.
        reference: Worst (utility, leak) that counts, such as (chance, 1).

    Returns:
        The area, at most (1 - utility) * leak of the reference.
    """
    worst_utility, worst_leak = reference
    reached, area = worst_utility, 0.0
    for point in front(points):  # ascending in leak, so ascending in utility
        utility, leak = point.pair or reference
        if leak < worst_leak and utility > reached:
            area += (utility - reached) * (worst_leak - leak)
            reached = utility
    return area


def tradeoff_front(
    points: Sequence[Point],
    *,
    title: str = "",
    name: str = "front",
    utility: str = "stress: balanced accuracy",
    leak: str = "identity: strongest fresh attacker",
) -> Drawing:
    """Draw all points with their intervals, and the front as a line through its points.

    Args:
        points: The points, in any order; those with an undefined figure are in the table only.
        title: The finding; without one, the end points of the front are told.
        name: Name of the drawing, unique within a page.
        utility: What the utility counts, for the axis and the table.
        leak: What the leak counts, likewise.
    """
    best = front(points)
    title = title or finding(points)
    about = (
        f"Points with 95 % whiskers. Across: {leak}. Up: {utility}. Better is up and to the left. "
        "A stepped line joins the points that no other dominates. Dashed lines: chance."
    )
    families = list(dict.fromkeys(p.family for p in points))
    with canvas(WIDTH_IN, 4.6 + 0.16 * (len(families) // 5)) as figure:
        axes = figure.subplots()
        for at, family in enumerate(families):
            _family(axes, [p for p in points if p.family == family], family, at)
        if len(best) > 1:
            xs, ys = zip(*((100 * b, 100 * a) for a, b in _pairs(best)), strict=True)
            style = {"color": COLOURS["ink"], "linewidth": 1.0, "label": "front"}
            axes.plot(xs, ys, drawstyle="steps-post", zorder=1, **style)
        utilities = [p.utility.chance for p in points if p.utility.chance is not None]
        leaks = [p.leak.chance for p in points if p.leak.chance is not None]
        chance_line(axes, max(utilities, default=None))
        if leaks:
            style = {"color": COLOURS["soft"], "linestyle": (0, (4, 3)), "linewidth": 1}
            axes.axvline(100 * max(leaks), **style)
        axes.set_xlim(left=0)
        axes.margins(x=0.1, y=0.1)
        axes.set_xlabel(f"{leak} (%)    ← better")
        axes.set_ylabel(f"{utility} (%)    better →")
        _name_marks(axes, best)
        figure.legend(loc="outside lower center", ncols=5)
        svg = to_svg(figure, name, title, about)
    on_front = {id(p) for p in best}
    columns = ("Setting", "Family", utility.capitalize(), "Chance", leak.capitalize(), "Chance")
    rows = tuple(
        (
            p.name,
            p.family,
            accuracy(p.utility),
            percent(p.utility.chance),
            accuracy(p.leak),
            percent(p.leak.chance),
            "yes" if id(p) in on_front else "no",
        )
        for p in points
    )
    return Drawing(name, title, about, svg, (*columns, "On the front"), rows)


def finding(points: Sequence[Point]) -> str:
    """State how many settings are worth having, and the ends of the front."""
    best = front(points)
    if not best:
        return "No setting could be measured"
    (low_utility, low_leak), (high_utility, high_leak) = _pairs((best[0], best[-1]))
    if len(best) == 1:
        return (
            f"{label(best[0].name, 40)} is better than every other setting in at least one figure "
            f"and worse in none: {percent(low_utility)} at a leak of {percent(low_leak)}"
        )
    return (
        f"{len(best)} of {plural(len(points), 'setting')} are on the front, from "
        f"{percent(low_utility)} at a leak of {percent(low_leak)} ({label(best[0].name, 30)}) to "
        f"{percent(high_utility)} at {percent(high_leak)} ({label(best[-1].name, 30)})"
    )


def _dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] >= b[0] and a[1] <= b[1] and a != b


def _pairs(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [pair for p in points if (pair := p.pair) is not None]


def _family(axes: Any, points: Sequence[Point], family: str, at: int) -> None:
    """Draw the points of one family; the legend names it once."""
    colour, shape = MARKS[at % len(MARKS)]
    named = False
    for p in points:
        if p.pair is None:
            continue
        x, y = [100 * p.pair[1]], [100 * p.pair[0]]
        bars = {"fmt": "none", "color": COLOURS[colour], "elinewidth": 0.9, "capsize": 2}
        axes.errorbar(x, y, xerr=whisker(p.leak), yerr=whisker(p.utility), alpha=0.5, **bars)
        face = COLOURS[colour if p.filled else "panel"]
        style = {"color": COLOURS[colour], "markerfacecolor": face, "markersize": 7, "zorder": 3}
        axes.plot(x, y, shape, label=None if named else label(family, 30), **style)
        named = True


def _name_marks(axes: Any, best: Sequence[Point]) -> None:
    """Write names up and left of the front, where no point can be, and not over each other."""
    placed: list[tuple[float, float, float]] = []  # right end, foot and length in points
    for p in best[:: max(1, -(-len(best) // _MOST_NAMES))]:
        if p.pair is None:
            continue
        spot, text = (100 * p.pair[1], 100 * p.pair[0]), label(p.name, 24)
        x, y = (float(v) * 72 / axes.figure.dpi for v in axes.transData.transform(spot))
        long = _LETTER_WIDTH_PT * len(text)
        if any(x - long < r and r - n < x and abs(y - f) < _NAME_HEIGHT_PT for r, f, n in placed):
            continue
        placed.append((x, y, long))
        place = {"xytext": (-6, 4), "textcoords": "offset points", "ha": "right", "va": "bottom"}
        axes.annotate(text, spot, fontsize=8, annotation_clip=False, **place)
