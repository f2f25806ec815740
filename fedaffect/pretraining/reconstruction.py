"""Denoising reconstruction: the embedding keeps what varies most within people, stress or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.windows import PublicWindows

LIMIT = 4.0  # deviations are clipped to [-LIMIT, LIMIT], or rare windows decide the axes


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared error of a linear decoder of the window's deviation from its person's level.

    What stress looks like differs between populations; what varies at all differs less. A head
    that is trained on other people finds in such an embedding what they need. The level, which
    tells people apart, is no part of the target.

    Source: Vincent et al. 2008, denoising autoencoders; with linear layers and no noise it spans
    the leading principal components (Baldi & Hornik 1989).
    """

    about: ClassVar[str] = "reconstruction of the deviation from the person's mean window"

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the reconstruction loss with its decoder."""
        return _Reconstruction(width, windows.features.shape[1])


class _Reconstruction(Term):
    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.decoder = nn.Linear(width, features)

    def forward(self, step: Step) -> Tensor:
        return F.mse_loss(self.decoder(step.h), step.labels["deviation"].clamp(-LIMIT, LIMIT))
