"""A partition: which client trains on which windows, and how people spread over clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fedaffect.data.schema import WindowTable
from fedaffect.errors import UsageError

MAX_DRAWS = 100


@dataclass(frozen=True, eq=False)
class Partition:
    """Training windows of each client; K clients, S people in the table.

    Build with :meth:`of`.

    Args:
        clients: Ascending window indices of each client, K arrays, none empty, disjoint.
        name: Registered name of the scheme.
        options: What the scheme was asked for.
        counts: Windows of each person at each client, (K, S) int64.
        stress_counts: Windows without and with stress at each client, (K, 2) int64.
    """

    clients: tuple[np.ndarray, ...]
    name: str
    options: Mapping[str, Any]
    counts: np.ndarray
    stress_counts: np.ndarray

    @classmethod
    def of(
        cls,
        table: WindowTable,
        clients: Sequence[np.ndarray],
        name: str,
        options: Mapping[str, Any],
    ) -> Partition:
        """Sort the indices and count people and labels."""
        indices = tuple(np.sort(np.asarray(c, dtype=np.int64)) for c in clients)
        people = len(table.subjects)
        counts = [np.bincount(table.subject[c], minlength=people) for c in indices]
        labels = [np.bincount(table.stress[c], minlength=2) for c in indices]
        return cls(indices, name, dict(options), np.stack(counts), np.stack(labels))

    @property
    def subjects_per_client(self) -> np.ndarray:
        """Number of people whose windows each client holds, (K,)."""
        people: np.ndarray = np.count_nonzero(self.counts, axis=1)
        return people

    @property
    def clients_per_subject(self) -> np.ndarray:
        """Number of clients that hold windows of each person, (S,); 0 for a person held out."""
        clients: np.ndarray = np.count_nonzero(self.counts, axis=0)
        return clients

    @property
    def max_subjects_per_client(self) -> int:
        """Most people at one client."""
        return int(self.subjects_per_client.max())

    @property
    def max_clients_per_subject(self) -> int:
        """Most clients that share one person; above 1, client-level DP protects no person."""
        return int(self.clients_per_subject.max())


class Partitioner(Protocol):
    """A frozen dataclass whose fields are the options of the scheme."""

    def assign(
        self, table: WindowTable, train_mask: np.ndarray, clients: int, seed: int
    ) -> Partition:
        """Deal the windows of ``train_mask`` (N,) bool out to ``clients`` clients.

        The same arguments always give the same partition.

        Raises:
            UsageError: E221 more clients than people (subject); E223 a client stays empty.
        """


def empty_client(name: str, clients: int, why: str) -> UsageError:
    """Return the error for a scheme that leaves a client without windows."""
    return UsageError(
        "E223",
        f"--partition {name} leaves one of {clients} clients without data: {why}",
        do="fewer --clients" if name == "iid" else "fewer --clients, or --partition iid",
    )
