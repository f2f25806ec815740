"""The interface of a federated algorithm: client half and server half side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch


class Strategy(Protocol):
    """A frozen dataclass; its fields are its options."""

    @property
    def weighted_mean(self) -> bool:
        """Whether ``aggregate`` is the weighted mean: then nodes may add up their clients."""

    def client_loss(
        self,
        loss: torch.Tensor,
        params: Sequence[torch.Tensor],
        global_params: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """Return the loss that a client minimises, from the task loss (scalar)."""

    def aggregate(self, updates: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the combined update (d,) of ``updates`` (n, d) with ``weights`` (n,), float64."""

    def server_step(self, params: np.ndarray, update: np.ndarray) -> np.ndarray:
        """Return the next global parameters (d,), from the present ones and the update (d,)."""
