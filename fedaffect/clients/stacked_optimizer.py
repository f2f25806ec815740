"""SGD and Adam for the parameters of several clients, some of which may have finished.

Parameters are tensors (K, ...), one row a client. A step moves the first rows, as many as there
are gradients: clients that have finished stand still.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fedaffect.clients.local import TrainPlan

BETAS, EPSILON = (0.9, 0.999), 1e-8  # the defaults of torch.optim.Adam


class StackedSgd:
    """SGD with momentum: the numbers of ``torch.optim.SGD``."""

    def __init__(self, params: Sequence[Tensor], lr: float, momentum: float) -> None:
        self.params, self.lr, self.momentum = params, lr, momentum
        self.velocity = [torch.zeros_like(p) for p in params] if momentum else []

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the first rows against ``gradients`` (active, ...)."""
        active = len(gradients[0])
        if self.momentum:
            velocity = [v[:active] for v in self.velocity]
            torch._foreach_mul_(velocity, self.momentum)
            torch._foreach_add_(velocity, list(gradients))
            gradients = velocity
        torch._foreach_add_([p[:active] for p in self.params], list(gradients), alpha=-self.lr)


class StackedAdam:
    """Adam: the numbers of ``torch.optim.Adam`` with its defaults (Kingma & Ba 2015)."""

    def __init__(self, params: Sequence[Tensor], lr: float) -> None:
        self.params, self.lr, self.steps = params, lr, 0
        self.first = [torch.zeros_like(p) for p in params]
        self.second = [torch.zeros_like(p) for p in params]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the first rows against ``gradients`` (active, ...)."""
        self.steps += 1
        active = len(gradients[0])
        left, left_squares = (1 - beta**self.steps for beta in BETAS)
        for p, m, v, g in zip(self.params, self.first, self.second, gradients, strict=True):
            mean = m[:active].lerp_(g, 1 - BETAS[0])
            square = v[:active].mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            spread = (square.sqrt() / left_squares**0.5).add_(EPSILON)
            p[:active].addcdiv_(mean, spread, value=-self.lr / left)


def stacked_optimizer(plan: TrainPlan, params: Sequence[Tensor]) -> StackedSgd | StackedAdam:
    """Return the optimizer of ``plan`` for ``params`` (K, ...)."""
    if plan.optimizer == "adam":
        return StackedAdam(params, plan.lr)
    return StackedSgd(params, plan.lr, plan.momentum)
