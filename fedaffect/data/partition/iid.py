"""Every client gets a random, equal share: the least heterogeneous partition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect.data.partition.base import Partition
from fedaffect.data.partition.dealing import Pieces
from fedaffect.data.schema import WindowTable


@dataclass(frozen=True)
class Iid:
    """Shuffled pieces of consecutive windows, in equal numbers (Flower's ``IidPartitioner``)."""

    def assign(
        self, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int
    ) -> Partition:
        """Deal out pieces of about ten windows.

        Raises:
            UsageError: E223 there are fewer pieces than clients.
        """
        pieces = Pieces.cut(table, train_mask, clients, seed, "iid")
        dealt = pieces.deal("IidPartitioner", num_partitions=clients)
        return pieces.partition(dealt, {})
