"""Per-sample gradients, clipped and summed: what a step of DP-SGD adds its noise to.

Paper: M. Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, Algorithm 1.

One backward pass gives what every layer saw and the gradient of what it said, from which
``layer_gradients`` makes per-sample gradients. Norms, clipping and the sum are in float64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from fedaffect.errors import UsageError
from fedaffect.models.base import Batch, MultitaskModel
from fedaffect.privacy.mechanisms.layer_gradients import (
    Dense,
    Outer,
    dense_gradients,
    is_known,
    linear_gradients,
)

ROWS = 64  # samples whose gradients are in memory at a time
TOLERANCE = 1e-3  # relative difference that float32 may leave between two ways to a gradient

LossesOf = Callable[[dict[str, Tensor]], Tensor]  # outputs of the model to losses (B,)


@dataclass(frozen=True)
class ClippedGradients:
    """What one batch adds to a step.

    Args:
        total: Sum of the clipped per-sample gradients, float64; each has an L2 norm of at most C
            over the trainable coordinates, frozen ones are zero.
        losses: Losses of the samples, float64, not noised.
        refused: Number of samples whose gradient was not finite: they count as zero. Not noised.
    """

    total: np.ndarray  # (d,)
    losses: np.ndarray  # (B,)
    refused: int


class PerSampleGradients:
    """Clipped per-sample gradients of one model.

    Args:
        model: The network; its layers get hooks that stay.
        frozen: Mask of the coordinates without a gradient, (d,) bool, whole parameters only.

    Raises:
        UsageError: E231 a layer has no per-sample gradient.
        ValueError: the mask is of another length, or cuts through a parameter.
    """

    def __init__(self, model: MultitaskModel, frozen: np.ndarray | None = None) -> None:
        supports(model, frozen)
        self.model = model
        self.size = sum(p.numel() for p in model.parameters())
        self._places = _trainable(model, frozen)
        self._calls: list[_Call] = []
        for layer in model.modules():
            own = layer.parameters(recurse=False)
            if is_known(layer) and any(p in self._places for p in own):
                layer.register_forward_hook(self._record)

    def clipped_sum(self, batch: Batch, losses_of: LossesOf, clip: float) -> ClippedGradients:
        """Return the sum over samples of their gradients, each scaled by min(1, C / norm).

        Args:
            batch: B samples, ``features`` (B, ...) and the labels; B may be 0.
            losses_of: From the model's outputs to one loss a sample, (B,), that depends on
                nothing else in the batch.
            clip: Clip norm C.

        Raises:
            UsageError: E231 a layer does not see one row a sample.
            ValueError: C is not a positive number, or there is not one loss a sample.
        """
        if not 0 < clip < np.inf:
            raise ValueError(f"a clip norm is a positive number, got {clip}")
        n, refused = len(batch["features"]), 0
        if n == 0:
            return ClippedGradients(np.zeros(self.size), np.zeros(0), 0)
        device = batch["features"].device
        total = torch.zeros(self.size, dtype=torch.float64, device=device)
        losses, uses = self._run(batch, losses_of)
        for start in range(0, n, ROWS):
            pieces = self._gradients(uses, slice(start, start + ROWS))
            squared = torch.zeros(
                len(losses[start : start + ROWS]), dtype=torch.float64, device=device
            )
            for piece in pieces.values():
                squared += piece.squared()
            sound = torch.isfinite(squared)
            weights = clip / squared.sqrt().clamp(min=clip)
            refused += int((~sound).sum())
            for param, piece in pieces.items():
                kept = piece if bool(sound.all()) else piece.only(sound)
                total[self._places[param].at] += kept.weighted(weights[sound])
        found = losses.detach().double().cpu().numpy()
        return ClippedGradients(total.cpu().numpy(), found, refused)

    def verify(self, batch: Batch) -> None:
        """Compare with plain automatic differentiation, sample by sample.

        It finds what a look at the layers cannot: samples that influence each other, and
        parameters that are used beside their layers.

        Args:
            batch: A few samples that anyone may see, such as random ``features``.

        Raises:
            UsageError: E231 a gradient here is not that of the sample alone.
        """
        features = batch["features"].detach().requires_grad_()
        losses, uses = self._run({**batch, "features": features}, _energies)
        pieces = self._gradients(uses, slice(None))
        params = list(self._places)
        for i, loss in enumerate(losses):
            inner, *true = torch.autograd.grad(
                loss, [features, *params], retain_graph=True, materialize_grads=True
            )
            alone = torch.arange(len(inner), device=inner.device) == i
            if bool(inner[~alone].any()):
                raise _refusal("", self.model, "it mixes the samples of a batch")
            for param, expected in zip(params, true, strict=True):
                found = pieces[param].weighted(alone.double()) if param in pieces else 0.0
                apart = (expected.double().reshape(-1) - found).norm()
                if not apart <= TOLERANCE * expected.double().norm() + 1e-9:
                    place = self._places[param]
                    raise _refusal(
                        place.layer,
                        self.model.get_submodule(place.layer),
                        f"its {place.name} is used in a way that Opacus does not see",
                    )

    def _run(self, batch: Batch, losses_of: LossesOf) -> tuple[Tensor, list[_Use]]:
        """Return the losses (B,) and what every layer saw, with the gradient of what it said."""
        self._calls.clear()
        losses = losses_of(self.model(batch))
        calls, self._calls = self._calls, []
        n = len(batch["features"])
        if losses.shape != (n,):
            raise ValueError(f"losses of shape {tuple(losses.shape)} for {n} samples")
        gradients = torch.autograd.grad(
            losses.sum(), [call.edge for call in calls], retain_graph=True, allow_unused=True
        )
        uses = []
        for call, gradient in zip(calls, gradients, strict=True):
            if gradient is not None:
                self._check_rows(call, n)
                uses.append(_Use(call.layer, call.inputs, gradient))
        return losses, uses

    def _check_rows(self, call: _Call, n: int) -> None:
        if len(call.inputs) != n:
            names = {layer: name for name, layer in self.model.named_modules()}
            why = f"it sees {len(call.inputs)} rows for {n} samples"
            raise _refusal(names[call.layer], call.layer, why)

    def _gradients(self, uses: list[_Use], rows: slice) -> dict[nn.Parameter, Dense | Outer]:
        """Return the per-sample gradients of the trainable parameters for the samples ``rows``.

        A parameter that the losses do not depend on is left out.
        """
        times = Counter(p for use in uses for p in use.layer.parameters(recurse=False))
        found: dict[nn.Parameter, Dense | Outer] = {}
        summed: dict[nn.Parameter, Dense] = {}
        for use in uses:
            layer, x, gradient = use.layer, use.inputs[rows], use.gradient[rows]
            once = all(times[p] == 1 for p in layer.parameters(recurse=False))
            if type(layer) is nn.Linear and x.ndim == 2 and once:
                found |= linear_gradients(layer, x, gradient)
                continue
            for param, part in dense_gradients(layer, x, gradient).items():
                summed[param] = summed[param] + part if param in summed else part
        return {p: piece for p, piece in (found | summed).items() if p in self._places}

    def _record(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            self._calls.append(_Call(layer, inputs[0].detach(), get_gradient_edge(output)))


def supports(model: MultitaskModel, frozen: np.ndarray | None = None) -> None:
    """Check that every trainable parameter of ``model`` can have per-sample gradients.

    Raises:
        UsageError: E231 with the first layer that has none, and why.
        ValueError: the mask ``frozen`` (d,) is of another length, or cuts through a parameter.
    """
    trainable = _trainable(model, frozen)
    for name, layer in model.named_modules():
        inner = {p for part in layer.children() for p in part.parameters()}  # Opacus' DPLSTM
        own = [
            n for n, p in layer.named_parameters(recurse=False) if p in trainable and p not in inner
        ]
        for why in _obstacles(layer, own):
            raise _refusal(name, layer, why)


def _obstacles(layer: nn.Module, own: list[str]) -> Iterator[str]:
    """Yield why a layer with the trainable parameters ``own`` is refused."""
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        yield "it mixes the samples of a batch (GroupNorm and LayerNorm do not)"
    for name, _ in layer.named_buffers(recurse=False):
        yield f"its buffer {name} is neither clipped nor noised"
    if own and isinstance(layer, nn.RNNBase | nn.RNNCellBase):
        yield "Opacus has DPLSTM, DPGRU and DPRNN in its place"
    elif own and isinstance(layer, nn.MultiheadAttention):
        yield "Opacus has DPMultiheadAttention in its place"
    elif own and not is_known(layer):
        yield f"its parameter {own[0]} is used outside of the layers that Opacus knows"


def _refusal(name: str, layer: nn.Module, why: str) -> UsageError:
    return UsageError(
        "E231",
        f"layer {name or '(whole network)'} ({type(layer).__name__}) has no per-sample gradient: "
        f"{why}",
        do="use another --model, or --unit client",
    )


@dataclass(frozen=True)
class _Place:
    """Where a parameter is: in the flat vector, and in which layer under which name."""

    at: slice
    layer: str
    name: str


def _trainable(model: nn.Module, frozen: np.ndarray | None) -> dict[nn.Parameter, _Place]:
    places, start = {}, 0
    for full_name, param in model.named_parameters():
        at = slice(start, start + param.numel())
        start = at.stop
        still = np.zeros(param.numel(), dtype=bool) if frozen is None else frozen[at]
        if len(still) != param.numel() or (still.any() and not still.all()):
            raise ValueError(f"the mask of frozen coordinates does not fit parameter {full_name}")
        if not still.any():
            layer, _, name = full_name.rpartition(".")
            places[param] = _Place(at, layer, name)
    if frozen is not None and frozen.shape != (start,):
        raise ValueError(f"a mask of shape {frozen.shape} for {start} coordinates")
    return places


@dataclass(frozen=True)
class _Call:
    """A layer that was called: what it saw, (B, ...), and where what it said is in the graph."""

    layer: nn.Module
    inputs: Tensor
    edge: GradientEdge


@dataclass(frozen=True)
class _Use:
    """A layer that the losses depend on: what it saw, and the gradient of what it said."""

    layer: nn.Module
    inputs: Tensor  # (B, ...)
    gradient: Tensor  # (B, ...)


def _energies(outputs: dict[str, Tensor]) -> Tensor:
    """Return losses (B,) without labels to which every output of the model contributes."""
    return torch.stack([out.flatten(1).square().sum(1) for out in outputs.values()]).sum(0)
