"""Deal pieces of consecutive windows out to clients through the partitioners of flwr_datasets.

The partitioners see an index of pieces and one label each; no features and nothing from a hub.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedaffect.data.partition.base import Partition, empty_client
from fedaffect.data.partition.blocks import pieces as cut_pieces
from fedaffect.data.partition.blocks import windows_per_piece
from fedaffect.data.schema import WindowTable
from fedaffect.rng import generator, stream_key

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of consecutive windows, shuffled by the named stream of the scheme.

    Args:
        table: Where the windows come from.
        windows: Window indices of each piece; one person, recording and condition each.
        name: Registered name of the scheme.
        seed: Master seed.
        length: Windows in a piece, about.
    """

    table: WindowTable
    windows: tuple[np.ndarray, ...]
    name: str
    seed: int
    length: int

    @classmethod
    def cut(
        cls, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int, name: str
    ) -> Pieces:
        """Cut the windows of ``train_mask`` (N,) bool into pieces and shuffle them.

        Raises:
            UsageError: E223 there are fewer pieces than clients.
        """
        length = windows_per_piece(int(np.count_nonzero(train_mask)), clients)
        cut = cut_pieces(table, train_mask, length)
        if len(cut) < clients:
            why = f"there are only {len(cut)} pieces of consecutive windows"
            raise empty_client(name, clients, why)
        order = generator(seed, "partition", name, "order").permutation(len(cut))
        return cls(table, tuple(cut[i] for i in order), name, seed, length)

    def labels(self, by: str) -> np.ndarray:
        """Return the ``subject`` or ``stress`` label of each piece, (P,)."""
        column: np.ndarray = getattr(self.table, by)
        return column[[piece[0] for piece in self.windows]]

    def seed_of(self, draw: int) -> int:
        """Return a 63-bit seed for draw number ``draw``."""
        return stream_key(self.seed, "partition", self.name, "draw", draw) & (2**63 - 1)

    def deal(
        self, partitioner: str, labels: np.ndarray | None = None, **options: Any
    ) -> list[list[int]]:
        """Return the rows that each client gets from a partitioner of flwr_datasets.

        Args:
            partitioner: Class name in ``flwr_datasets.partitioner``.
            labels: One label a row, in column ``label``; by default a row a piece, no labels.
            **options: Arguments of the partitioner.
        """
        os.environ.update({k: v for k, v in _OFFLINE.items() if k not in os.environ})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import datasets
            from flwr_datasets import partitioner as flower

            rows = np.zeros(len(self.windows), dtype=np.int64) if labels is None else labels
            columns = {"row": np.arange(len(rows)), "label": rows}
            dealer = getattr(flower, partitioner)(**options)
            dealer.dataset = datasets.Dataset.from_dict(columns)
            return [list(dealer.load_partition(k)["row"]) for k in range(dealer.num_partitions)]

    def partition(self, dealt: Sequence[Sequence[int]], options: Mapping[str, Any]) -> Partition:
        """Return the partition in which client k holds the pieces ``dealt[k]``."""
        clients = [np.concatenate([self.windows[i] for i in mine]) for mine in dealt]
        noted = {**options, "windows_per_piece": self.length}
        return Partition.of(self.table, clients, self.name, noted)
