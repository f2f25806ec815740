"""Supervised stress: the task itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.windows import PublicWindows


@dataclass(frozen=True)
class Stress:
    """Cross-entropy of the network's stress head; every person and both classes count the same."""

    about: ClassVar[str] = "supervised stress through the head that is shipped"

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the weighted cross-entropy."""
        return _Stress()


class _Stress(Term):
    def forward(self, step: Step) -> Tensor:
        losses = F.cross_entropy(step.outputs["stress"], step.labels["stress"], reduction="none")
        mean: Tensor = (step.labels["weight"] * losses).mean()
        return mean
