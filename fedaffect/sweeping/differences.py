"""The difference of one figure between two runs, with its 95 % interval over people."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fedaffect.comparison_record import Difference
from fedaffect.metrics import LEVEL, resample_people
from fedaffect.record import Estimate

SEED = 0  # of the resamples: a comparison of the same runs says the same


def paired(label: str, baseline: Mapping[str, float], other: Mapping[str, float]) -> Difference:
    """Return the mean over people of ``other - baseline``, for the same people in both.

    A person is drawn with both figures (cluster bootstrap over people, percentile interval; Field
    & Welsh 2007), so that what makes a person easy or hard cancels. One person says nothing about
    others: the interval is then [-1, 1].

    Args:
        label: Label of the other run.
        baseline: Person to figure in [0, 1].
        other: The same people, in the other run.
    """
    people = sorted(baseline)
    each = np.array([other[p] - baseline[p] for p in people])
    low, high = -1.0, 1.0
    if len(people) > 1:
        means = resample_people(each[:, np.newaxis], SEED)[:, 0] / len(people)
        tail = (1 - LEVEL) / 2
        low, high = (float(end) for end in np.quantile(means, [tail, 1 - tail]))
    return Difference(
        label=label,
        value=float(each.mean()),
        low=low,
        high=high,
        n_people=len(people),
        how="paired",
    )


def unpaired(label: str, baseline: Estimate, other: Estimate, reason: str) -> Difference:
    """Return ``other - baseline`` with the interval that their own two intervals give.

    The variances are recovered from the ends of both intervals, as if the runs were independent
    (Zou & Donner 2008, "Construction of confidence limits about effect measures", section 2);
    that is too wide where the same people make both figures rise and fall together.

    Args:
        label: Label of the other run.
        baseline: Figure of the baseline.
        other: Figure of the other run.
        reason: Why the runs are not paired.
    """
    if baseline.value is None or other.value is None:
        return untold(label, "one of the figures is undefined")
    value = other.value - baseline.value
    ends = (baseline.low, baseline.high, other.low, other.high)
    if any(end is None for end in ends):
        return Difference(label=label, value=value, how="unpaired", reason=reason)
    a_low, a_high, b_low, b_high = (float(end) for end in ends if end is not None)
    below = math.hypot(other.value - b_low, a_high - baseline.value)
    above = math.hypot(b_high - other.value, baseline.value - a_low)
    return Difference(
        label=label,
        value=value,
        low=max(-1.0, value - below),
        high=min(1.0, value + above),
        how="unpaired",
        reason=reason,
    )


def untold(label: str, reason: str) -> Difference:
    """Return that there is no difference to tell, and why."""
    return Difference(label=label, value=None, how="none", reason=reason)
