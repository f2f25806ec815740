"""A price on what the shared representation tells about its input.

Paper: A. Alemi, I. Fischer, J. Dillon, K. Murphy, "Deep Variational Information Bottleneck",
ICLR 2017, Equation (17).

Departures from the paper:
    - The encoder's spread is 1 instead of learned: z = h + N(0, I), against the prior N(0, I).
      Then KL(N(h, I) || N(0, I)) = ||h||^2 / 2, and no parameters are added.
    - One draw of z for a window and step.

Whatever a trained task needs passes a bottleneck, so that identity is not among the tasks.

The heads read z in training only. What is released, and attacked, is the mean h: whoever holds
the model can compute it, so that withholding it would hide nothing. The draws come from the
published training seed. They are no privacy noise, and no privacy statement counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedaffect.defences.base import IDENTITY, NOISE, PENALTY, Heads
from fedaffect.defences.none import NoDefence


def divergence(h: Tensor) -> Tensor:
    """Return KL(N(h, I) || N(0, I)) of every window in nats, (B, 1), from means ``h`` (B, H)."""
    return h.square().sum(1, keepdim=True) / 2


@dataclass(frozen=True)
class Bottleneck(NoDefence):
    """Heads read the representation through noise, and its length costs.

    Args:
        strength: beta, the price of a nat.
    """

    strength: float = 0.01

    about: ClassVar[str] = (
        "identity is not trained, and information in the shared features costs; its training "
        "noise is no privacy noise"
    )
    drops: ClassVar[tuple[str, ...]] = (IDENTITY,)
    stochastic: ClassVar[bool] = True

    def outputs(self, h: Tensor, heads: Heads, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return task name to (B, K) from noisy ``h``, and the price of every window, (B, 1).

        Without draws in the batch the heads read the mean: training always has them, an attacker
        who replays it has not.
        """
        z = h + batch[NOISE] if NOISE in batch else h
        return heads(z) | {PENALTY: self.strength * divergence(h)}
