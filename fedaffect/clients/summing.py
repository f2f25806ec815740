"""Adding up the contributions of clients: the same bits on a node as on the server.

Floating-point addition depends on its order, so the order is part of the result: the clients of a
share one after another, then the shares. Who adds up a share does not matter. Contributions that
are clipped lie on a grid on which addition is exact (``privacy/clipping.py``).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fedaffect.privacy.base import Mechanism
from fedaffect.privacy.mechanisms.noised import NoisedSum


def summand(mechanism: Mechanism, contribution: np.ndarray, windows: int) -> np.ndarray:
    """Return what a client adds to the sum of a round, (r,) float64.

    Args:
        mechanism: Where the server adds noise, its clip is applied once more: a client that did
            not clip, or whose clip was undone by rounding to float32, adds no more than it may.
        contribution: What the client releases, (r,).
        windows: Training windows of the client, its weight without a mechanism (Eq. 2 of
            Benouis et al.).
    """
    if mechanism.noise_at == "nowhere":
        return windows * contribution.astype(np.float64)
    if mechanism.noise_at == "server":
        assert isinstance(mechanism, NoisedSum)  # who else adds noise to a sum
        return mechanism.clipped(contribution)
    return contribution.astype(np.float64)  # private already


def added_up(parts: Iterable[np.ndarray], width: int) -> np.ndarray:
    """Return the sum of ``parts`` (r,) in their order, (r,) float64; zeros where there is none."""
    total = np.zeros(width)
    for part in parts:
        total += part
    return total
