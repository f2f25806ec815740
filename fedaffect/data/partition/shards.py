"""Shards: each client gets a few slices of the data sorted by label (McMahan et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedaffect.data.partition.base import Partition, empty_client
from fedaffect.data.partition.dealing import Pieces
from fedaffect.data.schema import WindowTable


@dataclass(frozen=True)
class Shards:
    """Sort pieces by label, cut into equal shards, deal them with Flower's ``ShardPartitioner``.

    Source: McMahan et al. 2017, section 3 (pathological non-IID split). Shard sizes differ by one
    piece at most, so that no piece is left over.

    Args:
        shards_per_client: Shards that each client gets; fewer means more skew.
        by: Label to sort by: ``subject`` or ``stress``.
    """

    shards_per_client: int = 2
    by: Literal["subject", "stress"] = "subject"

    def assign(
        self, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int
    ) -> Partition:
        """Deal out shards of pieces of about ten windows.

        Raises:
            UsageError: E223 there are fewer pieces than shards.
        """
        pieces = Pieces.cut(table, train_mask, clients, seed, "shards")
        n_shards = clients * self.shards_per_client
        if n_shards > len(pieces.windows):
            why = f"{n_shards} shards of {len(pieces.windows)} pieces of consecutive windows"
            raise empty_client("shards", clients, why)
        by_label = np.argsort(pieces.labels(self.by), kind="stable")
        shards = np.array_split(by_label, n_shards)
        dealt = pieces.deal(
            "ShardPartitioner",
            labels=np.arange(n_shards),
            num_partitions=clients,
            partition_by="label",
            num_shards_per_partition=self.shards_per_client,
            shard_size=1,
            shuffle=False,
            seed=pieces.seed_of(0),
        )
        chosen = [[int(i) for s in mine for i in shards[s]] for mine in dealt]
        options = {"shards_per_client": self.shards_per_client, "by": self.by}
        return pieces.partition(chosen, options)
