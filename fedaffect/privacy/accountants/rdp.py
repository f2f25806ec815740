"""Renyi differential privacy, the modern form of the moments accountant (Mironov 2017).

Conversion to (eps, delta): Canonne, Kamath & Steinke 2020, Proposition 12. The divergences are
closed forms and need no library: with Poisson sampling at integer orders, by Mironov, Talwar &
Zhang 2019, section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np

from fedaffect.privacy.accountants.adjacency import as_zero_out
from fedaffect.privacy.accountants.search import smallest_scale
from fedaffect.privacy.base import Event

# From 1 + 1e-4 to 1e7, 1.2 percent apart: the best real order lies between two of them.
_ORDERS = 1 + np.geomspace(1e-4, 1e7, 2200)
_INTEGER_ORDERS = (*range(2, 64), *range(64, 257, 8), 320, 384, 512, 768, 1024, 2048, 4096)


@lru_cache(maxsize=4096)
def epsilon(event: Event, delta: float) -> float:
    """Return eps at ``delta`` of ``event``: an upper bound, never below the tight value.

    Sampled Laplace noise has no Renyi bound here and gets its pure (basic) eps; a sampled group,
    and everything sampled under replace_one, counts as if it always took part.
    """
    event = as_zero_out(event)
    if event.noise == "laplace":
        pure = pure_epsilon(event)
        return pure if event.rate < 1 else min(pure, _laplace(event, delta))
    divergence = _ORDERS * event.releases * (event.group / event.scale) ** 2 / 2
    always = _convert(_ORDERS, divergence, delta)
    if event.rate < 1 and event.group == 1:
        return min(always, _sampled_gaussian(event, delta))
    return always


def scale(event: Event, eps: float, delta: float) -> float:
    """Return a noise scale that keeps (eps, delta) by this accountant, 0.01 percent too large.

    Args:
        event: What is released; its own scale is not read.
        eps: Target.
        delta: Target.

    Raises:
        UsageError: E222 the budget is out of reach.
    """
    return smallest_scale(
        lambda z: epsilon(replace(event, scale=z), delta),
        eps,
        delta,
        start=math.sqrt(event.releases) / eps + 1,
    )


def pure_epsilon(event: Event) -> float:
    """Return eps at delta = 0: the sum over releases; inf for Gaussian noise.

    Sampling: log(1 + q (e^eps0 - 1)) a release; a group, and everything under replace_one, counts
    as always there.
    """
    event = as_zero_out(event)
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
    """D_a = log(sum_k binom(a, k) (1 - q)^(a - k) q^k exp((k^2 - k) / (2 z^2))) / (a - 1).

    All orders in one pass: the terms of one order stand in a row.
    """
    starts, order, k, log_binomial = _terms()
    chance = k * math.log(event.rate) + (order - k) * math.log1p(-event.rate)
    terms = log_binomial + chance + k * (k - 1) / (2 * event.scale**2)
    log_a = np.logaddexp.reduceat(terms, starts)
    orders = np.array(_INTEGER_ORDERS, dtype=float)
    return _convert(orders, event.releases * log_a / (orders - 1), delta)


@cache
def _terms() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return where each order's terms start, and of every term a, k and log binom(a, k)."""
    log_factorial = np.cumsum(np.log(np.maximum(1, np.arange(1 + max(_INTEGER_ORDERS)))))
    lengths = np.array(_INTEGER_ORDERS) + 1
    order = np.repeat(_INTEGER_ORDERS, lengths)
    k = np.concatenate([np.arange(length) for length in lengths])
    log_binomial = log_factorial[order] - log_factorial[k] - log_factorial[order - k]
    return np.cumsum(lengths) - lengths, order, k, log_binomial


def _convert(orders: np.ndarray, divergence: np.ndarray, delta: float) -> float:
    eps = divergence + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(np.min(eps)))
