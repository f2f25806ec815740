"""What a guarantee still allows an attacker: the trade-off curve and a card of numbers.

Dong, Roth & Su 2019, "Gaussian differential privacy": whoever sees a mu-GDP release tells two
neighbouring data sets apart with TPR <= Phi(Phi^-1(FPR) + mu). Where no mu is exact, (eps, delta)
alone bounds the rates (Kairouz, Oh & Viswanath 2015, theorem 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedaffect.privacy.attacks.statistics import naming_cap
from fedaffect.record import RunRecord
from fedaffect.reports import guarantee
from fedaffect.reports.formats import delta, epsilon, number, percent
from fedaffect.reports.marks import WIDTH_IN, logarithmic
from fedaffect.reports.svg import COLOURS, Drawing, canvas, to_svg

FALSE_ALARMS = 0.01
CARD_COLUMNS = ("What an attacker may reach at most", "Bound", "By guessing")


@dataclass(frozen=True)
class Allowed:
    """What a guarantee allows.

    Args:
        mu: Exact Gaussian privacy parameter; ``None`` where (eps, delta) is all that is known.
        eps: Epsilon of the guarantee.
        delta: Delta of the guarantee.
    """

    mu: float | None
    eps: float
    delta: float

    def tpr(self, fpr: np.ndarray) -> np.ndarray:
        """Return the largest true positive rates at false positive rates (n,) in [0, 1]."""
        from scipy.special import ndtr, ndtri

        if self.mu is not None:
            gaussian: np.ndarray = ndtr(ndtri(fpr) + self.mu)
            return gaussian
        grow, shrink = math.exp(min(self.eps, 700.0)), math.exp(-self.eps)
        upper = 1 - shrink * (1 - self.delta - fpr)
        return np.minimum(1.0, np.minimum(grow * fpr + self.delta, upper))

    @property
    def advantage(self) -> float:
        """Largest difference of true and false positive rate."""
        from scipy.special import ndtr

        if self.mu is not None:
            return float(2 * ndtr(self.mu / 2) - 1)
        shrink = math.exp(-self.eps)
        return (1 - shrink + 2 * self.delta * shrink) / (1 + shrink)


def allowed_by(privacy: Mapping[str, Any]) -> Allowed | None:
    """Return what a formal statement allows; ``None`` for any other."""
    eps, at, mu = (_positive(privacy.get(name)) for name in ("eps", "delta", "mu"))
    if guarantee.status(privacy) != "FORMAL" or eps is None:
        return None
    return Allowed(mu, eps, at or 0.0)


def card_rows(record: RunRecord) -> list[tuple[str, ...]]:
    """Return what is bounded, the bound, and what guessing reaches; empty without a guarantee."""
    allowed = allowed_by(record.privacy)
    if allowed is None:
        return []
    unit = guarantee.text_of(record.privacy.get("unit"), "unit")
    most = float(allowed.tpr(np.array([FALSE_ALARMS]))[0])
    rows: list[tuple[str, ...]] = [
        (
            f"True positive rate at {percent(FALSE_ALARMS)} false alarms: did a {unit} take part?",
            percent(most),
            percent(FALSE_ALARMS),
        ),
        ("Advantage (true minus false positive rate)", percent(allowed.advantage), percent(0.0)),
        _naming_row(record),
    ]
    if allowed.mu is not None:
        rows.insert(0, ("Gaussian privacy parameter μ", number(allowed.mu), "0"))
    return rows


def attack_card(record: RunRecord) -> Drawing | None:
    """Draw the largest TPR against FPR that the guarantee allows; ``None`` without one."""
    allowed = allowed_by(record.privacy)
    if allowed is None:
        return None
    unit = guarantee.text_of(record.privacy.get("unit"), "unit")
    most = float(allowed.tpr(np.array([FALSE_ALARMS]))[0])
    title = (
        f"At {percent(FALSE_ALARMS)} false alarms an observer whom the guarantee covers detects at "
        f"most {percent(most)} of the {unit}s that took part (guessing: {percent(FALSE_ALARMS)})"
    )
    about = (
        "True positive rate against false positive rate, twice: linear, and logarithmic for few "
        "false alarms. A solid line is the most that the guarantee allows any attacker, a dashed "
        "line is guessing, a circle marks one percent of false alarms."
    )
    rates = np.geomspace(1e-4, 1, 80)
    with canvas(WIDTH_IN, 3.3) as drawn:
        linear, few = drawn.subplots(1, 2)
        for axes in (linear, few):
            style = {"color": COLOURS["soft"], "linestyle": (0, (4, 3)), "linewidth": 1}
            axes.plot(100 * rates, 100 * rates, label="guessing", **style)
            style = {"color": COLOURS["blue"], "label": "most that the guarantee allows"}
            axes.plot(100 * rates, 100 * allowed.tpr(rates), **style)
            axes.plot([100 * FALSE_ALARMS], [100 * most], "o", color=COLOURS["blue"], markersize=7)
            axes.set_xlabel("false positive rate (%)")
        linear.set_ylabel("true positive rate (%)")
        logarithmic(few)
        drawn.legend(*linear.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        svg = to_svg(drawn, "card", title, about)
    at = np.array([0.001, 0.01, 0.05, 0.1, 0.2, 0.5])
    table = tuple(
        (percent(float(f)), percent(float(t))) for f, t in zip(at, allowed.tpr(at), strict=True)
    )
    columns = ("False positive rate (what guessing reaches)", "Largest true positive rate")
    return Drawing("card", title, about, svg, columns, table)


def card_caption(record: RunRecord) -> str:
    """Write what every number of the card refers to."""
    privacy = record.privacy
    pair = f"(ε = {epsilon(privacy.get('eps'))}, δ = {delta(privacy.get('delta'))})"
    return f"What {pair}, {guarantee.scope(privacy)}, still allows"


def _naming_row(record: RunRecord) -> tuple[str, ...]:
    clients = len(record.data.partition.clients)
    what = f"Naming which of {clients} clients sent an upload"
    eps, at = _pairwise(record.privacy)
    if eps is None:
        return what, "100 %: the server sees who sends what", percent(1 / max(1, clients))
    return what, percent(naming_cap(eps, at, clients)), percent(1 / max(1, clients))


def _pairwise(privacy: Mapping[str, Any]) -> tuple[float | None, float]:
    """Return (eps, delta) under replace-one against the server; none where it is trusted."""
    if privacy.get("where") != "client" or privacy.get("unit") != "client":
        return None, 0.0
    other = privacy.get("other_adjacency")
    for said in (privacy, other if isinstance(other, Mapping) else {}):
        eps = _positive(said.get("eps"))
        if said.get("adjacency") == "replace_one" and eps is not None:
            return eps, _positive(privacy.get("delta")) or 0.0
    return None, 0.0


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return float(value)
