"""A figure of a study: rows of dots with intervals, or curves by round, and the table behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fedaffect.reports.formats import accuracy, percent
from fedaffect.reports.marks import WIDTH_IN, chance_line, whisker
from fedaffect.reports.pareto import MARKS
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg
from fedaffect.study_record import Mark, Panel, StudyFigure

OF_PAPER = ("Paper", "Place in the paper")
COLUMNS = ("Panel", "At", "What", "Ours", "Chance", *OF_PAPER)
STYLES = (("blue", "o"), ("purple", "s"), ("vermillion", "^"))  # stress, own head, attacker
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
CHANCE, PRINTED = "chance", "printed in the paper"
_LAST = (CHANCE, PRINTED)
_ROW_IN, _CURVE_IN, _FRAME_IN = 0.42, 2.7, 0.75
_LONGEST_LABEL = 48


def draw(figure: StudyFigure) -> Drawing:
    """Draw the panels below one another; curves stand in pairs.

    Colour, shape and dash always go together. A hollow diamond is what the paper's text prints,
    a grey tick the chance level of a dot.
    """
    columns = 2 if all(p.kind == "curves" for p in figure.panels) else 1
    rows = math.ceil(len(figure.panels) / columns)
    heights = [_height(p) for p in figure.panels[::columns]]
    with canvas(WIDTH_IN, sum(heights) + 0.4) as page:
        axes = page.subplots(rows, columns, squeeze=False, height_ratios=heights).flat
        for at, panel in zip(axes, figure.panels, strict=False):
            at.set_title(panel.title)
            if panel.kind == "curves":
                _curves(at, panel)
            else:
                _dots(at, panel)
        for spare in list(axes)[len(figure.panels) :]:
            spare.set_visible(False)
        if columns == 1:
            page.legend(*_once(page.axes), loc="outside lower center", ncols=5)
        svg = to_svg(page, figure.name, figure.title, figure.about)
    heads = COLUMNS if figure.of_paper else COLUMNS[: -len(OF_PAPER)]
    table = tuple(
        _row(panel, mark)[: len(heads)] for panel in figure.panels for mark in panel.marks
    )
    return Drawing(figure.name, figure.title, figure.about, svg, heads, table)


def _height(panel: Panel) -> float:
    if panel.kind == "curves":
        return _CURVE_IN
    return _FRAME_IN + _ROW_IN * len(_names([m.at for m in panel.marks]))


def _names(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _dots(axes: Any, panel: Panel) -> None:
    rows, series = _names([m.at for m in panel.marks]), _names([m.series for m in panel.marks])
    for mark in panel.marks:
        colour, shape = STYLES[series.index(mark.series) % len(STYLES)]
        shift = 0.22 * (series.index(mark.series) - (len(series) - 1) / 2)
        y, e = rows.index(mark.at) + shift, mark.figure
        if e.value is None:
            continue
        style = {"color": COLOURS[colour]}
        axes.errorbar(
            [100 * e.value], [y], xerr=whisker(e), fmt="none", elinewidth=1.0, capsize=2, **style
        )
        axes.plot([100 * e.value], [y], shape, markersize=5.5, label=mark.series, **style)
        if e.chance is not None:
            tick = {"markersize": 6, "markeredgewidth": 1.2, "label": CHANCE}
            axes.plot([100 * e.chance], [y], "|", color=COLOURS["soft"], **tick)
        if mark.printed is not None:
            hollow = {"markerfacecolor": COLOURS["panel"], "label": PRINTED}
            axes.plot([100 * mark.printed], [y], "D", color=COLOURS["ink"], markersize=6, **hollow)
    axes.set_yticks(range(len(rows)), [_lines(text) for text in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.grid(False, axis="y")
    axes.set_xlabel("accuracy (%)")


def _lines(text: str) -> str:
    return "\n".join(label(line, _LONGEST_LABEL) for line in text.split("\n"))


def _curves(axes: Any, panel: Panel) -> None:
    series = _names([m.series for m in panel.marks])
    for at, name in enumerate(series):
        own = [m for m in panel.marks if m.series == name and m.figure.value is not None]
        xs = [int(m.at) for m in own]
        colour, shape = MARKS[at % len(MARKS)]
        style = {"color": COLOURS[colour], "linestyle": DASHES[at % len(DASHES)]}
        every = max(1, len(xs) // 6)
        axes.plot(
            xs,
            [100 * (m.figure.value or 0.0) for m in own],
            marker=shape,
            markevery=every,
            label=name,
            **style,
        )
    chances = [m.figure.chance for m in panel.marks if m.figure.chance is not None]
    chance_line(axes, max(chances, default=None))
    axes.set_xlabel("round")
    axes.set_ylabel("%")
    axes.set_ylim(0, 102)
    axes.legend(loc="best")


def _once(every: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Return handles and labels of all axes, each label once."""
    found: dict[str, Any] = {}
    for axes in every:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(text, handle)
    order = sorted(found, key=lambda text: text in _LAST)
    return [found[text] for text in order], order


def _row(panel: Panel, mark: Mark) -> tuple[str, ...]:
    return (
        panel.title,
        mark.at.replace("\n", ": ") if "\n" in mark.at else mark.at,
        mark.series,
        percent(mark.figure.value) if panel.kind == "curves" else accuracy(mark.figure),
        percent(mark.figure.chance),
        "not printed" if mark.printed is None else percent(mark.printed),
        mark.where,
    )
