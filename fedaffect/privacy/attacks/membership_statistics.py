"""How well a score tells members from non-members: curves, intervals and luck, by person.

People are exchangeable, windows are not: intervals and tests draw people, on both sides.
Shapes: n scores, P people, M members, K non-members (people), R resamples or permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fedaffect.audit_record import RocPoint
from fedaffect.metrics import room_at_the_ends
from fedaffect.privacy.attacks.statistics import RESAMPLES, auc, roc, tpr_at
from fedaffect.record import Estimate
from fedaffect.rng import generator

CHANCE = 0.5
LEVEL = 0.05  # of the test behind the word "detected"
FALSE_POSITIVE_RATES = ("0.01", "0.001")
_PERMUTATIONS = 999
_ROC_POINTS = 100
_THRESHOLDS = 150


@dataclass(frozen=True, eq=False)
class MembershipScores:
    """Scores of members and non-members; nobody is both.

    Args:
        scores: Higher is "member", (n,), finite.
        subject: Whose they are, (n,) int64.
        member: Whether that person took part, (n,) bool.
        seed: Master seed of resamples and permutations.
    """

    scores: np.ndarray
    subject: np.ndarray
    member: np.ndarray
    seed: int

    @property
    def inside(self) -> np.ndarray:
        """Scores of members."""
        inside: np.ndarray = self.scores[self.member]
        return inside

    @property
    def outside(self) -> np.ndarray:
        """Scores of non-members."""
        outside: np.ndarray = self.scores[~self.member]
        return outside

    def by_person(self) -> MembershipScores:
        """Return the mean score of each person."""
        people, first, who = np.unique(self.subject, return_index=True, return_inverse=True)
        means = np.bincount(who, self.scores) / np.bincount(who)
        return MembershipScores(means, people, self.member[first], self.seed)

    def auc(self, confidence: float = 0.95) -> Estimate:
        """Return the area under the ROC with its interval over people."""
        members, others = np.flatnonzero(self._took_part), np.flatnonzero(~self._took_part)
        wins, sizes = self._wins[np.ix_(members, others)], self._sizes
        low, high = auc_interval(wins, sizes[members], sizes[others], confidence)
        value = auc(self.inside, self.outside)
        return Estimate(value=value, low=low, high=high, chance=CHANCE, n_people=len(sizes))

    @cached_property
    def without_a_leak(self) -> np.ndarray:
        """Areas under the ROC if who took part is drawn anew among the people, (R,)."""
        took_part = self._permuted.astype(np.float64)
        wins = ((took_part @ self._wins) * (1 - took_part)).sum(axis=1)
        areas: np.ndarray = wins / ((took_part @ self._sizes) * ((1 - took_part) @ self._sizes))
        return areas

    @property
    def p_value(self) -> float:
        """Chance of an area at least as large if membership leaves no trace."""
        observed = auc(self.inside, self.outside)
        as_large = int((self.without_a_leak >= observed - 1e-12).sum())
        return (1 + as_large) / (1 + _PERMUTATIONS)

    def tpr_at_fpr(self) -> dict[str, Estimate]:
        """Return FPR to TPR with its interval; no value below one over the non-members."""
        return {text: self._tpr(float(text)) for text in FALSE_POSITIVE_RATES}

    def roc(self) -> tuple[RocPoint, ...]:
        """Return at most 100 points for logarithmic axes, FPR at least 1 / non-members."""
        false, true = roc(self.inside, self.outside)
        false = np.round(false * len(self.outside)) / len(self.outside)  # whole non-members
        last = np.append(np.diff(false) > 0, True) & (false > 0)  # the best TPR of each FPR
        false, true = false[last], true[last]
        wanted = np.geomspace(false[0], 1, _ROC_POINTS)
        kept = np.unique(np.searchsorted(false, wanted - 1e-12).clip(0, len(false) - 1))
        return tuple(RocPoint(fpr=float(false[i]), tpr=float(true[i])) for i in kept)

    @cached_property
    def _who(self) -> np.ndarray:
        return np.unique(self.subject, return_inverse=True)[1]

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Number of scores of each person, (P,)."""
        return np.bincount(self._who)

    @cached_property
    def _took_part(self) -> np.ndarray:
        return np.bincount(self._who, self.member) > 0

    @cached_property
    def _permuted(self) -> np.ndarray:
        """Who took part if that is drawn anew among the people, (R, P) bool."""
        draw = generator(self.seed, "membership", "permutation", len(self._sizes))
        return draw.permuted(np.tile(self._took_part, (_PERMUTATIONS, 1)), axis=1)

    @cached_property
    def _wins(self) -> np.ndarray:
        """How often a score of one person is above one of another, (P, P); ties count half."""
        wins = np.empty((len(self._sizes), len(self._sizes)))
        for person in range(len(wins)):
            own = np.sort(self.scores[self._who == person])
            below = np.searchsorted(own, self.scores), np.searchsorted(own, self.scores, "right")
            wins[:, person] = np.bincount(self._who, (below[0] + below[1]) / 2)
        return wins

    def _tpr(self, fpr: float) -> Estimate:
        """Return TPR at ``fpr`` with its percentile interval over people.

        With few non-members the bootstrap is too sure: the interval is extended to chance unless
        permuted people reach the TPR in less than 2.5 % of cases.
        """
        value = tpr_at(self.inside, self.outside, fpr)
        if value is None:
            needed, there = round(1 / fpr), len(self.outside)
            note = f"not resolvable: needs {needed} non-members, there are {there}"
            return Estimate(value=None, chance=fpr, note=note)
        times = self._resampled(self._took_part) + self._resampled(~self._took_part)
        low, high = np.quantile(self._tpr_of(times, self._took_part, fpr), [0.025, 0.975])
        luck = self._tpr_of(np.ones_like(self._permuted), self._permuted, fpr)
        if (luck >= value).mean() > 0.025:
            low = min(float(low), fpr)
        ends = min(value, float(low)), max(value, float(high))
        low, high = room_at_the_ends(value, *ends, int(self._took_part.sum()))
        return Estimate(
            value=value,
            low=low,
            high=high,
            chance=fpr,
            n_people=len(self._sizes),
        )

    def _resampled(self, side: np.ndarray) -> np.ndarray:
        """Return how often each person of ``side`` (P,) is drawn, others 0, (R, P)."""
        draw = generator(self.seed, "membership", "bootstrap", int(side.sum()), int(side[0]))
        return draw.multinomial(int(side.sum()), side / side.sum(), size=RESAMPLES)

    def _tpr_of(self, times: np.ndarray, took_part: np.ndarray, fpr: float) -> np.ndarray:
        """Return TPR at ``fpr`` for people weighted by times (R, P), (R,)."""
        false, true = (
            (weights @ self._above) / (weights @ self._sizes)[:, None]
            for weights in (times * ~took_part, times * took_part)
        )  # both (R, t), falling to 0
        first = (false <= fpr + 1e-12).argmax(axis=1)
        reached: np.ndarray = np.take_along_axis(true, first[:, None], 1)[:, 0]
        return reached

    @cached_property
    def _above(self) -> np.ndarray:
        """Number of scores of each person above ascending thresholds, (P, t)."""
        levels = 1 - np.append(np.geomspace(1 / len(self.scores), 1, _THRESHOLDS), 0)
        each = [np.quantile(s, levels, method="higher") for s in (self.scores, self.outside)]
        thresholds = np.unique(np.concatenate(each))
        return np.stack([np.bincount(self._who, self.scores > t) for t in thresholds], axis=1)


def auc_interval(
    wins: np.ndarray, members: np.ndarray, others: np.ndarray, confidence: float
) -> tuple[float, float]:
    """Return the interval of the area under the ROC of clustered scores.

    Variance of Obuchowski 1997 (Biometrics 53:567), Student's t with the degrees of freedom of
    Welch and Satterthwaite, since people are few. With separated scores that variance is 0, so
    the interval also covers the one with a person at chance added on each side, in the manner of
    Agresti & Coull 1998. Fewer than two people on a side give (0, 1).

    Args:
        wins: How often a score of one person is above one of another, (M, K); ties count half.
        members: Number of scores of each member, (M,).
        others: Number of scores of each non-member, (K,).
        confidence: Of the interval.
    """
    if min(wins.shape) < 2:
        return 0.0, 1.0
    one, other = members.mean(), others.mean()
    right = np.append(members * other, one * other)[:, None] / 2
    padded = np.hstack([np.vstack([wins, one * others / 2]), right])
    ends = [
        _student_interval(wins, members, others, confidence),
        _student_interval(padded, np.append(members, one), np.append(others, other), confidence),
    ]
    return max(0.0, min(low for low, _ in ends)), min(1.0, max(high for _, high in ends))


def _student_interval(
    wins: np.ndarray, members: np.ndarray, others: np.ndarray, confidence: float
) -> tuple[float, float]:
    from scipy.special import stdtrit

    area = float(wins.sum() / (members.sum() * others.sum()))
    parts, freedom = [], []
    for of_person, sizes, opposite in (
        (wins.sum(axis=1), members, others),
        (wins.sum(axis=0), others, members),
    ):
        people = len(sizes)
        residual = of_person / opposite.sum() - sizes * area
        parts.append(people / (people - 1) * float((residual**2).sum()) / float(sizes.sum()) ** 2)
        freedom.append(people - 1)
    variance = sum(parts)
    if variance == 0:
        return area, area
    df = variance**2 / sum(part**2 / f for part, f in zip(parts, freedom, strict=True))
    half = float(stdtrit(df, (1 + confidence) / 2)) * float(np.sqrt(variance))
    return area - half, area + half


@dataclass(frozen=True)
class Headline:
    """The strongest of several scores, paid for: intervals and p-values know of all of them.

    Args:
        best: Position of the strongest.
        figure: Its area under the ROC, interval at 1 - 0.05 / number of scores.
        p_value: Of the smallest, times their number.
        deviation: Of the area of the best where nothing leaks.
    """

    best: int
    figure: Estimate
    p_value: float
    deviation: float

    @property
    def detected(self) -> bool:
        """Whether luck explains the scores in at most 5 % of cases."""
        return self.p_value <= LEVEL


def strongest(scored: Sequence[MembershipScores]) -> Headline:
    """Return the score whose area under the ROC is shown to be largest: by its lower end."""
    count = len(scored)
    estimates = [scores.auc(1 - LEVEL / count) for scores in scored]
    best = int(np.argmax([estimate.low or 0.0 for estimate in estimates]))
    p_value = min(1.0, count * min(scores.p_value for scores in scored))
    deviation = float(scored[best].without_a_leak.std())
    return Headline(best, estimates[best], p_value, deviation)
