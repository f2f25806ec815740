"""Releases of a mechanism, by the code that made the run's, and how likely they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.base import ClippedSum, Noise
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.mechanisms.window_noise import WindowNoise
from fedaffect.privacy.noise import TestNoiseKey

DIGITS = 9  # of a log likelihood ratio: below are the roundings of float64, no noise


@dataclass(frozen=True)
class Game:
    """What the attacker saw in many trials, with the unit and without.

    Args:
        name: What the pair of neighbours is.
        releases: Releases in a trial.
        inside: Log likelihood ratio of each trial with the unit, (N,).
        outside: The same without it (or with its replacement), (N,).
        rate: Probability with which the unit was in a release.
        gaussian: Whether the noise is meant to be Gaussian.
    """

    name: str
    releases: int
    inside: np.ndarray
    outside: np.ndarray
    rate: float
    gaussian: bool


def told_apart(
    mechanism: NoisedSum,
    name: str,
    present: np.ndarray,
    other: np.ndarray,
    trials: int,
    text: str,
) -> Game:
    """Return the game of telling releases of two sums apart, one release a trial.

    Args:
        mechanism: The calibrated mechanism.
        name: What the two sums are.
        present: The one, (r,).
        other: The other, (r,); equal where there is no noise.
        trials: Number N of releases of each.
        text: Names their noise.
    """
    scales, found = noise_scales(mechanism), []
    for truth, side in ((present, "present"), (other, "other")):
        draw = noiser(mechanism, TestNoiseKey(f"audit {text}, {side}"))
        ratios = np.zeros(trials)
        for trial in range(trials):
            seen = draw(truth, trial + 1)
            ratios[trial] = log_density(seen, present, mechanism.noise, scales).sum()
            ratios[trial] -= log_density(seen, other, mechanism.noise, scales).sum()
        found.append(np.round(ratios, DIGITS))
    return Game(name, 1, found[0], found[1], 1.0, mechanism.noise == "gaussian")


def noiser(mechanism: NoisedSum, key: TestNoiseKey) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return (sum (r,), number of the release) to the noised sum: the code that releases use."""
    if mechanism.noise_at == "steps":
        steps = WindowNoise.of(mechanism)
        plan = mechanism.blocks

        def noised_step(total: np.ndarray, release: int) -> np.ndarray:
            whole = steps.noisy(plan.expand(total), key, salt=b"", release=release, step=0)
            released: np.ndarray = whole[plan.released]
            return released

        return noised_step
    bounds, norm = mechanism.bounds, mechanism.norm

    def noised(total: np.ndarray, release: int) -> np.ndarray:
        alone = ClippedSum(total, 1, bounds, norm, within=1.0)
        return mechanism.add_noise(alone, key, release).total

    return noised


def noise_scales(mechanism: NoisedSum) -> np.ndarray:
    """Return the calibrated noise on every released coordinate, (r,); 1 where there is none."""
    scales = np.ones(len(mechanism.blocks.released))
    for group in mechanism.groups:
        for block in group.blocks:
            scales[mechanism.blocks.place(block)] = group.noise or 1.0
    return scales


def log_density(seen: np.ndarray, shift: np.ndarray, noise: Noise, scale: np.ndarray) -> np.ndarray:
    """Return log density of ``seen`` (..., K) around ``shift`` (K,), less that around 0."""
    if noise == "laplace":
        ratio: np.ndarray = (np.abs(seen) - np.abs(seen - shift)) / scale
    else:
        ratio = (seen - shift / 2) * shift / scale**2
    return ratio
