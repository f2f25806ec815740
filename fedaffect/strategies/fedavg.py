"""Federated averaging.

Paper: B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas, "Communication-Efficient
Learning of Deep Networks from Decentralized Data", AISTATS 2017.

Departures from the paper: none. Weights are given by the caller: |D_i| / |D| without DP (Eq. 2 of
Benouis et al.), fixed and public under DP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch


@dataclass(frozen=True)
class FedAvg:
    """Weighted mean of the clients' updates, added to the global model."""

    weighted_mean: ClassVar[bool] = True

    def client_loss(
        self,
        loss: torch.Tensor,
        params: Sequence[torch.Tensor],
        global_params: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """Return the task loss unchanged."""
        return loss

    def aggregate(self, updates: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return sum of ``weights`` (n,) times ``updates`` (n, d), in row order, float64."""
        total = np.zeros(updates.shape[1], dtype=np.float64)
        for update, weight in zip(updates, weights, strict=True):
            total += weight * update.astype(np.float64, copy=False)
        return total

    def server_step(self, params: np.ndarray, update: np.ndarray) -> np.ndarray:
        """Return ``params + update``, both (d,) float64."""
        moved: np.ndarray = params + update
        return moved
