"""Scores of attempts to pass as each of some people, and how well they tell people apart.

What is the same person's is genuine, everything else an impostor. Intervals are over people and
null figures permute whole people. Shapes: m attempts, P people, T thresholds, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fedaffect.audit_record import RocPoint
from fedaffect.metrics import estimate, interval_of, room_at_the_ends
from fedaffect.privacy.attacks.naming import permutations
from fedaffect.privacy.attacks.statistics import RESAMPLES, equal_error_rate, roc, tpr_at
from fedaffect.record import Estimate
from fedaffect.rng import generator

CHANCE = 0.5  # of an equal error rate
MOST_THRESHOLDS = 200  # of resamples and permutations; the figure itself uses every score
MOST_POINTS = 200


@dataclass(frozen=True)
class PairScores:
    """How alike every attempt is to every enrolled person.

    Args:
        name: Name of the score.
        scores: Higher is more alike, (m, P), finite.
        owner: Whose attempt it is, (m,), position among the P people.
    """

    name: str
    scores: np.ndarray
    owner: np.ndarray

    @cached_property
    def genuine(self) -> np.ndarray:
        """Scores against the own enrolment, (m,)."""
        own: np.ndarray = self.scores[np.arange(len(self.owner)), self.owner]
        return own

    @cached_property
    def impostor(self) -> np.ndarray:
        """Scores against the enrolment of others, (m (P - 1),)."""
        others = np.arange(self.scores.shape[1]) != self.owner[:, None]
        foreign: np.ndarray = self.scores[others]
        return foreign

    @property
    def people(self) -> int:
        """Number P of people."""
        return int(self.scores.shape[1])

    @property
    def eer(self) -> float:
        """Rate at which genuine attempts fail as often as impostors pass."""
        return equal_error_rate(self.genuine, self.impostor)

    @property
    def d_prime(self) -> float:
        """Distance of the mean scores in deviations (Green & Swets 1966); 0 for constants."""
        spread = np.sqrt((self.genuine.var() + self.impostor.var()) / 2)
        return float((self.genuine.mean() - self.impostor.mean()) / spread) if spread else 0.0

    @property
    def pairs(self) -> int:
        """Pairs of different people, P (P - 1): the independent impostors there are at most."""
        return self.people * (self.people - 1)

    def curve(self) -> tuple[RocPoint, ...]:
        """Return the ROC at false positive rates from 1 / ``pairs`` to 1."""
        false, true = roc(self.genuine, self.impostor)
        at = np.geomspace(1 / self.pairs, 1, MOST_POINTS)
        reached = true[np.searchsorted(false, at * (1 + 1e-12), side="right") - 1]
        kept = [0, *(np.flatnonzero(np.diff(reached)) + 1), len(at) - 1]
        return tuple(RocPoint(fpr=at[i], tpr=reached[i]) for i in dict.fromkeys(kept))

    def tpr_at(self, fpr: float, seed: int) -> Estimate:
        """Return the TPR at ``fpr`` with its interval over people, where pairs resolve it."""
        if fpr < 1 / self.pairs:
            note = f"not resolvable with {self.pairs} pairs of people"
            return Estimate(value=None, chance=fpr, n_people=self.people, note=note)
        true, false = _rates(*_resampled(self._passed, seed))
        reached = np.where(false <= fpr, true, 0.0).max(axis=1)
        low, high = np.nanquantile(reached, [0.025, 0.975])
        value = tpr_at(self.genuine, self.impostor, fpr)
        assert value is not None  # there are as many impostors as pairs, or more
        low, high = room_at_the_ends(value, float(low), float(high), self.people)
        return Estimate(value=value, low=low, high=high, chance=fpr, n_people=self.people)

    def d_prime_interval(self, seed: int) -> tuple[float, float]:
        """Return the 95 % interval of d' over people; (-inf, inf) where it is undefined."""
        ones = np.ones_like(self.scores)
        moments = self._by_pair(np.stack([ones, self.scores, self.scores**2], axis=-1))
        genuine, impostor = _resampled(moments, seed)  # (R, 3) each
        with np.errstate(invalid="ignore", divide="ignore"):
            (mean, square), (other, other_square) = (
                (m[:, 1:] / m[:, :1]).T for m in (genuine, impostor)
            )
            spread = np.sqrt((square - mean**2 + other_square - other**2) / 2)
            distances = (mean - other) / spread
        distances = distances[np.isfinite(distances)]
        if not len(distances):
            return -np.inf, np.inf
        low, high = np.quantile(distances, [0.025, 0.975])
        return float(low), float(high)

    def resampled_eer(self, seed: int) -> np.ndarray:
        """Return the EER of resamples of people, (R,); NaN where only one person is left.

        Resamples depend on ``seed`` and P only, so that scores can be compared on equal people.
        """
        return _eer(*_resampled(self._passed, seed))

    def permuted_eer(self, seed: int) -> np.ndarray:
        """Return the EER under permutations of enrolled people, (R,); the first is the identity."""
        total = self._passed.sum(axis=(0, 1))  # (T,)
        everyone = np.arange(self.people)
        orders = permutations(self.people, seed)
        genuine = np.stack([self._passed[everyone, order].sum(axis=0) for order in orders])
        return _eer(genuine, total - genuine)

    @cached_property
    def _passed(self) -> np.ndarray:
        """Attempts of person i at person j that pass each threshold, descending, (P, P, T)."""
        most = max(20, min(MOST_THRESHOLDS, 10_000 // self.people))
        cuts = np.unique(self.scores)
        if len(cuts) > most:
            cuts = np.quantile(self.scores, np.linspace(0, 1, most))
        passed = np.zeros((self.people, self.people, len(cuts) + 1))
        for person in range(self.people):
            own = np.sort(self.scores[self.owner == person], axis=0)  # (attempts, P)
            for other in range(self.people):
                below = np.searchsorted(own[:, other], cuts)
                passed[person, other, 1:] = (len(own) - below)[::-1]
        return passed

    def _by_pair(self, values: np.ndarray) -> np.ndarray:
        """Return sums of ``values`` (m, P, K) over the attempts of every person, (P, P, K)."""
        sums = np.zeros((self.people, *values.shape[1:]))
        np.add.at(sums, self.owner, values)
        return sums


def strongest_eer(attacks: Sequence[PairScores], seed: int) -> Estimate:
    """Return the lowest EER, with an interval over people that pays for choosing it."""
    best = min(scores.eer for scores in attacks)
    drawn = np.min([scores.resampled_eer(seed) for scores in attacks], axis=0)
    interval = interval_of(best, drawn, attacks[0].people)
    assert interval is not None  # a rate of real scores
    return estimate(interval, CHANCE)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Return the rows of ``x`` (m, H) at length 1; a row of zeros stays."""
    scaled = x / np.maximum(np.abs(x).max(axis=1, keepdims=True), 1e-300)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit: np.ndarray = scaled / np.where(length > 0, length, 1)
    return unit


def _resampled(counts: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (genuine, impostor) sums of resamples of people, (R, K) each, for (P, P, K).

    A pair of different people counts as often as both were drawn together; a person who is drawn
    twice is no impostor of itself.
    """
    people = len(counts)
    draw = generator(seed, "bootstrap", "pairs", people)
    equal = np.full(people, 1 / people)
    times = draw.multinomial(people, equal, size=RESAMPLES).astype(np.float64)  # (R, P)
    own = counts[np.arange(people), np.arange(people)]  # (P, K)
    at_others = np.tensordot(times, counts, axes=1)  # (R, P, K)
    impostor = np.einsum("rp,rpk->rk", times, at_others) - times**2 @ own
    return times @ own, impostor


def _eer(genuine: np.ndarray, impostor: np.ndarray) -> np.ndarray:
    """Return the EER of counts that pass each threshold, (R, T) each, ascending; NaN if none."""
    true, false = _rates(genuine, impostor)
    gap = np.abs(false - (1 - true))
    at = np.nan_to_num(gap, nan=2.0).argmin(axis=1)[:, None]
    rates: np.ndarray = np.take_along_axis(false + 1 - true, at, axis=1)[:, 0] / 2
    return rates


def _rates(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (TPR, FPR), (R, T) each, of counts that pass each threshold; NaN without any."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return genuine / genuine[:, -1:], impostor / impostor[:, -1:]
