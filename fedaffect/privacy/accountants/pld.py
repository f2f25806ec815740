"""Privacy loss distributions by dp-accounting: numerically exact, for Poisson sampling too.

Relation: add or remove one client, whose formulas are those of ``zero_out``. The distributions
are discretised upwards, so every eps is an upper bound.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fedaffect.privacy.accountants import rdp
from fedaffect.privacy.accountants.backend import quiet
from fedaffect.privacy.accountants.search import smallest_scale
from fedaffect.privacy.base import Event, Noise

_LARGEST = 1e4  # beyond it a grid needs gigabytes


@lru_cache(maxsize=4096)
def epsilon(event: Event, delta: float) -> float:
    """Return eps at ``delta`` of ``event``; for Laplace noise at most its pure (basic) eps."""
    bound = rdp.epsilon(event, delta)
    if bound > _LARGEST:
        return bound
    mixture = event.group > 1 and event.rate < 1  # slow on a fine grid
    grid = min(max(2e-5 * bound, 1e-3 if mixture else 1e-4), 1e-2)
    with quiet():
        return min(_epsilon(event, delta, grid), rdp.pure_epsilon(event))


def scale(noise: Noise, eps: float, delta: float, rate: float, releases: int) -> float:
    """Return a noise scale that keeps (eps, delta), at most 0.01 percent too large.

    The search starts at the scale that Renyi accounting needs, which is always enough.

    Raises:
        UsageError: E222 the budget is out of reach.
    """
    enough = rdp.scale(noise, eps, delta, rate, releases)
    return smallest_scale(
        lambda z: epsilon(Event(noise, z, rate, releases), delta),
        eps,
        delta,
        start=enough,
    )


def _epsilon(event: Event, delta: float, grid: float) -> float:
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=grid)
    accountant.compose(_dp_event(event), event.releases)
    return float(accountant.get_epsilon(delta))


def _dp_event(event: Event) -> Any:
    """Translate ``event``; a group is exact but for sampled Laplace noise, where q counts as 1.

    A group of m clients under Poisson sampling moves the sum by i C with Binomial(m, q)
    probability: a mixture of Gaussians (Ganesh 2024).
    """
    from dp_accounting import dp_event
    from scipy.stats import binom

    if event.noise == "laplace":
        alone: Any = dp_event.LaplaceDpEvent(event.scale / event.group)
        sampled = event.rate < 1 and event.group == 1
        return dp_event.PoissonSampledDpEvent(event.rate, alone) if sampled else alone
    if event.rate == 1:
        return dp_event.GaussianDpEvent(event.scale / event.group)
    if event.group == 1:
        return dp_event.PoissonSampledDpEvent(event.rate, dp_event.GaussianDpEvent(event.scale))
    moves = range(event.group + 1)
    chances = binom.pmf(list(moves), event.group, event.rate).tolist()
    return dp_event.MixtureOfGaussiansDpEvent(event.scale, [float(i) for i in moves], chances)
