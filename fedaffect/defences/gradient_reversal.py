"""An identity head that the shared features are trained against.

Paper: Y. Ganin, V. Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015,
Equations (13) to (16): the gradient reversal layer.

Departures from the paper:
    - The adversary names people instead of domains.
    - lambda is constant instead of rising from 0 with the progress of training: steps are bounded
      in length, so that an adversary that knows nothing yet cannot blow the features up.
    - The adversary stays on its client: a head that was trained to identify is the last thing to
      hand out. ``-o 'dp.blocks."task:identity"=clear'`` (or ``noise``) uploads it.

With one person per client an adversary that stays there sees one name only: it can learn no more
than a constant. Where a client holds several people it has something to tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from fedaffect.defences.base import IDENTITY, Heads
from fedaffect.defences.none import NoDefence


class _Reverse(torch.autograd.Function):
    """The identity forward, ``-strength`` times the gradient backward (Equation 14)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, strength: float) -> Tensor:
        return h.view_as(h)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(h: Tensor, strength: float) -> Tensor:
    """Return ``h``, whose gradient will arrive multiplied by ``-strength``."""
    reversed_h: Tensor = _Reverse.apply(h, strength)  # type: ignore[no-untyped-call]
    return reversed_h


@dataclass(frozen=True)
class GradientReversal(NoDefence):
    """The identity head learns to identify; the shared features learn that it cannot.

    Args:
        strength: lambda, the weight of the reversed gradient beside that of the stress task.
    """

    strength: float = 1.0

    about: ClassVar[str] = (
        "the shared features are trained against an identity head that stays on its client"
    )
    keeps: ClassVar[tuple[str, ...]] = (IDENTITY,)
    needs: ClassVar[tuple[str, ...]] = (IDENTITY,)

    def outputs(self, h: Tensor, heads: Heads, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return task name to (B, K); identity through a gradient reversal layer."""
        adversary = heads(reverse_gradient(h, self.strength))
        return heads(h) | {IDENTITY: adversary[IDENTITY]}
