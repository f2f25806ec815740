"""Per-sample gradients of one layer, from what it saw and the gradient of what it said.

Papers: A. Yousefpour et al., "Opacus: User-Friendly Differential Privacy Library in PyTorch", 2021;
Z. Bu et al., "Differentially Private Optimization on Large Model at Small Cost", ICML 2023.

Opacus knows how, layer by layer. Those of a linear layer are outer products, which are measured
and summed without being written out.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.linalg import vecdot


@dataclass(frozen=True)
class Dense:
    """Per-sample gradients of one parameter, written out."""

    rows: Tensor  # (n, k)

    def squared(self) -> Tensor:
        """Return the squared L2 norms, (n,)."""
        norms: Tensor = vecdot(self.rows, self.rows)
        return norms

    def weighted(self, weights: Tensor) -> Tensor:
        """Return the sum weighted with ``weights`` (n,), flat, (k,)."""
        return weights @ self.rows

    def only(self, chosen: Tensor) -> Dense:
        """Return the samples where ``chosen`` (n,) is true."""
        return Dense(self.rows[chosen])

    def __add__(self, other: Dense) -> Dense:
        return Dense(self.rows + other.rows)


@dataclass(frozen=True)
class Outer:
    """Per-sample gradients ``left_i right_i^T`` of one parameter, not written out."""

    left: Tensor  # (n, o)
    right: Tensor  # (n, i)

    def squared(self) -> Tensor:
        """Return the squared L2 norms, (n,)."""
        norms: Tensor = vecdot(self.left, self.left) * vecdot(self.right, self.right)
        return norms

    def weighted(self, weights: Tensor) -> Tensor:
        """Return the sum weighted with ``weights`` (n,), flat, (o i,)."""
        return ((self.left * weights[:, None]).T @ self.right).reshape(-1)

    def only(self, chosen: Tensor) -> Outer:
        """Return the samples where ``chosen`` (n,) is true."""
        return Outer(self.left[chosen], self.right[chosen])


def is_known(layer: nn.Module) -> bool:
    """Return whether Opacus has per-sample gradients for layers of this very class."""
    from opacus.grad_sample import GradSampleModule

    return type(layer) in GradSampleModule.GRAD_SAMPLERS


def dense_gradients(layer: nn.Module, x: Tensor, gradient: Tensor) -> dict[nn.Parameter, Dense]:
    """Return per-sample gradients of the parameters of any known layer, in float64.

    Args:
        layer: The layer.
        x: What it saw, (n, ...).
        gradient: Gradient of the losses with respect to what it said, (n, ...).
    """
    from opacus.grad_sample import GradSampleModule

    x = x.double() if x.is_floating_point() else x
    sampled = GradSampleModule.GRAD_SAMPLERS[type(layer)](layer, [x], gradient.double())
    return {param: Dense(rows.flatten(1)) for param, rows in sampled.items()}


def linear_gradients(
    layer: nn.Linear, x: Tensor, gradient: Tensor
) -> dict[nn.Parameter, Dense | Outer]:
    """Return what ``dense_gradients`` does for a linear layer with x (n, i) and gradient (n, o)."""
    x, gradient = x.double(), gradient.double()
    weight, *bias = layer.parameters()
    return {weight: Outer(gradient, x), **{b: Dense(gradient) for b in bias}}
