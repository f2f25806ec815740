"""Clients at which the noise on their average is as long as the whole clipped signal.

With the noise of one draw r times as long as one clipped contribution: noise that the server adds
once to a sum of n contributions equals them at n = r. Noise that every client adds grows with
sqrt(n), for Gaussian noise in L2 (n = r^2), for Laplace noise in L1, where n draws of b add up to
b sqrt(4 n / pi) a coordinate (n = 4 r^2 / pi). In a step of DP-SGD a client's signal are B windows:
n = (r / B)^2. Over d parameters r is z sqrt(d) for Gaussian and d b / C for Laplace noise.
"""

from __future__ import annotations

import math
from typing import Literal

from fedaffect.privacy.base import Noise

NoiseAt = Literal["nowhere", "server", "client", "steps"]


def clients_needed(ratio: float, noise: Noise, noise_at: NoiseAt, batch_size: int = 1) -> float:
    """Return the clients at which noise and signal are equal.

    Args:
        ratio: r, length of one draw of noise / longest contribution, in the norm of the noise.
        noise: Kind of noise.
        noise_at: Where it is drawn.
        batch_size: Expected windows B in a local step.
    """
    if noise_at == "steps":
        return (ratio / batch_size) ** 2
    if noise_at == "client":
        return ratio**2 * (4 / math.pi if noise == "laplace" else 1)
    return ratio


def noise_to_signal(needed: float, clients: float, noise_at: NoiseAt) -> float:
    """Return length of the noise / length of the signal with ``clients``, ``needed`` for 1."""
    ratio = needed / clients
    return math.sqrt(ratio) if noise_at in ("client", "steps") else ratio
