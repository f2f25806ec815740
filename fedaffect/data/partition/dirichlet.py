"""Label skew: each person, or each stress class, is spread over clients by a Dirichlet draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedaffect.data.partition.base import MAX_DRAWS, Partition, empty_client
from fedaffect.data.partition.dealing import Pieces
from fedaffect.data.schema import WindowTable


@dataclass(frozen=True)
class Dirichlet:
    """Flower's ``DirichletPartitioner`` over pieces of consecutive windows.

    The shares of each label follow Dirichlet(alpha, ..., alpha) over clients (Hsu et al. 2019,
    arXiv 1909.06335). Draws that leave a client empty are repeated, so that realised shares are
    conditioned on no client being empty.

    Args:
        alpha: Concentration; near 0 a label sits at few clients, large is close to ``iid``.
        by: What the label is: ``subject`` or ``stress``.
    """

    alpha: float = 0.3
    by: Literal["subject", "stress"] = "subject"

    def assign(
        self, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int
    ) -> Partition:
        """Deal out pieces of about ten windows.

        Raises:
            UsageError: E223 a client is still empty after 100 draws.
        """
        pieces = Pieces.cut(table, train_mask, clients, seed, "dirichlet")
        for draw in range(MAX_DRAWS):
            dealt = pieces.deal(
                "DirichletPartitioner",
                labels=pieces.labels(self.by),
                num_partitions=clients,
                partition_by="label",
                alpha=float(self.alpha),
                min_partition_size=0,
                self_balancing=False,
                shuffle=False,
                seed=pieces.seed_of(draw),
            )
            if all(dealt):
                return pieces.partition(dealt, {"alpha": self.alpha, "by": self.by})
        raise empty_client("dirichlet", clients, f"{MAX_DRAWS} draws with alpha {self.alpha:g}")
