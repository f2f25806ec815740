"""The figure of who holds what: windows by client and person, and by client and label."""

from __future__ import annotations

from typing import Any

from fedaffect.record import PartitionSummary
from fedaffect.reports import findings
from fedaffect.reports.formats import count
from fedaffect.reports.marks import WIDTH_IN, thin_ticks
from fedaffect.reports.svg import COLOURS, Drawing, canvas, to_svg

_MOST_NUMBERED_CELLS = 600


def partition_heatmap(partition: PartitionSummary) -> Drawing:
    """Draw who holds what: windows by client and person, and by client and stress label."""
    clients = len(partition.clients)
    title = findings.partition(partition)
    about = "Two heat maps of window counts, one row per client: by person, and by stress label."
    with canvas(WIDTH_IN, min(max(1.4 + 0.19 * clients, 2.6), 6.6)) as figure:
        people, stress = figure.subplots(
            1, 2, sharey=True, width_ratios=[max(len(partition.subjects), 6), 5]
        )
        _cells(people, partition.by_subject, partition.subjects)
        _cells(stress, partition.by_stress, ("no stress", "stress"))
        people.set_title("Windows by person")
        stress.set_title("By stress label")
        thin_ticks(people.yaxis, partition.clients, 34)
        people.set_ylabel("client")
        stress.tick_params(labelleft=False)
        svg = to_svg(figure, "partition", title, about)
    rows = tuple(
        (
            str(client),
            count(sum(by_person)),
            count(sum(1 for n in by_person if n)),
            *(count(n) for n in labels),
        )
        for client, by_person, labels in zip(
            partition.clients, partition.by_subject, partition.by_stress, strict=True
        )
    )
    columns = ("Client", "Windows", "People", "No stress", "Stress")
    return Drawing("partition", title, about, svg, columns, rows)


def _cells(axes: Any, counts: tuple[tuple[int, ...], ...], names: tuple[str, ...]) -> None:
    """Fill cells in blue, denser for more windows, and number them where they are few."""
    most = max((n for row in counts for n in row), default=0) or 1
    blue = [int(COLOURS["blue"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    alpha = [[0.08 + 0.52 * n / most if n else 0.0 for n in row] for row in counts]
    axes.imshow([[[*blue, a] for a in row] for row in alpha], aspect="auto", interpolation="none")
    if sum(len(row) for row in counts) <= _MOST_NUMBERED_CELLS:
        for i, row in enumerate(counts):
            for j, n in enumerate(row):
                if n:
                    axes.text(j, i, str(n), ha="center", va="center", fontsize=7)
    thin_ticks(axes.xaxis, names, 26)
    axes.tick_params(axis="x", rotation=90 if len(names) > 2 else 0)
    axes.grid(False)
