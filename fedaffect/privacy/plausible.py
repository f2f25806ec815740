"""How long an honest contribution with its client's own noise can be."""

from __future__ import annotations

import math

from fedaffect.privacy.mechanisms.noised import NoisedSum

TAIL = 10.0  # standard deviations: an honest client never gets there


def longest_contribution(mechanism: NoisedSum) -> float:
    """Return an L2 norm that clip plus noise exceeds with probability below 1e-9.

    Infinite where the server adds the noise (it clips itself), or a block leaves in the clear.
    Gaussian noise on d coordinates has length near sigma sqrt(d), within a few sigma; Laplace
    noise length near b sqrt(2 d), and its longest coordinates are near b log(d).
    """
    if mechanism.noise_at != "client" or mechanism.blocks.named("clear"):
        return math.inf
    total = 0.0
    for group in mechanism.groups:
        d = group.parameters
        bound = group.clip * (math.sqrt(d) if mechanism.norm == "linf" else 1.0)
        if mechanism.noise == "gaussian":
            noise = group.noise * (math.sqrt(d) + TAIL)
        else:
            noise = group.noise * (math.sqrt(2 * d + TAIL * math.sqrt(20 * d)) + 4 * TAIL)
        total += (bound + noise) ** 2
    return math.sqrt(total)
