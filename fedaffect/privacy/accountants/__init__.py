"""Accountants: from noise to (eps, delta) and back. A claim is always checked by a second one.

Each is a pair of functions: ``epsilon(event, delta)``, and ``scale(event, eps, delta)`` for the
smallest noise with which the event keeps a budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fedaffect.privacy.accountants import closed_form, pld, rdp
from fedaffect.privacy.accountants.backend import version
from fedaffect.privacy.accountants.search import most_releases
from fedaffect.privacy.base import Event, Method


@dataclass(frozen=True)
class Accountant:
    """One way to account, with what a reader needs to repeat it.

    Args:
        name: Method, as in a claim; it says where amplification is not counted.
        version: Library or source of the formulas.
        epsilon: (event, delta) to the smallest known eps.
        scale: (event, eps, delta) to the smallest known scale; the event's own is not read.
    """

    name: str
    version: str
    epsilon: Callable[[Event, float], float]
    scale: Callable[[Event, float, float], float]

    def affordable(self, event: Event, eps: float, delta: float) -> int:
        """Return the largest number of releases of ``event`` that keeps (eps, delta).

        It is 0 where not even one does, and at most a million; ``event.releases`` is not read.
        """

        def of(releases: int) -> Event:
            return replace(event, releases=releases)

        fewer = most_releases(lambda n: rdp.epsilon(of(n), delta), eps)  # quick, never too many
        return most_releases(lambda n: self.epsilon(of(n), delta), eps, start=fewer)


def accountant(method: Method, event: Event) -> Accountant:
    """Return the accountant for events like ``event``; its scale and releases are not read.

    Args:
        method: ``tight``: exact up to numerics (closed form where there is one, else PLD);
            ``rdp``: the moments accountant (for sampled Laplace noise: basic composition).
        event: Its noise, rate and adjacency decide.
    """
    laplace, sampled = event.noise == "laplace", event.rate < 1
    unamplified = sampled and event.adjacency == "replace_one"
    if method == "rdp":
        if sampled and laplace and not unamplified:
            return Accountant("basic", "sum of amplified pure eps", rdp.epsilon, rdp.scale)
        name = "RDP without amplification" if unamplified else "RDP"
        own = "closed-form divergences, conversion of Canonne, Kamath & Steinke 2020"
        return Accountant(name, own, rdp.epsilon, rdp.scale)
    if not sampled and not laplace:
        name = "closed-form Gaussian"
        return Accountant(name, "Balle & Wang 2018", closed_form.epsilon, closed_form.scale)
    name = "PLD without amplification" if unamplified and laplace else "PLD"
    return Accountant(name, version(), pld.epsilon, pld.scale)
