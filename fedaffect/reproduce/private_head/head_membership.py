"""Who took part, from the released heads: the attacker who has everybody's data.

In every fold one person is left out and the others take part. The attacker has the data of all of
them and the heads before and after every round, and asks of a person: is it likelier that this one
took part, or was left out? With Gaussian noise of known size that is the likelihood-ratio test,
which no test beats (Neyman & Pearson 1933): the worst case that differential privacy is about.
Shapes as in ``head_rounds``.
"""

from __future__ import annotations

import numpy as np

from fedaffect.privacy.attacks.statistics import auc
from fedaffect.record import Estimate
from fedaffect.reproduce.private_head.head_rounds import Rounds
from fedaffect.reproduce.private_head.people_scores import mean_over_people

LEAST_SD = 1e-9  # stands for the rounding of a release without noise
NOT_RELEASED = Estimate(value=None, note="not run (nothing of them is released)")


def log_likelihoods(rounds: Rounds, sizes: np.ndarray | None = None) -> np.ndarray:
    """Return how likely the released heads are if a person was left out, up to a constant.

    Args:
        rounds: What was released, and what everybody would have added.
        sizes: Windows of each person where the step is a weighted mean, (P,); ``None`` where it
            is a sum with a fixed denominator.

    Returns:
        Log-likelihood that person p was left out of fold f in draw d, (P, F, D).
    """
    people = len(rounds.added[0])
    planned = people - 1
    steps = np.diff(rounds.heads, axis=0)  # (T, F, D, H + 1)
    everybody = rounds.added.sum(axis=1)  # (T, F, D, H + 1)
    found = np.zeros((people, *steps.shape[1:3]))
    for person in range(people):
        others = planned if sizes is None else float(sizes.sum() - sizes[person])
        expected = (everybody - rounds.added[:, person]) / others
        sd = max(rounds.noise_sd / planned, LEAST_SD)
        found[person] = -((steps - expected) ** 2).sum(axis=(0, 3)) / (2 * sd**2)
    return found


def membership(rounds: Rounds, found: np.ndarray, seed: int) -> Estimate:
    """Return the area under the ROC of "took part", mean over people.

    Each person's heads without them are compared with all heads that they took part in; the score
    is the logarithm of the likelihood ratio.

    Args:
        rounds: What was released.
        found: Log-likelihoods (P, F, D).
        seed: Master seed of the resamples.
    """
    areas = []
    for person in np.unique(rounds.left_out):
        others = np.delete(found, person, axis=0)  # (P - 1, F, D)
        took_part = np.logaddexp.reduce(others, axis=0) - np.log(len(others))
        ratio = took_part - found[person]  # (F, D)
        absent = rounds.left_out == person
        areas.append(auc(ratio[~absent].ravel(), ratio[absent].ravel()))
    return mean_over_people(np.array(areas), seed)


def largest_area(noise_multiplier: float, rounds: int) -> float:
    """Return the area that no attacker exceeds: mu-GDP for the exchange of two clients.

    The heads without one person and those without another differ by two contributions, so mu is
    2 sqrt(T) / z; the area under the trade-off curve of mu is Phi(mu / sqrt 2) (Dong, Roth & Su
    2022, section 2).

    Args:
        noise_multiplier: z, noise / clip norm of one release.
        rounds: Releases T.
    """
    from scipy.special import ndtr

    return float(ndtr(2 * np.sqrt(rounds) / noise_multiplier / np.sqrt(2)))


def naming(rounds: Rounds, found: np.ndarray, seed: int) -> Estimate:
    """Return how often the likeliest left-out person is the one, mean over people."""
    named = found.argmax(axis=0)  # (F, D)
    hits = (named == rounds.left_out[:, None]).mean(axis=1)  # (F,)
    return mean_over_people(hits, seed, chance=1 / len(found))
