"""The figure of what it takes: clients at which noise and signal are equal, against epsilon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fedaffect.privacy.accountants import closed_form
from fedaffect.privacy.base import Event
from fedaffect.privacy.break_even import NoiseAt, clients_needed
from fedaffect.record import RunRecord
from fedaffect.reports.formats import count, delta, epsilon, number, plural
from fedaffect.reports.marks import WIDTH_IN, logarithmic
from fedaffect.reports.svg import COLOURS, Drawing, canvas, label, to_svg

BUDGETS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 50.0)
_STYLES = (
    ("ink", "o", "-"),
    ("blue", "s", "--"),
    ("vermillion", "^", "-."),
    ("green", "D", ":"),
    ("purple", "v", (0, (5, 1, 1, 1))),
    ("soft", "P", (0, (1, 1))),
)
_GAUSSIAN = ("gaussian", "moments")


def break_even(record: RunRecord) -> Drawing | None:
    """Draw the clients needed for each block released alone, and for all; ``None`` elsewhere.

    Gaussian noise, unit client, everybody in every release (``privacy.break_even``): blocks with
    noise of another kind, or of another unit, have no such curve.
    """
    privacy = record.privacy
    if privacy.get("mechanism") not in _GAUSSIAN or privacy.get("unit") != "client":
        return None
    sizes = _sizes(record)
    releases = _releases(record)
    if not sizes or releases < 1:
        return None
    at = _delta(privacy)
    where: NoiseAt = "client" if privacy.get("where") == "client" else "server"
    curves = {
        name: [_clients(size, eps, at, releases, where) for eps in BUDGETS]
        for name, size in sizes.items()
    }
    have = len(record.data.partition.clients)
    title = finding(curves, have, at, releases)
    about = (
        "Falling lines of clients over the total epsilon, both axes logarithmic, one line per "
        "block of the model released alone and one for all of them. A dashed level is this run."
    )
    with canvas(WIDTH_IN, 3.9) as drawn:
        axes = drawn.subplots()
        logarithmic(axes)
        for i, (name, needed) in enumerate(curves.items()):
            colour, shape, line = _STYLES[i % len(_STYLES)]
            style = {"color": COLOURS[colour], "marker": shape, "linestyle": line}
            axes.plot(BUDGETS, needed, label=label(name, 30), **style)
        level = {"color": COLOURS["soft"], "linestyle": (0, (4, 3)), "linewidth": 1}
        axes.axhline(max(have, 1), label=f"this run: {plural(have, 'client')}", **level)
        axes.set_xticks(BUDGETS, [number(eps) for eps in BUDGETS])
        axes.set_xlabel(f"ε over {plural(releases, 'release')} at δ = {delta(at)}, per client")
        axes.set_ylabel("clients in every round")
        drawn.legend(loc="outside lower center", ncols=4)
        svg = to_svg(drawn, "breakeven", title, about)
    columns = ("ε", *(f"{name} ({count(sizes[name])} parameters)" for name in sizes))
    rows = tuple(
        (number(eps), *(count(math.ceil(needed[i])) for needed in curves.values()))
        for i, eps in enumerate(BUDGETS)
    )
    return Drawing("breakeven", title, about, svg, columns, rows)


def break_even_caption(record: RunRecord) -> str:
    """Write what every number of clients refers to."""
    privacy = record.privacy
    placed = "by every client" if privacy.get("where") == "client" else "by the server"
    return (
        f"Clients at which the noise on the average is as long as the whole clipped signal: total "
        f"ε at δ = {delta(_delta(privacy))}, per client, adjacency zero_out, observer external, "
        f"horizon run, {plural(_releases(record), 'release')}, Gaussian noise added {placed}, "
        "everybody in every round, closed form"
    )


def finding(curves: dict[str, list[float]], have: int, at: float, releases: int) -> str:
    """State from how many clients on noise is no longer than the signal, at a total of 8."""
    place = BUDGETS.index(8.0)
    whole = next(iter(curves.values()))[place]
    name, least = min(((n, needed[place]) for n, needed in curves.items()), key=lambda x: x[1])
    alone = f" ({label(name, 30)} alone: from {count(math.ceil(least))})" if least < whole else ""
    return (
        f"At (ε = {epsilon(8.0)}, δ = {delta(at)}), per client over {plural(releases, 'release')}, "
        f"noise is no longer than the signal from {plural(math.ceil(whole), 'client')} a round on"
        f"{alone}; this run has {count(have)}"
    )


def _clients(size: int, eps: float, at: float, releases: int, where: NoiseAt) -> float:
    z = closed_form.scale(Event("gaussian", 1.0, 1.0, releases), eps, at)
    return clients_needed(z * math.sqrt(size), "gaussian", where)


def _sizes(record: RunRecord) -> dict[str, int]:
    """Return parameters of all blocks that leave the clients, and of each of them."""
    kept = {
        str(block.get("name")): block.get("policy") in ("freeze", "keep_local")
        for block in record.privacy.get("blocks") or ()
        if isinstance(block, Mapping)
    }
    blocks = {n: size for n, size in record.model.blocks.items() if size and not kept.get(n)}
    if len(blocks) < 2:
        return blocks
    return {"all released blocks": sum(blocks.values()), **blocks}


def _releases(record: RunRecord) -> int:
    planned: Any = record.privacy.get("releases_planned")
    if isinstance(planned, int) and planned > 0:
        return planned
    return len({(r.fold, r.round) for r in record.rounds})


def _delta(privacy: Mapping[str, Any]) -> float:
    at = privacy.get("delta")
    return float(at) if isinstance(at, float) and 0 < at < 1 else 1e-5
