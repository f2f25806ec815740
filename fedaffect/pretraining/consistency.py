"""Consistency across people: the embedding of a window stays where it is on another's level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.windows import PublicWindows

TINY = 1e-3  # an embedding that does not vary at all costs no more than this allows


@dataclass(frozen=True)
class Consistency:
    """Squared distance between the embeddings of a window and of its deviation on another level.

    What tells people apart across recordings is their level; an embedding that stays where it is
    when the level is that of somebody else does not hold it. In units of the variance of the
    embedding, so that a smaller embedding gains nothing.

    Source: the paired views of Chen et al. 2020 (SimCLR), the view being another person's level.
    """

    about: ClassVar[str] = "the same embedding whosever level a window is put on"

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the consistency loss; it has no head."""
        return _Consistency()


class _Consistency(Term):
    def forward(self, step: Step) -> Tensor:
        here, there = step.embed(step.windows), step.embed(step.exchanged)
        moved = ((here - there) ** 2).sum(dim=1).mean()
        loss: Tensor = moved / (here.var(dim=0).sum() + TINY)
        return loss
