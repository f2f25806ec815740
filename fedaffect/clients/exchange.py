"""What a node is asked in a round, and what it answers; Flower's records carry the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np

T = TypeVar("T")

BATCH = 20  # clients that are released together, where their contributions are added up


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
        shares: How many stacks are added up before they leave the node; empty: every client's
            contribution leaves it.
    """

    fold: int
    server_round: int
    release: int
    client_ids: tuple[int, ...]
    bounds: tuple[float, ...] = ()
    stacks: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()

    @property
    def batches(self) -> Iterator[tuple[int, tuple[tuple[int, ...], ...]]]:
        """Numbers of shares and stacks of clients that are released together.

        Where contributions are added up, a few at a time: they need not all be held at once.
        """
        stacks = _cut(self.client_ids, self.stacks or (1,) * len(self.client_ids))
        if not self.shares:
            yield 0, stacks
            return
        for number, share in enumerate(_cut(stacks, self.shares)):
            several = max(1, BATCH // len(share[0]))
            for at in range(0, len(share), several):
                yield number, share[at : at + several]


@dataclass(frozen=True)
class TrainReply:
    """What the clients of one node release in one round.

    Rows follow ``client_ids``, or the shares of the request where these were added up.

    Where the clients draw the noise, nothing leaves them without it: there are no losses, and a
    failure is told by its kind alone.
    """

    client_ids: tuple[int, ...]
    updates: np.ndarray  # (n, r), or (shares, r) float64
    losses: tuple[float, ...]
    within: tuple[int, ...] = ()  # 1 where no clip was needed, if the clip adapts
    failed: dict[int, str] = field(default_factory=dict)  # client id -> why
    refused: dict[int, str] = field(default_factory=dict)  # client id -> why its node refuses


def _cut(items: Sequence[T], sizes: Sequence[int]) -> tuple[tuple[T, ...], ...]:
    """Return ``items`` in parts of these sizes."""
    left = iter(items)
    return tuple(tuple(islice(left, size)) for size in sizes)
