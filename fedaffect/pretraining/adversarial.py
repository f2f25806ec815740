"""Adversarial against identity: the embedding unlearns what a throw-away identity head finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fedaffect.defences.gradient_reversal import reverse_gradient
from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.windows import PublicWindows


@dataclass(frozen=True)
class Adversarial:
    """Cross-entropy of a throw-away identity head behind a gradient reversal layer.

    The weight of the term scales the head's own learning and the reversed gradient alike.

    Source: Ganin et al. 2016, Domain-Adversarial Training of Neural Networks.

    Args:
        hidden: Width of the head's hidden layer.
    """

    hidden: int = 64

    about: ClassVar[str] = "against an identity head behind a gradient reversal"

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the adversary's loss with its head."""
        return _Adversarial(windows.people, width, self.hidden)


class _Adversarial(Term):
    def __init__(self, people: int, width: int, hidden: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, people))

    def forward(self, step: Step) -> Tensor:
        return F.cross_entropy(self.head(reverse_gradient(step.h, 1.0)), step.labels["person"])
