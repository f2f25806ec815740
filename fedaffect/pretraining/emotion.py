"""Supervised emotion: which condition of the data set it is, such as baseline or amusement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fedaffect.errors import DataError
from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.windows import PublicWindows


@dataclass(frozen=True)
class Emotion:
    """Cross-entropy over all conditions of the data set, through a throw-away linear head."""

    about: ClassVar[str] = "supervised condition of the data set through a throw-away head"

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the cross-entropy with its head.

        Raises:
            DataError: E385 the data tell stress from no stress only.
        """
        if windows.conditions < 3:
            raise DataError(
                "E385",
                f"--objective emotion: the data have {windows.conditions} conditions, which is "
                "what stress learns already",
                do="leave emotion out, or give data with more conditions",
            )
        return _Emotion(windows.conditions, width)


class _Emotion(Term):
    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, conditions)

    def forward(self, step: Step) -> Tensor:
        return F.cross_entropy(self.head(step.h), step.labels["condition"])
