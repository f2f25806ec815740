"""Several clients trained in one program: the same meaning as ``local.Trainer``, for less time.

A small network spends most of a step on starting operations, not on arithmetic. Here the networks
of a group of clients lie side by side, so that one operation moves all of them. Results differ
from those of the loop by rounding alone, and do not depend on the order of the group.

Shapes: K clients in a group, B windows in a batch, d parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.fixed_embeddings import FixedEmbeddings
from fedaffect.clients.local import TrainPlan
from fedaffect.clients.stacked_batches import Stack, StackDealer
from fedaffect.clients.stacked_loss import stacked_losses
from fedaffect.clients.stacked_optimizer import stacked_optimizer
from fedaffect.models.base import MultitaskModel
from fedaffect.models.batch_dependence import batch_dependent
from fedaffect.params import Layout, write_flat
from fedaffect.strategies.base import Strategy


def why_not_stacked(model: MultitaskModel) -> str:
    """Return why clients of ``model`` are trained one after another; empty where they need not.

    Shorter batches are filled up, which only layers that look at one window at a time do not
    notice. Recurrent layers take a step at a time either way.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.RNNBase):
            return f"layer {name} is recurrent"
    return batch_dependent(model)


class StackedTrainer:
    """Trains groups of clients, each from parameters of its own.

    Args:
        model: The network, on the device that is to train it; :func:`why_not_stacked` has no
            objection.
        strategy: What a client minimises; its term is a sum over parameters.
        plan: How every client trains.
        frozen: Mask of the coordinates that never move, (d,) bool.
    """

    def __init__(
        self,
        model: MultitaskModel,
        strategy: Strategy,
        plan: TrainPlan,
        frozen: np.ndarray | None = None,
    ) -> None:
        self.model, self.strategy, self.plan = model.train(), strategy, plan
        self.layout = Layout.of(model, model.blocks())
        mask = np.zeros(self.layout.size, dtype=bool) if frozen is None else frozen
        self.live = [name for name, at in self.layout.slices.items() if not mask[at].all()]
        frozen_mask = torch.from_numpy(mask)
        fixed = FixedEmbeddings.where_frozen(model, frozen_mask)
        self.deal = StackDealer(model, plan, fixed)
        self.device = self.deal.device
        shapes = dict(zip(self.layout.names, self.layout.shapes, strict=True))
        self.masks = {  # coordinates of a parameter that moves which do not
            name: frozen_mask[self.layout.slices[name]].view(shapes[name]).to(self.device)
            for name in self.live
            if mask[self.layout.slices[name]].any()
        }
        self.forward = vmap(self._forward, in_dims=(0, None, 0))

    def train(
        self, starts: Tensor, clients: Sequence[ClientData], fold: int, server_round: int
    ) -> tuple[Tensor, np.ndarray]:
        """Return the clients' updates (K, d) and their mean training losses (K,).

        Args:
            starts: Parameters to start from, (K, d); equal where they are frozen.
            clients: The clients' windows.
            fold: Number of the evaluation fold, part of the random streams' names.
            server_round: Number of the round, from 1.
        """
        starts = starts.to(self.device)
        write_flat(self.model, starts[0])
        group = self.deal.stack(clients, fold, server_round)
        order = group.order
        anchors = self._stacked(starts[order])
        params = {name: anchor.clone() for name, anchor in anchors.items()}
        still = {n: p.data for n, p in self.model.named_parameters() if n not in params}
        optimizer = stacked_optimizer(self.plan, list(params.values()))
        losses = torch.zeros(len(order), dtype=torch.float64, device=self.device)
        for step in range(int(group.steps[0])):
            active = int((group.steps > step).sum())
            leaves = {n: p[:active].detach().requires_grad_() for n, p in params.items()}
            loss = self._losses(leaves, still, group, step)  # (active,)
            losses[:active] += loss.detach()
            objective = self.strategy.client_loss(
                loss.sum(), list(leaves.values()), [a[:active] for a in anchors.values()]
            )
            optimizer.step(self._gradients(objective, leaves))
        moved = torch.zeros_like(starts)
        for name, at in self.layout.slices.items():
            if name in params:
                moved[:, at] = (params[name] - anchors[name]).flatten(1)
        given = np.argsort(order)  # where every client is now, in the order that it was given
        means: np.ndarray = losses.cpu().numpy() / group.steps
        return moved.cpu()[given], means[given]

    def _forward(
        self, params: dict[str, Tensor], still: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = functional_call(self.model, params | still, (batch,))
        return outputs

    def _losses(
        self, params: dict[str, Tensor], still: dict[str, Tensor], group: Stack, step: int
    ) -> Tensor:
        """Return the task losses of the clients that are still at work, (active,)."""
        active = len(next(iter(params.values())))
        batch, present = group.batch(step, active)
        outputs = self.forward(params, still, batch)
        weights = {task: w[:active] for task, w in group.weights.items()}
        return stacked_losses(self.model.tasks, outputs, batch, present, weights)

    def _gradients(self, objective: Tensor, leaves: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the bounded gradients of every client, (active, ...) by parameter."""
        found = list(torch.autograd.grad(objective, list(leaves.values()), materialize_grads=True))
        for at, name in enumerate(leaves):
            if name in self.masks:
                found[at] = found[at].masked_fill(self.masks[name], 0.0)
        bound = self.plan.max_grad_norm
        if bound is not None:
            squares = torch.stack([g.flatten(1).square().sum(1) for g in found]).sum(0)
            norms = squares.sqrt()
            scale = torch.where(norms > bound, bound / norms, 1.0)  # (active,)
            found = [g * scale.view(-1, *[1] * (g.dim() - 1)) for g in found]
        return found

    def _stacked(self, vectors: Tensor) -> dict[str, Tensor]:
        """Return the parameters that may move as tensors (K, ...), from ``vectors`` (K, d)."""
        shapes = dict(zip(self.layout.names, self.layout.shapes, strict=True))
        return {
            name: _laid_out(vectors[:, self.layout.slices[name]].reshape(-1, *shapes[name]))
            for name in self.live
        }


def _laid_out(params: Tensor) -> Tensor:
    """Return a copy of ``params`` (K, ...) that lies in memory as its gradients will.

    Batched matrix products leave those of a matrix (O, I), or of a kernel (O, C, taps), with the
    last two axes swapped: a step that reads one order and writes the other takes several times as
    long.
    """
    if params.dim() < 3:
        return params.clone()
    return params.transpose(-1, -2).clone(memory_format=torch.contiguous_format).transpose(-1, -2)
