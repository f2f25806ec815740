"""How close reconstructed windows are to the true ones, and whether they name the person.

Shapes: B reconstructed windows, m true windows, F features, P attacked people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.attacks.base import IdentityAttack
from fedaffect.privacy.attacks.identity import LinearDiscriminant, scored
from fedaffect.privacy.attacks.statistics import over_people
from fedaffect.record import Estimate


@dataclass(frozen=True, eq=False)
class Attacked:
    """One person's windows beside what an attacker reconstructed, B pairs.

    Args:
        person: Index of the person.
        true: The true windows, each matched to one reconstructed, (B, F).
        made: The reconstructed windows, (B, F).
        labels: Task to (true labels, reconstructed labels), (B,) each.
    """

    person: int
    true: np.ndarray
    made: np.ndarray
    labels: Mapping[str, tuple[np.ndarray, np.ndarray]]


def matched(
    person: int,
    true: np.ndarray,
    made: np.ndarray,
    true_labels: Mapping[str, np.ndarray],
    made_labels: Mapping[str, np.ndarray],
) -> Attacked:
    """Return reconstructed windows (B, F) beside the nearest of the true ones (m, F), one each."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    of, to = linear_sum_assignment(cdist(made, true, "sqeuclidean"))
    labels = {t: (true_labels[t][to], y[of]) for t, y in made_labels.items()}
    return Attacked(person, true[to].astype(np.float64), made[of], labels)


def correlation(one: Attacked, columns: np.ndarray) -> float:
    """Return Pearson's correlation of true and reconstructed features; NaN where constant."""
    x, y = one.true[:, columns].ravel(), one.made[:, columns].ravel()
    if min(np.ptp(x), np.ptp(y)) < 1e-12:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def psnr(one: Attacked, peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB, at most 100; ``peak`` is the data's range."""
    error = float(np.mean((one.true - one.made) ** 2))
    return float(min(100.0, 10 * np.log10(peak**2 / max(error, 1e-300))))


def right_labels(one: Attacked, task: str) -> float:
    """Return the share of right labels among the windows that have one; NaN without."""
    true, made = one.labels[task]
    return float(np.mean(true[true >= 0] == made[true >= 0])) if (true >= 0).any() else float("nan")


def mean_over(
    attacked: Sequence[Attacked],
    score: Callable[[Attacked], float],
    chance: float | None,
    seed: int,
) -> Estimate:
    """Return the mean of a score with its interval over people."""
    scores = np.array([score(one) for one in attacked])
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return Estimate(value=None, chance=chance, note="undefined for everybody")
    ends: tuple[float | None, float | None] = (None, None)
    if len(scores) > 1:
        ends = over_people(lambda drawn: float(scores[drawn].mean()), scores, seed=seed)
    return Estimate(
        value=float(scores.mean()), low=ends[0], high=ends[1], chance=chance, n_people=len(scores)
    )


def renamed(
    name: str,
    attacked: Sequence[Attacked],
    windows: Callable[[Attacked], np.ndarray],
    enrol: np.ndarray,
    subject: np.ndarray,
    seed: int,
) -> IdentityAttack:
    """Return how often windows of attacked people are given to the right person.

    Args:
        name: Name of the attack.
        attacked: The people.
        windows: Which windows of theirs are named, (B, F).
        enrol: Enrolment windows, (n, F); none of those that are attacked.
        subject: Whose they are, (n,).
        seed: Master seed of the resamples.
    """
    test = np.concatenate([windows(one) for one in attacked])
    truth = np.concatenate([np.full(len(one.made), one.person) for one in attacked])
    answers = LinearDiscriminant().predict(enrol.astype(np.float64), subject, test, seed)
    return scored(name, answers, truth, subject, seed)
