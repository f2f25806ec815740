"""Uploads of clients that an attacker simulates: clipped and noised as the run's are.

Shapes: d parameters, r released coordinates.
"""

from __future__ import annotations

import numpy as np

from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.noise import TestNoiseKey

STEPS_NOTE = "The noise of the clients' local steps is not in what the attacker simulates."


def released(
    evidence: Evidence, update: np.ndarray, start: np.ndarray, name: str
) -> np.ndarray | None:
    """Return what a client with ``update`` would have uploaded, (r,); ``None`` if not finite.

    Noise is drawn where the clients draw it, from a test key: nothing is charged.

    Args:
        evidence: Whose mechanism clips and noises.
        update: What local training changed, (d,).
        start: Parameters that it started from, (d,).
        name: Name of the client among those that the attacker simulates: of its own noise.
    """
    mechanism = evidence.mechanism
    contribution: np.ndarray
    try:
        contribution = mechanism.on_client(update, start)
    except ValueError:  # training diverged: a client uploads nothing then
        return None
    if mechanism.noise_at != "client":
        return contribution
    assert isinstance(mechanism, NoisedSum)  # who else adds noise to a contribution
    alone = ClippedSum(contribution, 1, mechanism.bounds, mechanism.norm)
    key = TestNoiseKey(f"attacker {evidence.seed} {name}")
    noisy: np.ndarray = mechanism.add_noise(alone, key, release=1).total
    return noisy


def moved(evidence: Evidence, upload: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return what an upload (r,) says of the update, where weights are uploaded as elsewhere."""
    if evidence.mechanism.spec.clip.target != "weights" or not evidence.mechanism.groups:
        return upload
    change: np.ndarray = upload - start[evidence.mechanism.blocks.released]
    return change
