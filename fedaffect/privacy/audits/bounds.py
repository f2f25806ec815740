"""Lower confidence bounds on epsilon from what an attacker got right.

Each function returns a number that the true epsilon exceeds with the stated confidence, provided
that the attacker's rule was fixed before the guesses were counted. 0 means: nothing shown.
Confidence is over the coins of the audit: who took part, and the noise of the mechanism.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.accountants import closed_form
from fedaffect.privacy.attacks.statistics import clopper_pearson
from fedaffect.privacy.base import Event

SHARES_GUESSED = (1.0, 0.5, 0.25, 0.125)
FEWEST_GUESSES = 8
_LARGEST = 500.0  # of an eps or a mu that is looked for


def clopper_pearson_eps(
    tp: int, positives: int, fp: int, negatives: int, delta: float, confidence: float = 0.95
) -> float:
    """Return a lower bound on eps from guesses on independent releases.

    The larger of ``log((TPR - delta) / FPR)`` and ``log((TNR - delta) / FNR)`` at the
    Clopper-Pearson ends, each at ``(1 + confidence) / 2``, so that both hold together. Source:
    Kairouz, Oh & Viswanath 2015 (error rates under DP); Jagielski, Ullman & Oprea 2020.

    Args:
        tp: Releases with the unit in which the attacker says "in", of ``positives``.
        positives: Independent releases with the unit.
        fp: Releases without the unit in which the attacker says "in", of ``negatives``.
        negatives: Independent releases without the unit.
        delta: Delta of the guarantee that is tested.
        confidence: Of the bound.
    """
    tpr, fpr = _worst_rates(tp, positives, fp, negatives, confidence)
    ratios = ((tpr - delta, fpr), (1 - fpr - delta, 1 - tpr))
    return max([0.0, *(math.log(above / below) for above, below in ratios if above > 0)])


def gdp_lower_bound(
    tp: int, positives: int, fp: int, negatives: int, confidence: float = 0.95
) -> float:
    """Return a lower bound on mu, if the mechanism is Gaussian: more is shown, more is assumed.

    ``mu >= Phi^-1(TPR) - Phi^-1(FPR)`` at the Clopper-Pearson ends; :func:`gdp_eps` turns it into
    eps. Source: Dong, Roth & Su 2022 (Gaussian DP); Nasr et al. 2023. The arguments are those of
    :func:`clopper_pearson_eps`.
    """
    from scipy.special import ndtri

    tpr, fpr = _worst_rates(tp, positives, fp, negatives, confidence)
    return float(ndtri(tpr) - ndtri(fpr)) if tpr > fpr else 0.0


def gdp_eps(mu: float, delta: float) -> float:
    """Return eps at ``delta`` > 0 of a mu-Gaussian mechanism (Balle & Wang 2018)."""
    return closed_form.epsilon(Event("gaussian", 1 / mu, 1.0, 1), delta) if mu > 0 else 0.0


def steinke_eps(m: int, r: int, v: int, delta: float, confidence: float = 0.95) -> float:
    """Return a lower bound on eps from one run with m canaries, of which r were guessed.

    Every canary took part by a fair coin of its own; the attacker guessed "in" or "out" r times
    and abstained from the others; v guesses were right. Source: Steinke, Nasr & Jagielski 2023,
    Theorem 5.2: for an (eps, delta) algorithm and W ~ Binomial(r, 1 / (1 + e^-eps)),
    ``P[right >= v] <= P[W >= v] + 2 m delta max_i P[v - i <= W < v] / i``.

    Args:
        m: Canaries.
        r: Guesses, fixed before the run, at most ``m``.
        v: Right guesses, at most ``r``.
        delta: Delta of the guarantee that is tested.
        confidence: Of the bound.

    Raises:
        ValueError: not 0 <= v <= r <= m.
    """
    _check_counts(m, r, v)
    return _largest_refuted(lambda eps: _p_value(m, r, v, eps, delta) <= 1 - confidence)


def steinke_mu(m: int, r: int, v: int, confidence: float = 0.95) -> float:
    """Return a lower bound on mu from one run with m canaries, if the mechanism is Gaussian.

    Tests the whole Gaussian trade-off curve where :func:`steinke_eps` tests one point of it.
    Source: Mahloujifar, Melis & Chaudhuri 2024, "Auditing f-differential privacy in one run",
    the algorithm with abstention; its blow-up function is ``Phi(Phi^-1(x) + mu)``. The arguments
    and errors are those of :func:`steinke_eps`.
    """
    _check_counts(m, r, v)
    return _largest_refuted(lambda mu: _refutes_gaussian(m, r, v, mu, 1 - confidence))


def best_possible(m: int, delta: float, confidence: float = 0.95) -> float:
    """Return the bound of :func:`steinke_eps` where every one of m canaries is guessed right."""
    return steinke_eps(m, m, m, delta, confidence)


@dataclass(frozen=True)
class OneRunBound:
    """The best one-run bound over a small family of guess counts, all of which are paid for.

    Args:
        eps: Lower bound on eps.
        guesses: Guesses r behind ``eps``.
        right: Right guesses v among them.
        best_possible: Largest ``eps`` that this many canaries could have shown.
        tried: Guess counts that were tried.
        mu: Lower bound on mu, if the mechanism is Gaussian.
    """

    eps: float
    guesses: int
    right: int
    best_possible: float
    tried: int
    mu: float


def best_steinke(
    scores: np.ndarray, included: np.ndarray, delta: float, confidence: float = 0.95
) -> OneRunBound:
    """Return the best one-run bound where the attacker may abstain.

    Guesses r are ``SHARES_GUESSED`` of the canaries, at least ``FEWEST_GUESSES``: the highest half
    of them "in", the lowest "out". The family is fixed beforehand and each member tested at
    ``1 - confidence`` over their number (Bonferroni). Equal scores count against the attacker, so
    that the order of the canaries never helps.

    Args:
        scores: Score of each canary, higher is "in", (m,); NaN counts as lowest.
        included: Who took part, (m,) bool, by a fair coin each.
        delta: Delta of the guarantee that is tested.
        confidence: Of the bound.
    """
    m = len(scores)
    counts = [int(share * m) for share in SHARES_GUESSED]
    counts = [r for r in counts if r >= FEWEST_GUESSES] or [m]
    each = 1 - (1 - confidence) / len(counts)
    lowest_first = np.lexsort((~included, np.nan_to_num(scores, nan=-np.inf)))
    member = included[lowest_first]
    right = [int(member[m - r + r // 2 :].sum() + (~member[: r // 2]).sum()) for r in counts]
    bounds = [steinke_eps(m, r, v, delta, each) for r, v in zip(counts, right, strict=True)]
    best = int(np.argmax(bounds))
    return OneRunBound(
        eps=bounds[best],
        guesses=counts[best],
        right=right[best],
        best_possible=best_possible(m, delta, each),
        tried=len(counts),
        mu=max(steinke_mu(m, r, v, each) for r, v in zip(counts, right, strict=True)),
    )


def hockey_stick_eps(
    inside: np.ndarray,
    outside: np.ndarray,
    delta: float,
    confidence: float = 0.95,
    bins: int = 200,
) -> float:
    """Return a lower bound on eps from draws of a release with and without the unit.

    The hockey-stick divergence at eps is ``P(S) - e^eps Q(S)`` on the set S where P / Q exceeds
    e^eps. On every second draw, S is chosen: as many bins of a histogram, by falling ratio, as
    bound eps best, in either direction. On the others it is tested by :func:`clopper_pearson_eps`.
    Bins are narrow in both tails, where a small delta decides. Source: Balle, Barthe & Gaboardi
    2018 (hockey-stick divergence).

    Args:
        inside: Independent draws with the unit, (m,), such as log likelihood ratios.
        outside: Independent draws without it, (k,).
        delta: Delta of the guarantee that is tested.
        confidence: Of the bound.
        bins: Largest number of bins.
    """
    chosen, tested = slice(0, None, 2), slice(1, None, 2)
    pooled = np.concatenate([inside[chosen], outside[chosen]])
    if len(pooled) < 4 or min(len(inside), len(outside)) < 2:
        return 0.0
    tail = np.geomspace(min(0.25, 10 / len(pooled)), 0.5, bins // 2)
    edges = np.unique(np.quantile(pooled, np.concatenate([tail, 1 - tail])))
    p, q = (_histogram(draws[chosen], edges) for draws in (inside, outside))
    regions = _regions(p, q)
    strict = 1 - (1 - confidence) / len(regions)  # the best of many is not the luckiest
    region = max(regions, key=lambda bins: _bound_of(p, q, bins, delta, strict))
    p, q = (_histogram(draws[tested], edges) for draws in (inside, outside))
    return _bound_of(p, q, region, delta, confidence)


def _regions(p: np.ndarray, q: np.ndarray) -> list[np.ndarray]:
    """Return sets of bins on which one of the counts p, q (b,) surely exceeds the other.

    Bins enter by falling lower end of their log ratio, four deviations down, so that a bin with few
    draws does not come first by luck.
    """
    deviation = np.sqrt(1 / (p + 0.5) + 1 / (q + 0.5))
    ratio = np.log((p + 0.5) / (q + 0.5))
    orders = [np.argsort(4 * deviation - r, kind="stable") for r in (ratio, -ratio)]
    return [order[: k + 1] for order in orders for k in range(len(order))]


def _bound_of(
    p: np.ndarray, q: np.ndarray, bins: np.ndarray, delta: float, confidence: float
) -> float:
    """Return the bound of an attacker who says "in" where a draw falls into ``bins``."""
    inside, outside = int(p[bins].sum()), int(q[bins].sum())
    return clopper_pearson_eps(inside, int(p.sum()), outside, int(q.sum()), delta, confidence)


def _worst_rates(
    tp: int, positives: int, fp: int, negatives: int, confidence: float
) -> tuple[float, float]:
    """Return a lower end of TPR and an upper end of FPR that hold together."""
    tpr, _ = clopper_pearson(tp, positives, confidence)
    _, fpr = clopper_pearson(fp, negatives, confidence)
    return tpr, fpr


def _check_counts(m: int, r: int, v: int) -> None:
    if not 0 <= v <= r <= m:
        raise ValueError(f"{v} right of {r} guesses on {m} canaries")


def _p_value(m: int, r: int, v: int, eps: float, delta: float) -> float:
    """Return the chance of v right guesses or more under (eps, delta), at most; rises with eps.

    ``max_i`` of ``P[W >= v] + w_i P[v - i <= W < v]`` with ``w_i = 2 m delta / i``, written as
    ``(1 - w_i) P[W >= v] + w_i P[W >= v - i]``. Where w_i exceeds 1 its first factor is cut at 0:
    larger, and it still rises with eps.
    """
    from scipy.special import bdtrc, expit

    if v == 0:
        return 1.0
    beta = float(bdtrc(v - 1, r, expit(eps)))
    if delta == 0:
        return beta
    i = np.arange(1, v + 1)
    weight = 2 * m * delta / i
    at_least = np.append(bdtrc(v - 1 - i[:-1], r, expit(eps)), 1.0)  # P[W >= v - i]
    return max(beta, float(np.max(np.maximum(0, 1 - weight) * beta + weight * at_least)))


def _refutes_gaussian(m: int, r: int, v: int, mu: float, level: float) -> bool:
    """Return whether v right of r guesses on m canaries happen too rarely under mu-GDP.

    Runs the paper's recursion from v right guesses down to none: ``right`` and ``wrong`` bound the
    joint mass of right and of wrong guesses from below if the event had probability ``level``;
    together they cannot exceed r / m.
    """
    from scipy.special import ndtr, ndtri

    if not v:
        return False
    right, wrong = level * v / m, level * (r - v) / m
    for i in range(v - 1, -1, -1):
        more = max(wrong, float(ndtr(ndtri(right) - mu)))
        if more == wrong:
            break
        right, wrong = min(1.0, right + i / (r - i) * (more - wrong)), more
    return right + wrong > r / m


def _largest_refuted(refuted: Callable[[float], bool]) -> float:
    """Return the largest value that is refuted, rounded down; 0 where none is."""
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high) and high < _LARGEST:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def _histogram(draws: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many draws fall between ``edges`` (b,), below and above them, (b + 1,)."""
    return np.bincount(np.searchsorted(edges, draws, side="right"), minlength=len(edges) + 1)
