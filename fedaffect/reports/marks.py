"""Marks that several figures share: the chance line, whiskers, tick labels that do not crowd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedaffect.record import Estimate
from fedaffect.reports.svg import COLOURS, label

WIDTH_IN = 9.0


def chance_line(axes: Any, level: float | None, *, upright: bool = False) -> None:
    """Draw the chance ``level`` (a share in [0, 1]) as a dashed line across a percent axis."""
    if level is not None:
        draw = axes.axvline if upright else axes.axhline
        dashes = (0, (4, 3))
        draw(100 * level, color=COLOURS["soft"], linestyle=dashes, linewidth=1, label="chance")


def logarithmic(axes: Any) -> None:
    """Make both axes logarithmic, with plain numbers at their ticks."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)


def plain_ticks(axis: Any) -> None:
    """Write plain numbers at the ticks of a scale that is not linear, and no minor ticks."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())


def whisker(e: Estimate) -> list[list[float]] | None:
    """Return the lengths (2, 1) of the interval's arms in percent, as ``errorbar`` wants them."""
    if e.value is None or e.low is None or e.high is None:
        return None
    return [[max(0.0, 100 * (e.value - e.low))], [max(0.0, 100 * (e.high - e.value))]]


def thin_ticks(axis: Any, names: Sequence[str], most: int) -> None:
    """Name every position, or every few so that at most ``most`` names are shown."""
    step = max(1, -(-len(names) // most))
    axis.set_ticks(range(0, len(names), step), [label(n, 12) for n in names[::step]])
