"""How strongly each canary of a finished run shows in the released model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.attacks.evidence import Canaries, Evidence
from fedaffect.privacy.groups import NoiseGroup

NO_CANARIES = "no canaries in this run; -o audit.canaries=100"


@dataclass(frozen=True)
class CanaryScores:
    """Scores of all canaries: standard normal for those that were left out.

    A canary that was left out has a direction that knows nothing of the model, so its score is
    exactly as that of a random direction: N(0, 1/d) as a cosine, here in units of 1/sqrt(d).

    Args:
        scores: One a canary, (m,).
        included: Who took part, (m,) bool.
    """

    scores: np.ndarray
    included: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Scores of the canaries that took part."""
        scores: np.ndarray = self.scores[self.included]
        return scores

    @property
    def outside(self) -> np.ndarray:
        """Scores of the canaries that were left out."""
        scores: np.ndarray = self.scores[~self.included]
        return scores


def canary_scores(evidence: Evidence, canaries: Canaries) -> CanaryScores:
    """Return the score <final - initial, u_j> of every canary, in units of its null deviation.

    FedAvg and FedProx move the model by the noisy sums over a fixed denominator, so the whole run
    is in the difference. Groups of blocks that are clipped one by one are weighed by
    1 / sigma_g^2, as the likelihood ratio does.
    """
    mechanism = evidence.mechanism
    released = mechanism.blocks.released
    moved = (evidence.params - evidence.initial).astype(np.float64)[released]  # (r,)
    groups = [g for g in mechanism.groups if g.noise > 0]
    places = [_places(evidence, g) for g in groups]
    weights = [1 / g.noise**2 for g in groups]
    scores = np.zeros(canaries.count)
    variance = np.zeros(canaries.count)
    for number in range(canaries.count):
        direction = canaries.direction(number)
        for at, weight in zip(places, weights, strict=True):
            part, seen = direction[at], moved[at]
            scores[number] += weight * float(part @ seen)
            variance[number] += weight**2 * float(part @ part) * float(seen @ seen) / len(at)
    return CanaryScores(scores / np.sqrt(np.maximum(variance, 1e-300)), canaries.included)


def _places(evidence: Evidence, group: NoiseGroup) -> np.ndarray:
    blocks = evidence.mechanism.blocks
    return np.concatenate([blocks.place(block) for block in group.blocks])


def interval_of_mean(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided t interval of the mean of ``values`` (k,), k >= 2."""
    from scipy.stats import t

    reach = float(t.ppf((1 + confidence) / 2, len(values) - 1))
    half = reach * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half
