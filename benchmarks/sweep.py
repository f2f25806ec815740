"""Cost of a round against one size of the work, and its plot; ``run_all.py`` makes them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reference_work import Measurement

COLOURS = {  # Okabe and Ito's, which colour-blind readers tell apart
    "loop": "#000000",
    "local": "#56B4E9",
    "stack": "#0072B2",
    "ray": "#009E73",
    "pfl": "#E69F00",
    "flower": "#D55E00",
}
MARKERS = {"loop": "s", "local": "o", "stack": "D", "ray": "v", "pfl": "^", "flower": "X"}


def measurements_of(sweep: Path) -> tuple[dict[str, Any], list[Measurement]]:
    """Return what a file says of its axis, and a measurement for every value on it."""
    said = tomllib.loads(sweep.read_text())
    about = said["sweep"]
    entries = [
        {**said["work"], about["axis"]: value, "name": f"{value} {about['axis']}"}
        for value in about["values"]
    ]
    return about, [Measurement.of(entry) for entry in entries]


def plot(figures: Mapping[str, Any], file: Path) -> None:
    """Draw the seconds of a round against the axis, both logarithmic; one line an engine."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    about, works = figures["sweep"], figures["works"]
    names = list(dict.fromkeys(row["engine"] for work in works for row in work["engines"]))
    style = {"svg.hashsalt": "benchmarks", "font.size": 10}  # equal figures give equal files
    with matplotlib.rc_context(style):
        canvas, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
        for name in names:
            points = [
                (work[about["axis"]], row["wall_s"])
                for work in works
                for row in work["engines"]
                if row["engine"] == name
            ]
            look = "stack" if name.endswith("stack") else name.partition("-")[0]
            axes.plot(
                *zip(*points, strict=True),
                label=name,
                color=COLOURS[look],
                marker=MARKERS[look],
                linewidth=1.6,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        values = [work[about["axis"]] for work in works]
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(about["label"])
        axes.set_ylabel("seconds per round (wall, median)")
        axes.grid(visible=True, which="major", color="#dddddd")
        axes.legend(frameon=False)
        canvas.savefig(file, metadata={"Date": None})
        pyplot.close(canvas)
