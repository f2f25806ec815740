"""One person, one client: the natural partition of wearables, and the default."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect.data.partition.base import Partition
from fedaffect.data.schema import WindowTable
from fedaffect.errors import UsageError


@dataclass(frozen=True)
class Subject:
    """Person i is client i, in the order of the people that train.

    With fewer clients than people, people are dealt round: person i goes to client i modulo the
    number of clients, so that client sizes differ by one person at most.
    """

    def assign(
        self, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int
    ) -> Partition:
        """Deal out whole people; nothing is drawn.

        Raises:
            UsageError: E221 there are more clients than people that train.
        """
        people = np.unique(table.subject[train_mask])
        if clients > len(people):
            held_out = len(np.unique(table.subject)) - len(people)
            rest = f" that are not held out, of {len(people) + held_out}" if held_out else ""
            raise UsageError(
                "E221",
                f"--clients {clients} is more than the {len(people)} subjects"
                f"{rest} of {table.dataset} (partition subject)",
                do=f"--clients {len(people)}, or --partition dirichlet",
            )
        rank = np.searchsorted(people, table.subject)  # (N,), meaningful where train_mask
        dealt = [np.flatnonzero(train_mask & (rank % clients == k)) for k in range(clients)]
        return Partition.of(table, dealt, "subject", {})
