"""Quantity skew: clients hold very different amounts of similar data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect.data.partition.base import Partition
from fedaffect.data.partition.dealing import Pieces
from fedaffect.data.schema import WindowTable
from fedaffect.rng import generator


@dataclass(frozen=True)
class Quantity:
    """Shuffled pieces in unequal numbers (Flower's ``SizePartitioner``).

    Every client gets one piece; the others follow shares from Dirichlet(alpha, ..., alpha)
    (Li et al. 2022, arXiv 2102.02079, quantity skew).

    Args:
        alpha: Concentration; near 0 few clients hold nearly everything.
    """

    alpha: float = 0.3

    def assign(
        self, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int
    ) -> Partition:
        """Deal out pieces of about ten windows.

        Raises:
            UsageError: E223 there are fewer pieces than clients.
        """
        pieces = Pieces.cut(table, train_mask, clients, seed, "quantity")
        rng = generator(seed, "partition", "quantity", "sizes")
        shares = rng.dirichlet(np.full(clients, self.alpha))  # (K,)
        spare = len(pieces.windows) - clients
        ends = np.floor(np.cumsum(shares) * spare).astype(int)
        ends[-1] = spare
        sizes = 1 + np.diff(ends, prepend=0)
        dealt = pieces.deal("SizePartitioner", partition_sizes=sizes.tolist())
        return pieces.partition(dealt, {"alpha": self.alpha})
