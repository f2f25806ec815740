"""Gaussian noise without sampling: exact privacy from a closed form (Balle & Wang 2018).

T releases with multiplier z are one Gaussian mechanism with mu = sqrt(T) / z; its privacy is
delta(eps) = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu), solved here in logarithms because
e^eps overflows.
"""

from __future__ import annotations

import math
from dataclasses import replace

from fedaffect.privacy.accountants.search import bisect, unreachable
from fedaffect.privacy.base import Event

_MU_RANGE = (1e-6, 1e4)


def mu(event: Event) -> float:
    """Return mu of the Gaussian trade-off curve of ``event`` (exact at q = 1)."""
    return math.sqrt(event.releases) * event.group / event.scale


def log_delta(eps: float, mu: float) -> float:
    """Return log delta(eps) of the Gaussian mechanism with sensitivity / sd = ``mu``."""
    from scipy.special import log_ndtr

    first = float(log_ndtr(mu / 2 - eps / mu))
    second = eps + float(log_ndtr(-mu / 2 - eps / mu))
    return first + math.log(-math.expm1(second - first)) if second < first else -math.inf


def epsilon(event: Event, delta: float) -> float:
    """Return the smallest eps at ``delta`` of ``event``, rounded up in the last digits.

    Raises:
        ValueError: the event is not Gaussian noise at q = 1.
    """
    if event.noise != "gaussian" or event.rate != 1:
        raise ValueError(f"no closed form for {event}")
    m, target = mu(event), math.log(delta)
    if log_delta(0.0, m) <= target:
        return 0.0
    high = 1.0
    while log_delta(high, m) > target:
        high *= 2
    return bisect(lambda eps: log_delta(eps, m) <= target, 0.0, high)


def scale(event: Event, eps: float, delta: float) -> float:
    """Return the smallest multiplier z with which ``event`` keeps (eps, delta).

    Args:
        event: What is released; its own scale is not read.
        eps: Target.
        delta: Target.

    Raises:
        UsageError: E222 the budget is out of reach.
        ValueError: the event is not Gaussian noise at q = 1.
    """
    if event.noise != "gaussian" or event.rate != 1:
        raise ValueError(f"no closed form for {event}")
    target = math.log(delta)
    low_mu, high_mu = _MU_RANGE
    for mu, reached in (
        (low_mu, log_delta(eps, low_mu) <= target),
        (high_mu, log_delta(eps, high_mu) > target),
    ):
        if not reached:
            once = replace(event, scale=1 / mu, releases=1, group=1)
            raise unreachable(eps, delta, epsilon(once, delta))
    z_once = bisect(lambda z: log_delta(eps, 1 / z) <= target, 1 / high_mu, 1 / low_mu)
    return math.sqrt(event.releases) * event.group * z_once
