"""Lower bounds of privacy loss from the guesses of an attacker who sees many releases."""

from __future__ import annotations

import math

from scipy import stats


def at_least(successes: int, trials: int, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a rate."""
    if successes == 0:
        return 0.0
    return float(stats.beta.ppf(1 - confidence, successes, trials - successes + 1))


def at_most(successes: int, trials: int, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a rate."""
    return 1.0 - at_least(trials - successes, trials, confidence)


def eps_lower_bound(
    tp: int, positives: int, fp: int, negatives: int, delta: float, confidence: float = 0.95
) -> float:
    """Return an eps that an (eps, delta) mechanism exceeds with probability ``confidence``.

    Args:
        tp: Releases with the client in which the attacker says "in", of ``positives``.
        positives: Number of releases with the client.
        fp: Releases without the client in which the attacker says "in", of ``negatives``.
        negatives: Number of releases without the client.
        delta: Delta of the guarantee.
        confidence: Of the two one-sided bounds together.
    """
    side = 1 - (1 - confidence) / 2
    pairs = (
        (at_least(tp, positives, side), at_most(fp, negatives, side)),
        (at_least(negatives - fp, negatives, side), at_most(positives - tp, positives, side)),
    )
    ratios = [(low - delta) / high for low, high in pairs]
    return max(0.0, *(math.log(ratio) for ratio in ratios if ratio > 0))


def mu_estimate(tp: int, positives: int, fp: int, negatives: int) -> float:
    """Return the mu of the Gaussian trade-off curve on which the two rates lie."""
    return float(stats.norm.ppf(tp / positives) - stats.norm.ppf(fp / negatives))
