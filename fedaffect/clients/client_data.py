"""The training windows of one client, as arrays and as tensors."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class ClientData:
    """The training windows of one client."""

    client_id: int
    features: np.ndarray  # (n, F)
    labels: dict[str, np.ndarray]  # task name -> (n,) int64, MISSING_LABEL where unknown

    def __len__(self) -> int:
        return len(self.features)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all features and labels. Never send or store it bare."""
        digest = hashlib.sha256(np.ascontiguousarray(self.features).tobytes())
        for task in sorted(self.labels):
            digest.update(task.encode() + np.ascontiguousarray(self.labels[task]).tobytes())
        return digest.digest()


def windows_of(data: ClientData, dtype: torch.dtype) -> torch.Tensor:
    """Return the features of a client's windows on the CPU, (n, F).

    They lie in the memory of ``data`` where that has the same precision: not to be written to.
    """
    return _in_place(data.features).to(dtype)


def labels_of(data: ClientData) -> dict[str, torch.Tensor]:
    """Return the labels of a client's windows on the CPU, task name to (n,) int64.

    They lie in the memory of ``data``: not to be written to.
    """
    return {task: _in_place(y).to(torch.int64) for task, y in data.labels.items()}


def _in_place(array: np.ndarray) -> torch.Tensor:
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # what other processes read, too, is read-only
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
