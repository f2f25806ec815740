"""Supervised contrastive across people: same condition together, whoever the person is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.windows import PublicWindows


@dataclass(frozen=True)
class Contrastive:
    """Draws windows of one condition and of DIFFERENT people together, and all others apart.

    Windows of one person never attract each other, so that the embedding gains nothing from who
    it is. Embeddings are centred on their batch and scaled to length 1.

    Source: Khosla et al. 2020, Supervised Contrastive Learning, Equation 2, with the positives
    restricted to other people.

    Args:
        temperature: Divides the similarities.
    """

    temperature: float = 0.2

    about: ClassVar[str] = "windows of one condition and different people together"

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the contrastive loss; it has no head."""
        return _Contrastive(self.temperature)


class _Contrastive(Term):
    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, step: Step) -> Tensor:
        direction = F.normalize(step.h - step.h.mean(dim=0), dim=1)
        similarity = direction @ direction.T / self.temperature  # (B, B)
        itself = torch.eye(len(step.h), dtype=torch.bool)
        others = similarity.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
        together = _equal(step.labels["condition"]) & ~_equal(step.labels["person"])
        count = together.sum(dim=1)
        pulled = ((similarity - others) * together).sum(dim=1) / count.clamp(min=1)
        loss: Tensor = -pulled.sum() / (count > 0).sum().clamp(min=1)
        return loss


def _equal(column: Tensor) -> Tensor:
    """Return which pairs of a column (B,) are equal, (B, B) bool."""
    return column[:, None] == column[None, :]
