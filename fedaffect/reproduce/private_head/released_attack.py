"""Who took part, from the released numbers: the attacker who has everybody's data.

In every fold one person is left out and the others take part. The attacker has the data of all of
them and the models before and after a round, and asks of a person: is it likelier that this one
took part, or was left out? With Gaussian noise of known size that is the likelihood-ratio test,
which no test beats (Neyman & Pearson 1933): the worst case that differential privacy is about.

Shapes: H people who may have been left out, F folds, D noise draws, T rounds, r released numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from fedaffect.privacy.attacks.statistics import auc
from fedaffect.record import Estimate
from fedaffect.reproduce.private_head.people_scores import rate_over_people

LEAST_SD = 1e-9  # stands for the rounding of a release without noise


@dataclass(frozen=True)
class Attacked:
    """What an attacker found in released numbers.

    Args:
        releases: How many of the first releases were attacked.
        membership: Area under the ROC of "took part".
        left_out: How often the person left out is named.
    """

    releases: int
    membership: Estimate
    left_out: Estimate


_NONE = Estimate(value=None, note="not run (nothing of them is released)")
_DIVERGED = Estimate(value=None, note="n/a (training diverged)")
NOT_RELEASED = Attacked(0, _NONE, _NONE)


def attacked_releases(
    found: np.ndarray, left_out: np.ndarray, releases: int, seed: int
) -> Attacked:
    """Return both figures of an attack.

    Args:
        found: Log-likelihoods of all releases that are attacked, (H, F, D); NaN where a training
            diverged.
        left_out: Place in ``found`` of the person left out of each fold, (F,).
        releases: How many they are.
        seed: Master seed of the resamples.
    """
    if np.isnan(found).any():
        return Attacked(releases, _DIVERGED, _DIVERGED)
    return Attacked(releases, membership(found, left_out, seed), naming(found, left_out, seed))


def log_likelihoods(
    steps: np.ndarray, expected: np.ndarray, noise_sd: np.ndarray | float
) -> np.ndarray:
    """Return how likely the released steps are if a person was left out, up to a constant.

    Args:
        steps: What a round added to the released numbers, (..., r).
        expected: The same without noise, by the person left out, (H, ..., r).
        noise_sd: Standard deviation of the noise on a step, (r,) or one for all.

    Returns:
        Log-likelihoods (H, ...).
    """
    sd = np.maximum(noise_sd, LEAST_SD)
    found: np.ndarray = -((((steps - expected) / sd) ** 2).sum(axis=-1)) / 2
    return found


def membership(found: np.ndarray, left_out: np.ndarray, seed: int) -> Estimate:
    """Return the area under the ROC of "took part", mean over people.

    Each person's models without them are compared with all models that they took part in; the
    score is the logarithm of the likelihood ratio.

    Args:
        found: Log-likelihoods of all rounds that are attacked, (H, F, D).
        left_out: Place in ``found`` of the person left out of each fold, (F,).
        seed: Master seed of the resamples.
    """
    areas = []
    for person in np.unique(left_out):
        others = np.delete(found, person, axis=0)  # (H - 1, F, D)
        took_part = np.logaddexp.reduce(others, axis=0) - np.log(len(others))
        ratio = took_part - found[person]  # (F, D)
        absent = left_out == person
        areas.append(auc(ratio[~absent].ravel(), ratio[absent].ravel()))
    return rate_over_people(np.array(areas), seed)


def largest_area(noise_multiplier: float, rounds: int) -> float:
    """Return the area that no attacker exceeds: mu-GDP for the exchange of two clients.

    The models without one person and those without another differ by two contributions, so mu is
    2 sqrt(T) / z; the area under the trade-off curve of mu is Phi(mu / sqrt 2) (Dong, Roth & Su
    2022, section 2).

    Args:
        noise_multiplier: z, noise / clip norm of one release.
        rounds: Releases T.
    """
    return float(ndtr(2 * np.sqrt(rounds) / noise_multiplier / np.sqrt(2)))


def naming(found: np.ndarray, left_out: np.ndarray, seed: int) -> Estimate:
    """Return how often the likeliest left-out person is the one, mean over people.

    Args:
        found: Log-likelihoods, (H, F, D).
        left_out: Place in ``found`` of the person left out of each fold, (F,).
        seed: Master seed of the resamples.
    """
    named = found.argmax(axis=0)  # (F, D)
    hits = (named == left_out[:, None]).mean(axis=1)  # (F,)
    return rate_over_people(hits, seed, chance=1 / len(found))
