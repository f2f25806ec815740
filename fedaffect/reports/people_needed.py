"""The figure of what few numbers buy: released numbers against the people whom they need.

``python -m fedaffect.reports.people_needed docs/people-needed.svg`` draws the one of the guide.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedaffect.atomic_file import write_text_atomic
from fedaffect.config import FEW, RunConfig
from fedaffect.privacy.accountants import closed_form
from fedaffect.privacy.base import Event
from fedaffect.privacy.break_even import NoiseAt, clients_needed
from fedaffect.record import RunRecord
from fedaffect.reports.formats import count, delta, epsilon, number, plural
from fedaffect.reports.marks import WIDTH_IN, logarithmic
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg

BUDGETS = (0.5, 1.0, 2.0, 4.0, 8.0)
GUIDE_ROUNDS, GUIDE_DELTA, GUIDE_PEOPLE = FEW.rounds, 1e-5, 20
_STYLES = (
    ("vermillion", (0, (1, 1))),
    ("purple", (0, (5, 1, 1, 1))),
    ("blue", "-"),
    ("green", "-."),
    ("soft", "--"),
)
_GAUSSIAN = ("gaussian", "moments")


def needed(numbers: int, eps: float, at: float, releases: int, where: NoiseAt = "server") -> float:
    """Return the clients a round whose signal is as long as the noise on ``numbers`` numbers.

    n = z sqrt(d) for noise at the server (``privacy.break_even``).

    Args:
        numbers: Released numbers d.
        eps: Total budget.
        at: Total delta.
        releases: Releases T that share it, everybody in each.
        where: Who adds the noise.
    """
    z = closed_form.scale(Event("gaussian", 1.0, 1.0, releases), eps, at)
    return clients_needed(z * math.sqrt(numbers), "gaussian", where)


def people_needed(record: RunRecord) -> Drawing | None:
    """Draw what every release plan of the run's network needs at the budget of the run.

    ``None`` where noise is not Gaussian on the updates of whole clients under zero_out adjacency,
    or there is no budget.
    """
    release, privacy = record.release, record.privacy
    eps, at, releases = (privacy.get(key) for key in ("eps", "delta", "releases_planned"))
    if release is None or not (eps and at and releases):
        return None
    protected = (privacy.get("unit"), privacy.get("adjacency"))
    if privacy.get("mechanism") not in _GAUSSIAN or protected != ("client", "zero_out"):
        return None
    where: NoiseAt = "client" if privacy.get("where") == "client" else "server"
    have, own = (
        record.forecast.clients_per_round,
        needed(release.released, eps, at, releases, where),
    )
    title = (
        f"At (ε = {epsilon(eps)}, δ = {delta(at)}), per client over {plural(releases, 'release')}, "
        f"{plural(release.released, 'released number')} {_needs(release.released)} "
        f"{plural(math.ceil(own), 'client')} a round"
    )
    plans = {
        f"{'at most ' * name.isdigit()}{name} ({count(d)})": d
        for name, d in _by_size(release.plans)
    }
    if release.released < max(plans.values()):
        most = max(plans.values())
        whole = math.ceil(needed(most, eps, at, releases, where))
        title += f", all {count(most)} would need {count(whole)}"
    return _drawing(
        "released",
        f"{title}; this run has {number(have)}",
        {eps: f"ε = {epsilon(eps)}"},
        plans,
        (at, releases, where),
        (have, f"this run, {number(have)} clients", release.released),
    )


def guide() -> Drawing:
    """Draw the figure of the guide: the plans of two networks at every budget."""
    plans = _plans_of_guide()
    few, most = min(plans.values()), max(plans.values())
    people = [count(math.ceil(needed(d, 2.0, GUIDE_DELTA, GUIDE_ROUNDS))) for d in (few, most)]
    title = (
        f"At (ε = 2, δ = {delta(GUIDE_DELTA)}), per client over {GUIDE_ROUNDS} releases, "
        f"{few} released numbers need {people[0]} people, {count(most)} need {people[1]}"
    )
    return _drawing(
        "peopleneeded",
        title,
        {eps: f"ε = {number(eps)}" for eps in BUDGETS},
        {f"{name} ({count(d)})": d for name, d in _by_size(plans)},
        (GUIDE_DELTA, GUIDE_ROUNDS, "server"),
        (GUIDE_PEOPLE, f"{GUIDE_PEOPLE} people", None),
    )


def _drawing(
    name: str,
    title: str,
    lines: Mapping[float, str],
    plans: Mapping[str, int],
    terms: tuple[float, int, NoiseAt],
    have: tuple[float, str, int | None],
) -> Drawing:
    """Draw one line a budget over the released numbers, and a mark for every plan on each."""
    at, releases, where = terms
    about = (
        "Rising lines of clients over released numbers, both axes logarithmic, one line a total "
        "epsilon, marked at the release plans. A dashed level is the clients that there are: "
        "where a line is below it, the signal is longer than the noise."
    )
    span = _span(list(plans.values()))
    with canvas(WIDTH_IN, 4.3) as drawn:
        axes = drawn.subplots()
        logarithmic(axes)
        for (eps, text), (colour, line) in zip(lines.items(), _styles(len(lines)), strict=True):
            z = needed(1, eps, at, releases, where)
            grows = 1.0 if where == "client" else 0.5
            style = {"color": COLOURS[colour], "linestyle": line}
            axes.plot(span, [z * d**grows for d in span], label=text, **style)
            marked = list(plans.values())
            axes.plot(marked, [z * d**grows for d in marked], "o", color=COLOURS[colour])
        for i, (text, d) in enumerate(plans.items()):
            axes.axvline(d, color=COLOURS["rule"], linewidth=0.8, zorder=0)
            place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
            high = 1.02 + 0.06 * (i % 2)  # neighbours may be close
            axes.annotate(label(text, 40), (d, high), color=COLOURS["soft"], fontsize=8.5, **place)
        there, text, own = have
        level = {"color": COLOURS["ink"], "linestyle": (0, (4, 3)), "linewidth": 1}
        axes.axhline(max(there, 1), label=text, **level)
        if own is not None:
            axes.plot([own], [there], "*", color=COLOURS["ink"], markersize=12)
        axes.set_xlabel(
            f"released numbers (δ = {delta(at)}, per client, {plural(releases, 'release')})"
        )
        axes.set_ylabel("clients needed in every round")
        drawn.legend(loc="outside lower center", ncols=6)
        svg = to_svg(drawn, name, title, about)
    rows = tuple(
        (
            text,
            *(count(math.ceil(needed(d, eps, at, releases, where))) for eps in lines),
        )
        for text, d in plans.items()
    )
    return Drawing(name, title, about, svg, ("Released", *lines.values()), rows)


def _plans_of_guide() -> dict[str, int]:
    """Return the numbers that the shipped network and the paper's release."""
    from fedaffect.outline import outline
    from fedaffect.release_summary import release_summary

    few = release_summary(outline(RunConfig().replace({"model.release": "head"}))).plans
    whole = release_summary(outline(RunConfig())).plans["full"]
    named = {f"--release {name}": d for name, d in few.items() if name != "full"}
    return named | {"all of a small network": few["full"], "all of the paper's": whole}


def _by_size(plans: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(plans.items(), key=lambda item: (item[1], item[0]))


def _span(numbers: Sequence[int]) -> list[float]:
    """Return the ends of a line that reaches past every one of ``numbers``."""
    return [max(1.0, min(numbers) / 4), 2.0 * max(numbers)]


def _styles(lines: int) -> Sequence[tuple[str, Any]]:
    return _STYLES if lines > 1 else [("blue", "-")]


def _needs(numbers: int) -> str:
    return "needs" if numbers == 1 else "need"


if __name__ == "__main__":
    write_text_atomic(Path(sys.argv[1]), guide().svg + "\n")
