"""The few statistics that attacks share: rates, curves, intervals over people, smallest effects.

Shapes: m members (positives), k non-members (negatives), P people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fedaffect.rng import generator

RESAMPLES = 1000


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval of a rate (Clopper & Pearson 1934).

    Each side holds with ``(1 + confidence) / 2``.
    """
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the area under the ROC of scores (m,) and (k,): ties count half (Mann-Whitney)."""
    from scipy.stats import rankdata

    m, k = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (m * k))


def roc(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (FPR, TPR), both (t,) ascending from (0, 0) to (1, 1), a point for each threshold."""
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    above = [1 - np.searchsorted(np.sort(s), thresholds) / len(s) for s in (negative, positive)]
    return np.concatenate([[0.0], above[0]]), np.concatenate([[0.0], above[1]])


def tpr_at(positive: np.ndarray, negative: np.ndarray, fpr: float) -> float | None:
    """Return the largest TPR at an FPR of at most ``fpr``; ``None`` below 1 / non-members."""
    if fpr < 1 / len(negative):
        return None
    false, true = roc(positive, negative)
    return float(true[false <= fpr + 1e-12].max())


def equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return the rate at which genuine scores are refused as often as impostors pass."""
    false, true = roc(genuine, impostor)
    at = int(np.argmin(np.abs(false - (1 - true))))
    return float((false[at] + 1 - true[at]) / 2)


def over_people(
    statistic: Callable[[np.ndarray], float], people: Sequence[int] | np.ndarray, *, seed: int
) -> tuple[float, float]:
    """Return the 95 % percentile interval of ``statistic`` over resamples of people.

    Args:
        statistic: Positions in ``people`` (drawn with replacement, (P,)) to a score; NaN where
            it is undefined.
        people: The people, P of them; fewer than two give (0, 1).
        seed: Master seed of the resamples.
    """
    count = len(people)
    if count < 2:
        return 0.0, 1.0
    draws = generator(seed, "bootstrap", "attack", count).integers(0, count, (RESAMPLES, count))
    scores = np.array([statistic(drawn) for drawn in draws])
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return 0.0, 1.0
    low, high = np.quantile(scores, [0.025, 0.975])
    return float(low), float(high)


def smallest_effect(chance: float, deviation: float, power: float = 0.9) -> float:
    """Return the smallest figure that a one-sided 2.5 % test finds with ``power``.

    Args:
        chance: What the figure is without a leak.
        deviation: Standard deviation of the figure without a leak, over people.
        power: How often the effect has to be found.
    """
    from scipy.special import ndtri

    return float(min(1.0, chance + (ndtri(0.975) + ndtri(power)) * deviation))


def naming_cap(eps: float, delta: float, clients: int) -> float:
    """Return the most that anyone can reach in naming one of ``clients`` senders.

    Under replace-one (eps, delta) the probability of naming i when i sent is at most e^eps times
    that of naming i when j sent, plus delta. Summed over all i and j, with every sender equally
    likely: (e^eps + (N - 1) delta) / (e^eps + N - 1). It caps naming the sender of an upload, not
    recognising a person from signals.
    """
    grown = math.exp(min(eps, 700.0))
    return min(1.0, (grown + (clients - 1) * delta) / (grown + clients - 1))
