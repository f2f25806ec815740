"""A comparison of runs on one page, without scripts or loads."""

from __future__ import annotations

from fedaffect.comparison_record import ComparedFigure, Comparison, Difference, SideBySide
from fedaffect.reports.formats import accuracy, number, percent, plural
from fedaffect.reports.html_page import thinned
from fedaffect.reports.page_template import render

SECTIONS = (
    ("settings", "Settings"),
    ("figures", "Figures"),
    ("privacy", "Privacy"),
    ("limits", "Limits"),
)
RUN_COLUMNS = ("Label", "Run", "Data", "People", "Ended", "Folder")
FIGURE_COLUMNS = ("Run", "Figure", "Chance", "Difference", "How")


def render_comparison(comparison: Comparison) -> str:
    """Return the page of a comparison as text: equal for equal comparisons."""
    labels = [run.label for run in comparison.runs]
    return render(
        "compare.html.j2",
        {"thinned": thinned},
        comparison=comparison,
        sections=SECTIONS,
        synthetic=any(run.synthetic for run in comparison.runs),
        run_columns=RUN_COLUMNS,
        runs=[
            (
                run.label,
                run.run_id,
                run.data,
                "SYNTHETIC" if run.synthetic else "real recordings",
                "early, by its budget" if run.stopped else "as planned",
                run.folder,
            )
            for run in comparison.runs
        ],
        value_columns=("Name", *labels),
        settings=[_row(row) for row in comparison.settings],
        privacy=[_row(row) for row in comparison.privacy],
        figure_columns=FIGURE_COLUMNS,
        figures=[(figure.name, _figure_rows(labels, figure)) for figure in comparison.figures],
        baseline=labels[0],
    )


def _row(row: SideBySide) -> tuple[str, ...]:
    return (row.name, *("not set" if v is None else number(v) for v in row.values))


def _figure_rows(labels: list[str], figure: ComparedFigure) -> list[tuple[str, ...]]:
    known = {d.label: d for d in figure.differences}
    return [
        (label, accuracy(e), percent(e.chance), *_difference(known.get(label)))
        for label, e in zip(labels, figure.figures, strict=True)
    ]


def _difference(d: Difference | None) -> tuple[str, str]:
    if d is None:
        return "baseline", ""
    if d.value is None:
        return "not told", d.reason
    ends = "" if d.low is None or d.high is None else f" [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    people = f" over {plural(d.n_people, 'person', 'people')}" if d.how == "paired" else ""
    reason = f": {d.reason}" if d.reason else ""
    return f"{100 * d.value:+.1f} points{ends}", f"{d.how}{people}{reason}"
