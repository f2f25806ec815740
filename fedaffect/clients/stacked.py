"""Several clients trained in one program: the same meaning as ``local.Trainer``, for less time.

A small network spends most of a step on starting operations, not on arithmetic. Here the networks
of a group of clients lie side by side, so that one operation moves all of them. Results differ
from those of the loop by rounding alone, and do not depend on the order of the group.

Shapes: K clients in a group, B windows in a batch, S steps of the client with the most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fedaffect import rng
from fedaffect.clients.class_weights import own_class_weights
from fedaffect.clients.fixed_embeddings import FixedEmbeddings
from fedaffect.clients.local import ClientData, TrainPlan
from fedaffect.clients.stacked_loss import stacked_losses
from fedaffect.clients.stacked_optimizer import stacked_optimizer
from fedaffect.defences.base import NOISE
from fedaffect.models.base import MISSING_LABEL, MultitaskModel
from fedaffect.params import Layout, write_flat
from fedaffect.strategies.base import Strategy


def why_not_stacked(model: MultitaskModel) -> str:
    """Return why clients of ``model`` are trained one after another; empty where they need not.

    Layers that draw while they train would draw otherwise side by side; recurrent layers run
    window after window either way.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.RNNBase):
            return f"layer {name} is recurrent"
        if isinstance(layer, nn.modules.dropout._DropoutNd) or getattr(layer, "dropout", None):
            return f"layer {name} drops values at random"
    return ""


@dataclass(frozen=True)
class _Group:
    """The windows of a group in batches, clients with more steps first.

    Args:
        order: Place of every client among those that were given, (K,).
        columns: Name to the values of all windows, and one row that stands for none.
        places: Row that a batch takes, by column, (S, K, B).
        steps: Steps of every client, (K,), descending.
        weights: Weight of every class, by task, (K, classes); empty where all weigh alike.
    """

    order: list[int]
    columns: Mapping[str, Tensor]
    places: Mapping[str, Tensor]
    steps: np.ndarray
    weights: Mapping[str, Tensor]

    def batch(self, step: int, active: int) -> dict[str, Tensor]:
        """Return the batches (active, B, ...) of one step."""
        return {
            name: column[self.places[name][step, :active]] for name, column in self.columns.items()
        }


class StackedTrainer:
    """Trains groups of clients, each from parameters of its own.

    Args:
        model: The network; :func:`why_not_stacked` has no objection.
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
        self.frozen = torch.from_numpy(mask)
        self.dtype = next(model.parameters()).dtype
        self.fixed = FixedEmbeddings.where_frozen(model, self.frozen)
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
        write_flat(self.model, starts[0])
        group = self._group(clients, fold, server_round)
        order = group.order
        anchors = self._stacked(starts[order])
        params = {name: anchor.clone() for name, anchor in anchors.items()}
        still = {n: p.data for n, p in self.model.named_parameters() if n not in params}
        optimizer = stacked_optimizer(self.plan, list(params.values()))
        losses = torch.zeros(len(order), dtype=torch.float64)
        for step in range(int(group.steps[0])):
            active = int((group.steps > step).sum())
            leaves = {n: p[:active].detach().requires_grad_() for n, p in params.items()}
            loss = self._losses(leaves, still, group, step)  # (active,)
            losses[:active] += loss.detach()
            objective = self.strategy.client_loss(
                loss.sum(), list(leaves.values()), [a[:active] for a in anchors.values()]
            )
            optimizer.step(self._gradients(objective, leaves))
        updates = torch.zeros_like(starts)
        for name, at in self.layout.slices.items():
            if name in params:
                updates[order, at] = (params[name] - anchors[name]).flatten(1)
        means = np.empty(len(order))
        means[order] = (losses / torch.from_numpy(group.steps)).numpy()
        return updates, means

    def _forward(
        self, params: dict[str, Tensor], still: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = functional_call(self.model, params | still, (batch,))
        return outputs

    def _losses(
        self, params: dict[str, Tensor], still: dict[str, Tensor], group: _Group, step: int
    ) -> Tensor:
        """Return the task losses of the clients that are still at work, (active,)."""
        active = len(next(iter(params.values())))
        batch = group.batch(step, active)
        present = group.places["features"][step, :active] < len(group.columns["features"]) - 1
        outputs = self.forward(params, still, batch)
        weights = {task: w[:active] for task, w in group.weights.items()}
        return stacked_losses(self.model.tasks, outputs, batch, present, weights)

    def _gradients(self, objective: Tensor, leaves: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the bounded gradients of every client, (active, ...) by parameter."""
        found = list(torch.autograd.grad(objective, list(leaves.values()), materialize_grads=True))
        for at, name in enumerate(leaves):
            mask = self.frozen[self.layout.slices[name]]
            if mask.any():
                found[at] = found[at].masked_fill(mask.view(leaves[name].shape[1:]), 0.0)
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
            name: vectors[:, self.layout.slices[name]].reshape(-1, *shapes[name]).contiguous()
            for name in self.live
        }

    def _group(self, clients: Sequence[ClientData], fold: int, server_round: int) -> _Group:
        """Return the batches of all clients, as each of them would draw them alone."""
        order = sorted(range(len(clients)), key=lambda k: (-len(clients[k]), clients[k].client_id))
        clients = [clients[k] for k in order]
        size, epochs = min(self.plan.batch_size, len(clients[0])), self.plan.local_epochs
        columns: dict[str, list[Tensor]] = {}
        orders: list[list[np.ndarray]] = []  # of every client and epoch
        for data in clients:
            for name, column in self._columns(data).items():
                columns.setdefault(name, []).append(column)
            draw = rng.generator(self.plan.seed, "batch", fold, data.client_id, server_round)
            orders.append([draw.permutation(len(data)) for _ in range(epochs)])
        windows = [len(data) for data in clients]
        starts = np.cumsum([0, *windows])
        places = _places(orders, starts, size, none=int(starts[-1]))
        where = dict.fromkeys(columns, places)
        whole = {name: _with_none(parts) for name, parts in columns.items()}
        if self.model.defence.stochastic:
            whole[NOISE] = _with_none([self._noise(data, fold, server_round) for data in clients])
            later = [[o + e * len(o) for e, o in enumerate(of_one)] for of_one in orders]
            begins = epochs * starts
            where[NOISE] = _places(later, begins, size, none=int(begins[-1]))
        weights: dict[str, Tensor] = {}
        if self.plan.class_weights == "client":
            found = [
                own_class_weights(self.model.tasks, self._labels(data), self.dtype)
                for data in clients
            ]
            weights = {task: torch.stack([w[task] for w in found]) for task in found[0]}
        steps = epochs * -(-np.array(windows) // size)
        return _Group(order, whole, where, steps, weights)

    def _columns(self, data: ClientData) -> dict[str, Tensor]:
        """Return features, labels and fixed embeddings of a client's windows, by name."""
        x = torch.tensor(data.features, dtype=self.dtype)
        fixed = self.fixed.of(data.client_id, x) if self.fixed is not None else {}
        return {"features": x, **self._labels(data), **fixed}

    def _labels(self, data: ClientData) -> dict[str, Tensor]:
        return {task: torch.tensor(y, dtype=torch.int64) for task, y in data.labels.items()}

    def _noise(self, data: ClientData, fold: int, server_round: int) -> Tensor:
        """Return what a stochastic defence reads in all epochs, (epochs n, H)."""
        draw = rng.generator(self.plan.seed, "defence", fold, data.client_id, server_round)
        with torch.no_grad():
            x = torch.tensor(data.features[:1], dtype=self.dtype)
            width = self.model.embed({"features": x}).shape[1]
        rows = self.plan.local_epochs * len(data)
        return torch.from_numpy(draw.standard_normal((rows, width))).to(self.dtype)


def _with_none(parts: Sequence[Tensor]) -> Tensor:
    """Return ``parts`` one below the other, and a last row that stands for no window."""
    first = parts[0]
    none = torch.zeros(1, *first.shape[1:], dtype=first.dtype)
    if first.dim() == 1:  # labels
        none.fill_(float("nan") if first.is_floating_point() else MISSING_LABEL)
    return torch.cat([*parts, none])


def _places(
    orders: Sequence[Sequence[np.ndarray]], starts: np.ndarray, size: int, none: int
) -> Tensor:
    """Return which row every batch takes, (S, K, B).

    Args:
        orders: Of every client and epoch, the order of its windows.
        starts: First row of every client.
        size: Windows in a batch, B.
        none: Row that stands for no window.
    """
    columns = []
    for epochs, start in zip(orders, starts, strict=False):
        padded = []
        for order in epochs:
            batches = np.full(-(-len(order) // size) * size, none)
            batches[: len(order)] = start + order
            padded.append(batches.reshape(-1, size))
        columns.append(np.concatenate(padded))
    places = np.full((max(map(len, columns)), len(columns), size), none)
    for client, batches in enumerate(columns):
        places[: len(batches), client] = batches
    return torch.from_numpy(places)
