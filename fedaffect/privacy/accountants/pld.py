"""Privacy loss distributions by dp-accounting: numerically exact, for Poisson sampling too.

Relations: zero_out has the formulas of adding or removing one unit; replace_one is counted as such
where dp-accounting can, which is sampled Gaussian noise of one unit. The distributions are
discretised upwards, so every eps is an upper bound.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

from fedaffect.privacy.accountants import rdp
from fedaffect.privacy.accountants.adjacency import as_zero_out, replace_one_multiplier
from fedaffect.privacy.accountants.backend import quiet
from fedaffect.privacy.accountants.search import smallest_scale
from fedaffect.privacy.base import Event

_LARGEST = 1e4  # beyond it a grid needs gigabytes
_PRECISION = 3e-5  # relative: a grid h adds about T h^2 to eps


@lru_cache(maxsize=4096)
def epsilon(event: Event, delta: float) -> float:
    """Return eps at ``delta`` of ``event``; for Laplace noise at most its pure (basic) eps.

    A group under sampling is exact for Gaussian noise and zero_out; otherwise, and for sampled
    Laplace noise under replace_one, the units count as always there.
    """
    if event.noise == "laplace" or event.group > 1 or event.rate == 1:
        event = as_zero_out(event)
    # Under replace_one, too, zero_out at the same scale tells how fine a grid must be.
    size = rdp.epsilon(replace(event, adjacency="zero_out"), delta)
    if size > _LARGEST:
        return rdp.epsilon(event, delta)
    finest = 1e-3 if event.group > 1 and event.rate < 1 else 5e-5  # a mixture is slow to make
    grid = min(max(math.sqrt(_PRECISION * size / event.releases), finest), 1e-2)
    with quiet():
        tight = min(_epsilon(event, delta, grid), rdp.pure_epsilon(event))
    return min(tight, rdp.epsilon(event, delta)) if event.noise == "laplace" else tight


@lru_cache(maxsize=1024)
def scale(event: Event, eps: float, delta: float) -> float:
    """Return a noise scale that keeps (eps, delta), at most 0.01 percent too large.

    The search starts at the scale that Renyi accounting needs, which is always enough.

    Args:
        event: What is released; its own scale is not read.
        eps: Target.
        delta: Target.

    Raises:
        UsageError: E222 the budget is out of reach.
    """
    enough = rdp.scale(event, eps, delta)
    return smallest_scale(
        lambda z: epsilon(replace(event, scale=z), delta),
        eps,
        delta,
        start=enough,
    )


def _epsilon(event: Event, delta: float, grid: float) -> float:
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import PLDAccountant

    one = event.adjacency == "replace_one"
    relation = NeighboringRelation.REPLACE_ONE if one else NeighboringRelation.ADD_OR_REMOVE_ONE
    accountant = PLDAccountant(relation, value_discretization_interval=grid)
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
        one = event.adjacency == "replace_one"
        z = replace_one_multiplier(event.scale) if one else event.scale
        return dp_event.PoissonSampledDpEvent(event.rate, dp_event.GaussianDpEvent(z))
    moves = range(event.group + 1)
    chances = binom.pmf(list(moves), event.group, event.rate).tolist()
    return dp_event.MixtureOfGaussiansDpEvent(event.scale, [float(i) for i in moves], chances)
