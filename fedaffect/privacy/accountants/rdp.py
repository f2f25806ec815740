"""Renyi differential privacy, the modern form of the moments accountant (Mironov 2017).

Conversion to (eps, delta): Canonne, Kamath & Steinke 2020, Proposition 12. Without sampling the
divergences are closed forms and need no library; with Poisson sampling dp-accounting has them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from fedaffect.privacy.accountants.backend import quiet
from fedaffect.privacy.accountants.search import smallest_scale
from fedaffect.privacy.base import Event, Noise

# From 1 + 1e-4 to 1e7, 1.2 percent apart: the best real order lies between two of them.
_ORDERS = 1 + np.geomspace(1e-4, 1e7, 2200)
_INTEGER_ORDERS = [*range(2, 64), *range(64, 257, 8), 320, 384, 512, 768, 1024, 2048, 4096]


@lru_cache(maxsize=4096)
def epsilon(event: Event, delta: float) -> float:
    """Return eps at ``delta`` of ``event``: an upper bound, never below the tight value.

    Sampled Laplace noise has no Renyi bound here and gets its pure (basic) eps; a sampled group
    counts as if it always took part.
    """
    if event.noise == "laplace":
        pure = pure_epsilon(event)
        return pure if event.rate < 1 else min(pure, _laplace(event, delta))
    if event.rate < 1 and event.group == 1:
        return _sampled_gaussian(event, delta)
    divergence = _ORDERS * event.releases * (event.group / event.scale) ** 2 / 2
    return _convert(_ORDERS, divergence, delta)


def scale(noise: Noise, eps: float, delta: float, rate: float, releases: int) -> float:
    """Return a noise scale that keeps (eps, delta) by this accountant, 0.01 percent too large.

    Raises:
        UsageError: E222 the budget is out of reach.
    """
    return smallest_scale(
        lambda z: epsilon(Event(noise, z, rate, releases), delta),
        eps,
        delta,
        start=math.sqrt(releases) / eps + 1,
    )


def pure_epsilon(event: Event) -> float:
    """Return eps at delta = 0: the sum over releases; inf for Gaussian noise.

    Sampling: log(1 + q (e^eps0 - 1)) a release; a group counts as always there.
    """
    if event.noise == "gaussian":
        return math.inf
    once = event.group / event.scale
    if event.rate < 1 and event.group == 1 and once < 700:
        once = math.log1p(event.rate * math.expm1(once))
    return event.releases * once


def _laplace(event: Event, delta: float) -> float:
    """Mironov 2017, Table II: the divergence of Laplace noise at distance eps0 = C / b."""
    eps0 = event.group / event.scale
    a = _ORDERS
    once = np.logaddexp(
        np.log(a / (2 * a - 1)) + (a - 1) * eps0, np.log((a - 1) / (2 * a - 1)) - a * eps0
    ) / (a - 1)
    return _convert(a, event.releases * once, delta)


def _sampled_gaussian(event: Event, delta: float) -> float:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    with quiet():
        accountant = RdpAccountant(_INTEGER_ORDERS)
        once = PoissonSampledDpEvent(event.rate, GaussianDpEvent(event.scale))
        accountant.compose(once, event.releases)
        return float(accountant.get_epsilon(delta))


def _convert(orders: np.ndarray, divergence: np.ndarray, delta: float) -> float:
    eps = divergence + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(np.min(eps)))
