"""What the clients of a node release in a round: a row each, or the sum of every share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fedaffect.clients.exchange import TrainReply, TrainRequest
from fedaffect.clients.summing import summand
from fedaffect.privacy.base import Mechanism


@dataclass
class Contribution:
    """What one client releases.

    Args:
        client_id: The client.
        windows: Its training windows.
        values: What it adds to the model, clipped and noised as far as that is its task, (r,).
        loss: Its mean training loss.
        within: Whether no clip was needed, where the clip adapts.
        personal: Layers that stay with it, (k,).
    """

    client_id: int
    windows: int
    values: np.ndarray
    loss: float
    within: bool | None
    personal: np.ndarray


@dataclass
class Outbox:
    """Collects what leaves a node in one round, in the precision in which it travels.

    Sums hold as much memory as there are shares, however many clients.

    Args:
        request: The round's work.
        mechanism: The round's mechanism.
        dtype: Precision of a row.
        tells_loss: Whether training losses may leave the node.
    """

    request: TrainRequest
    mechanism: Mechanism
    dtype: np.dtype
    tells_loss: bool
    failed: dict[int, str] = field(default_factory=dict)  # client id -> why
    _sent: list[tuple[int, float, bool | None]] = field(default_factory=list)
    _rows: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.width = len(self.mechanism.blocks.released)
        self._sums = np.zeros((len(self.request.shares), self.width))

    def put(self, share: int, contributions: Sequence[Contribution]) -> None:
        """Take in the contributions of some clients of a share; what is not finite stays out."""
        for one in contributions:
            with np.errstate(over="ignore"):
                row = one.values.astype(self.dtype)
            if not (np.isfinite(row).all() and (math.isfinite(one.loss) or not self.tells_loss)):
                self.failed[one.client_id] = "update or loss is not finite"
                continue
            if self.request.shares:
                self._sums[share] += summand(self.mechanism, row, one.windows)
            else:
                self._rows.append(row)
            self._sent.append((one.client_id, one.loss, one.within))

    def reply(self) -> TrainReply:
        """Return all of it."""
        rows = np.stack(self._rows) if self._rows else np.empty((0, self.width), self.dtype)
        return TrainReply(
            tuple(client for client, _, _ in self._sent),
            self._sums if self.request.shares else rows,
            tuple(loss for _, loss, _ in self._sent) if self.tells_loss else (),
            tuple(int(within) for _, _, within in self._sent if within is not None),
            self.failed,
        )
