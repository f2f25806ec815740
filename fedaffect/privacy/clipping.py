"""Clipping: the bound on what one client can add to a sum.

Adjacency ``zero_out``: a client's contribution is replaced by zero under a fixed denominator, so
the sensitivity of the sum is the clip norm C itself; ``replace_one``: by any other, so it is 2C.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fedaffect.errors import PrivacyError
from fedaffect.privacy.base import ClippedSum, Norm

if TYPE_CHECKING:
    from fedaffect.privacy.mechanisms.noised import NoisedSum

SLACK = 1e-6  # relative rounding that the check after clipping allows
MANTISSA = 53  # bits of a float64
SMALLEST = 5e-324  # the smallest number above 0
SQUARES = (1e-250, 1e250)  # within them a sum of squares has lost nothing to the float format


def vector_norm(values: np.ndarray, norm: Norm) -> float:
    """Return the l1, l2 or linf norm of ``values`` (d,), without overflow of squares."""
    if norm == "l2":
        with np.errstate(over="ignore", under="ignore"):
            squares = float(np.dot(values, values))
        if SQUARES[0] < squares < SQUARES[1]:
            return math.sqrt(squares)
    largest = float(np.max(np.abs(values), initial=0.0))
    if largest == 0.0 or norm == "linf":
        return largest
    unit = values / largest
    length = float(np.sum(np.abs(unit)) if norm == "l1" else np.sqrt(np.sum(unit * unit)))
    with np.errstate(over="ignore"):
        return float(np.float64(largest) * length)


def clip(values: np.ndarray, bound: float, norm: Norm) -> np.ndarray:
    """Return ``values`` (d,) as float64 with a norm of at most ``bound``.

    Raises:
        ValueError: a value is not finite (NaN would pass ``min(1, C / norm)`` unseen).
        PrivacyError: E405 as ``shorten``.
    """
    values = finite(values)
    shorten(values, bound, norm)
    return values


def shorten(values: np.ndarray, bound: float, norm: Norm) -> None:
    """Clip finite ``values`` (d,) float64 in place to a norm of at most ``bound``.

    l1 and l2 scale the whole vector down where needed; linf cuts every coordinate by itself.

    Raises:
        PrivacyError: E405 the result is longer than ``bound (1 + 1e-6)``.
    """
    if norm == "linf":
        np.clip(values, -bound, bound, out=values)
    elif (length := vector_norm(values, norm)) > bound:
        if not math.isfinite(length):
            values /= np.max(np.abs(values))
            length = vector_norm(values, norm)
        values *= bound / length
    if not vector_norm(values, norm) <= bound * (1 + SLACK):
        raise PrivacyError("E405", f"an update is longer than the clip norm {bound:g}")


def to_grid(values: np.ndarray, bound: float, summands: int) -> None:
    """Round ``values`` (d,), within ``bound``, in place and toward zero to a grid.

    The grid is the finest on which sums of ``summands`` such values, and as many again for
    canaries, are exact in float64 in any order. So a sum is the same on any number of workers, and
    one client moves it by what it adds, which rounded sums would not promise (Casacuberta,
    Shoemate, Vadhan, Wagaman, "Widespread Underestimation of Sensitivity in Differentially Private
    Libraries and How to Fix It", CCS 2022). Rounding toward zero lengthens nothing.

    Args:
        values: What is rounded.
        bound: Clip norm.
        summands: Contributions of a sum at most; public.
    """
    largest = math.frexp(bound)[1] + math.ceil(math.log2(summands)) + 1  # of a sum: 2^largest
    unit = max(math.ldexp(1.0, largest - MANTISSA), SMALLEST)
    values /= unit
    np.trunc(values, out=values)
    values *= unit


def finite(values: np.ndarray) -> np.ndarray:
    """Return a float64 copy of ``values``.

    Raises:
        ValueError: a value is not finite.
    """
    values = np.array(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("an update has values that are not finite")
    return values


def clipped_sum(rows: np.ndarray, mechanism: NoisedSum, within: int | None = None) -> ClippedSum:
    """Return the sum of the contributions ``rows`` (n, r), each clipped by ``mechanism`` once more.

    A client that did not clip, or whose clip was undone by rounding to float32, moves the sum by
    no more than the sensitivity. Rows are added in their order, in float64; n may be 0.

    Args:
        rows: Contributions of the clients.
        mechanism: Its clip is applied.
        within: Number of clients whose contribution needed no clip, where the clip adapts.

    Raises:
        ValueError: a row is not finite.
    """
    total = np.zeros(rows.shape[1])  # (r,)
    for row in rows:
        total += mechanism.clipped(row)
    return ClippedSum(total, len(rows), mechanism.bounds, mechanism.norm, within)
