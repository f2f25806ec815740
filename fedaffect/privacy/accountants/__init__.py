"""Accountants: from noise to (eps, delta) and back. A claim is always checked by a second one.

Each is a pair of functions: ``epsilon(event, delta)``, and ``scale(noise, eps, delta, q, T)``
for the smallest noise that keeps a budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fedaffect.privacy.accountants import closed_form, pld, rdp
from fedaffect.privacy.accountants.backend import version
from fedaffect.privacy.base import Event, Noise

Method = Literal["tight", "rdp"]


@dataclass(frozen=True)
class Accountant:
    """One way to account, with what a reader needs to repeat it."""

    name: str
    version: str
    epsilon: Callable[[Event, float], float]
    scale: Callable[[Noise, float, float, float, int], float]


def accountant(method: Method, noise: Noise, rate: float) -> Accountant:
    """Return the accountant for the noise and the sampling rate.

    Args:
        method: ``tight``: exact up to numerics (closed form where there is one, else PLD);
            ``rdp``: the moments accountant (for sampled Laplace noise: basic composition).
        noise: ``gaussian`` or ``laplace``.
        rate: q; 1 without amplification.
    """
    if method == "rdp":
        if noise == "laplace" and rate < 1:
            return Accountant("basic", "sum of amplified pure eps", rdp.epsilon, rdp.scale)
        own = "closed-form divergences, conversion of Canonne, Kamath & Steinke 2020"
        return Accountant("RDP", version() if rate < 1 else own, rdp.epsilon, rdp.scale)
    if noise == "gaussian" and rate == 1:
        name = "closed-form Gaussian"
        return Accountant(name, "Balle & Wang 2018", closed_form.epsilon, closed_form.scale)
    return Accountant("PLD", version(), pld.epsilon, pld.scale)
