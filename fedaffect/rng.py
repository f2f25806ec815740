"""Named random streams: randomness is passed in, and depends on names, never on order.

``generator(seed, "batch", client_id, server_round)`` gives the same numbers on any engine, with
any number of workers. Privacy noise never comes from here (see ``fedaffect.privacy.noise``).
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_key(seed: int, *names: str | int) -> int:
    """Return a 128-bit key for the stream called ``names`` under ``seed``."""
    text = "\x1f".join([str(int(seed)), *(f"{type(n).__name__}:{n}" for n in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a fresh NumPy generator for the stream called ``names`` under ``seed``."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, *names)))


def torch_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for ``torch.Generator.manual_seed`` for the named stream."""
    return stream_key(seed, *names) & (2**63 - 1)
