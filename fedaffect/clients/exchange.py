"""What a node is asked in a round, and what it answers; Flower's records carry the same."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class TrainRequest:
    """One round's work for a node.

    Args:
        fold: Number of the evaluation fold.
        server_round: Number of the round, from 1.
        release: Number of the release in the run, from 1.
        client_ids: Clients to train.
        bounds: Clip norms of this round, one a group of blocks; empty: as calibrated.
        stacks: How many clients train side by side, in the order of ``client_ids``; empty: one
            after another.
    """

    fold: int
    server_round: int
    release: int
    client_ids: tuple[int, ...]
    bounds: tuple[float, ...] = ()
    stacks: tuple[int, ...] = ()

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The clients that train side by side."""
        ends = np.cumsum(self.stacks or (1,) * len(self.client_ids), dtype=int)
        parts = np.split(np.array(self.client_ids, dtype=int), ends[:-1])
        return tuple(tuple(part.tolist()) for part in parts)


@dataclass(frozen=True)
class TrainReply:
    """What the clients of one node release in one round; rows follow ``client_ids``.

    Where the clients draw the noise, nothing leaves them without it: there are no losses, and a
    failure is told by its kind alone.
    """

    client_ids: tuple[int, ...]
    updates: np.ndarray  # (n, r)
    losses: tuple[float, ...]
    within: tuple[int, ...] = ()  # 1 where no clip was needed, if the clip adapts
    failed: dict[int, str] = field(default_factory=dict)  # client id -> why
    refused: dict[int, str] = field(default_factory=dict)  # client id -> why its node refuses
