"""Scores with intervals over people: windows of one person are no independent evidence.

A score is undefined (``None``, shown as "n/a (one class)") where a class is missing; it is never
replaced by 0 or 1. Shapes: P people, R resamples, ``counts[..., i, j]`` windows of true class i
that were called j.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.record import Estimate
from fedaffect.rng import generator

LEVEL = 0.95
Statistic = Callable[
    [np.ndarray], np.ndarray
]  # summed counts (..., C, C) -> scores (...), NaN: n/a


@dataclass(frozen=True)
class Interval:
    """A score in [0, 1] with its 95 % interval over people.

    Args:
        value: The score on all people.
        low: Lower end.
        high: Upper end.
        n_people: Number of people behind it; with few, the interval itself is unreliable.
    """

    value: float
    low: float
    high: float
    n_people: int


def accuracy_of(counts: np.ndarray) -> np.ndarray:
    """Return the share of right answers for confusion counts (..., C, C); NaN without windows."""
    right = np.trace(counts, axis1=-2, axis2=-1)
    return _ratio(right, counts.sum(axis=(-2, -1)))


def balanced_accuracy_of(counts: np.ndarray) -> np.ndarray:
    """Return the mean recall over classes for counts (..., C, C); NaN where a class is missing."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    score: np.ndarray = _ratio(right, counts.sum(axis=-1)).mean(axis=-1)
    return score


def macro_f1_of(counts: np.ndarray) -> np.ndarray:
    """Return the mean F1 over classes for counts (..., C, C); NaN where a true class is missing.

    A class that is never answered has F1 = 0, as 2 TP / (2 TP + FP + FN) says.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    true, called = counts.sum(axis=-1), counts.sum(axis=-2)
    f1: np.ndarray = _ratio(2 * right, true + called).mean(axis=-1)
    return np.where((true > 0).all(axis=-1), f1, np.nan)


STRESS_SCORES: Mapping[str, Statistic] = {
    "accuracy": accuracy_of,
    "balanced_accuracy": balanced_accuracy_of,
    "macro_f1": macro_f1_of,
}


def confusion(true: np.ndarray, predicted: np.ndarray, classes: int = 2) -> np.ndarray:
    """Return counts (classes, classes) of ``true`` (rows) against ``predicted``, both (N,)."""
    cells = np.asarray(true, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def accuracy(true: np.ndarray, predicted: np.ndarray) -> float | None:
    """Return the share of binary answers (N,) that are right; ``None`` without windows."""
    return _or_none(accuracy_of(confusion(true, predicted)))


def balanced_accuracy(true: np.ndarray, predicted: np.ndarray) -> float | None:
    """Return the mean recall of both classes; ``None`` where one is missing from ``true``."""
    return _or_none(balanced_accuracy_of(confusion(true, predicted)))


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float | None:
    """Return the mean F1 of both classes; ``None`` where one is missing from ``true``."""
    return _or_none(macro_f1_of(confusion(true, predicted)))


def counts_per_person(
    true: np.ndarray, predicted: np.ndarray, people: np.ndarray, classes: int = 2
) -> np.ndarray:
    """Return one confusion matrix for each distinct person of ``people`` (N,), (P, C, C)."""
    ids, who = np.unique(people, return_inverse=True)
    cells = (who * classes + np.asarray(true, dtype=np.int64)) * classes + predicted
    counts = np.bincount(cells.astype(np.int64), minlength=len(ids) * classes**2)
    return counts.reshape(len(ids), classes, classes)


def hits_per_person(true: np.ndarray, predicted: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return right and wrong answers of each person as counts (P, 2, 2) for ``accuracy_of``.

    For tasks of many classes, such as identity: row 0 holds right answers at [0, 0] and wrong
    ones at [0, 1].
    """
    wrong = (np.asarray(true) != np.asarray(predicted)).astype(np.int64)
    return counts_per_person(np.zeros_like(wrong), wrong, people)


def bootstrap_over_people(
    counts: np.ndarray, statistic: Statistic, *, seed: int, n_resamples: int = 1000
) -> Interval | None:
    """Return a score with its percentile interval from a cluster bootstrap over people.

    People are drawn with replacement, each with all windows. Resamples in which the score is
    undefined are left out. One person says nothing about others: the interval is then [0, 1]; for
    scores of 0 and 1 see :func:`room_at_the_ends`.
    Source: Field & Welsh 2007 (cluster bootstrap); Efron 1979 (percentile interval).

    Args:
        counts: Confusion counts of each person, (P, C, C), from :func:`counts_per_person`.
        statistic: Score of summed counts, such as :func:`macro_f1_of`.
        seed: Master seed; the resamples depend on it and on P only.
        n_resamples: Number R of resamples.

    Returns:
        The interval, or ``None`` where the score on all people is undefined.
    """
    value = statistic(counts.sum(axis=0))
    scores = statistic(resample_people(counts, seed, n_resamples))  # (R,)
    return interval_of(float(value), scores, len(counts))


def resample_people(counts: np.ndarray, seed: int, n_resamples: int = 1000) -> np.ndarray:
    """Return summed counts of resamples of people, (R, ...), for counts (P, ...).

    Two calls with the same seed and P draw the same people: paired comparisons are possible.
    """
    people = len(counts)
    if not people:
        return np.zeros((n_resamples, *counts.shape[1:]))
    rng = generator(seed, "bootstrap", people)
    times = rng.multinomial(people, np.full(people, 1 / people), size=n_resamples)  # (R, P)
    sums: np.ndarray = np.tensordot(times.astype(np.float64), counts, axes=1)
    return sums


def interval_of(value: float, scores: np.ndarray, n_people: int) -> Interval | None:
    """Return a rate with the percentile interval of resampled ``scores`` (R,), NaN left out."""
    if np.isnan(value):
        return None
    if n_people < 2:
        return Interval(value, 0.0, 1.0, n_people)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(scores[~np.isnan(scores)], [tail, 1 - tail])
    return Interval(value, *room_at_the_ends(value, float(low), float(high), n_people), n_people)


def room_at_the_ends(value: float, low: float, high: float, people: int) -> tuple[float, float]:
    """Return the interval of a rate, with room where resamples of people leave none.

    Where everybody is right, or nobody, all resamples agree, however few people there are. At 1
    and at 0 the interval therefore also covers that of Clopper & Pearson 1934 with people as
    trials: down to 0.025^(1/P), or up to 1 less that.

    Args:
        value: The rate.
        low: Lower end over resamples.
        high: Upper end over resamples.
        people: Number P of people behind it, at least 1.
    """
    least = ((1 - LEVEL) / 2) ** (1 / people)
    if value == 1:
        low = min(low, least)
    if value == 0:
        high = max(high, 1 - least)
    return low, high


def estimate(interval: Interval, chance: float | None) -> Estimate:
    """Return ``interval`` as it is recorded, beside its chance level."""
    return Estimate(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        chance=chance,
        n_people=interval.n_people,
    )


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of one figure over seeds; undefined where one is.

    An end of the interval is the mean of the ends. The standard deviation of a mean is at most the
    mean of the standard deviations, whatever the seeds share: the mean interval is not too short.
    """
    if len(estimates) == 1 or any(e.value is None for e in estimates):
        return next((e for e in estimates if e.value is None), estimates[0])

    def mean(part: Callable[[Estimate], float | None]) -> float | None:
        known = [value for e in estimates if (value := part(e)) is not None]
        return float(np.mean(known)) if len(known) == len(estimates) else None

    return Estimate(
        value=mean(lambda e: e.value),
        low=mean(lambda e: e.low),
        high=mean(lambda e: e.high),
        chance=mean(lambda e: e.chance),
        n_people=min(e.n_people for e in estimates),
        note=f"mean of {len(estimates)} seeds",
    )


def stress_scores(
    true: np.ndarray, predicted: np.ndarray, people: np.ndarray, *, seed: int
) -> dict[str, Interval | None]:
    """Return accuracy, balanced accuracy and macro F1 of binary answers, each with its interval.

    Args:
        true: 0 or 1 for each window, (N,).
        predicted: 0 or 1 for each window, (N,).
        people: Whose window it is, (N,).
        seed: Master seed of the resamples.
    """
    counts = counts_per_person(true, predicted, people)
    return {
        name: bootstrap_over_people(counts, statistic, seed=seed)
        for name, statistic in STRESS_SCORES.items()
    }


def stress_chance(true: np.ndarray) -> dict[str, float | None]:
    """Return what is reached without looking at the data, by the most common class or a coin.

    With a share p of the most common class: accuracy p; balanced accuracy 1/2; macro F1 of
    answering that class always, p / (1 + p). ``None`` where the score is undefined.
    """
    shares = np.bincount(np.asarray(true, dtype=np.int64), minlength=2) / max(1, len(true))
    p = float(shares.max())
    both = bool((shares > 0).all())
    return {
        "accuracy": p if len(true) else None,
        "balanced_accuracy": 0.5 if both else None,
        "macro_f1": p / (1 + p) if both else None,
    }


def identity_chance(people: int) -> float:
    """Return the chance level 1/N of naming one of N enrolled people."""
    return 1 / people


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole`` with NaN where ``whole`` is 0."""
    undefined = np.full(np.shape(part), np.nan)
    ratio: np.ndarray = np.divide(part, whole, out=undefined, where=np.asarray(whole) > 0)
    return ratio


def _or_none(score: np.ndarray) -> float | None:
    return None if np.isnan(score) else float(score)
