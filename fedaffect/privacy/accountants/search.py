"""The smallest noise, and the most releases, that an accountant lets through."""

from __future__ import annotations

import math
from collections.abc import Callable

from fedaffect.errors import UsageError

_RANGE = (1e-3, 1e7)
_TOLERANCE = 1e-4
_MOST = 10**6


def smallest_scale(
    account: Callable[[float], float], eps: float, delta: float, start: float
) -> float:
    """Return a scale z with ``account(z) <= eps``, within 0.01 percent of the smallest.

    The search ends when eps is met to 0.005 percent, or z known to 0.01 percent.

    Args:
        account: Noise scale to eps, falling.
        eps: Target.
        delta: Named in the error only.
        start: First guess.

    Raises:
        UsageError: E222 no scale from 0.001 to 1e7 meets the target.
    """
    smallest, largest = _RANGE
    high = min(max(start, smallest), largest)
    while (at_high := account(high)) > eps:
        if high >= largest:
            raise unreachable(eps, delta, at_high)
        high = min(2 * high, largest)
    low, step = high, 0.9
    while (at_low := account(low)) <= eps:
        if low <= smallest:
            raise unreachable(eps, delta, at_low)
        high, at_high = low, at_low
        low, step = max(low * step, smallest), step * step
    turn = 0
    while high - low > _TOLERANCE * high and at_high < eps * (1 - _TOLERANCE / 2):
        middle = (low + high) / 2 if turn % 3 == 2 else _guess(low, at_low, high, at_high, eps)
        at_middle = account(middle)
        if at_middle <= eps:
            high, at_high = middle, at_middle
        else:
            low, at_low = middle, at_middle
        turn += 1
    return high


def _guess(low: float, at_low: float, high: float, at_high: float, eps: float) -> float:
    """Return where eps is met if it is a power of the scale, a little to the safe side."""
    if at_high <= 0:
        return (low + high) / 2
    share = math.log(at_low / eps) / math.log(at_low / at_high)
    guess = low * math.pow(high / low, share) * (1 + _TOLERANCE / 8)
    margin = _TOLERANCE * high / 2
    return min(max(guess, low + margin), high - margin)


def most_releases(account: Callable[[int], float], eps: float, start: int = 1) -> int:
    """Return the largest number of releases, 0 to a million, with ``account(number) <= eps``.

    Args:
        account: Number of releases to eps, growing.
        eps: Target.
        start: First guess.
    """
    low, high = 0, max(1, min(start, _MOST))
    while high <= _MOST and account(high) <= eps:
        low, high = high, high + max(1, high // 4)
    high = min(high, _MOST + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if account(middle) <= eps else (low, middle)
    return low


def bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return, to 14 digits, the smallest float in (low, high] at which ``holds`` is true.

    ``holds`` must be monotone and true at ``high``; it is true at what is returned.
    """
    while high - low > 1e-14 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def unreachable(eps: float, delta: float, nearest: float) -> UsageError:
    """Return the error for a budget that no noise within bounds meets."""
    return UsageError(
        "E222",
        f"--eps {eps:g} at delta {delta:g} cannot be met with noise in a sensible range",
        do=f"the nearest budget that can be met is --eps {nearest:.3g}",
    )
