"""FedProx: federated averaging whose clients are held near the global model.

Paper: T. Li, A. K. Sahu, M. Zaheer, M. Sanjabi, A. Talwalkar, V. Smith, "Federated Optimization in
Heterogeneous Networks", MLSys 2020; Eq. (1) of Benouis et al.

Departures from the paper: every client does the same number of local epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fedaffect.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedProx(FedAvg):
    """FedAvg with ``mu / 2 * ||w - w_global||^2`` in the client's loss.

    Args:
        mu: Strength of the proximal term; 0 is FedAvg.
    """

    mu: float = 0.01

    def client_loss(
        self,
        loss: torch.Tensor,
        params: Sequence[torch.Tensor],
        global_params: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """Return the task loss plus the squared proximal term."""
        if self.mu == 0:
            return loss
        distances = torch._foreach_sub(list(params), list(global_params))
        squared = torch.stack([(x * x).sum() for x in distances]).sum()
        return loss + self.mu / 2 * squared  # Eq. (1)
