"""What one client does with its data: train from the global model, then clip.

It knows nothing of messages, and its result depends only on the global parameters, the client's
data, the plan and (seed, fold, round, client).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch

from fedaffect import rng
from fedaffect.clients.class_weights import (
    NO_WEIGHTS,
    ClassWeights,
    own_class_weights,
)
from fedaffect.clients.client_data import ClientData, labels_of, windows_of
from fedaffect.clients.fixed_embeddings import FixedEmbeddings
from fedaffect.clients.loss import multitask_loss
from fedaffect.defences.base import NOISE
from fedaffect.models.base import MultitaskModel
from fedaffect.params import read_flat
from fedaffect.strategies.base import Strategy


@dataclass(frozen=True)
class TrainPlan:
    """How every client trains; public, the same for all.

    Args:
        seed: The published training seed.
        local_epochs: Passes over the client's data in a round.
        batch_size: Windows in a step (the last one of a pass may be smaller).
        lr: Learning rate.
        momentum: Momentum of SGD, cleared at the start of every round.
        optimizer: ``sgd`` or ``adam``.
        max_grad_norm: Longest gradient of a step, in L2: keeps training finite from a global
            model that DP noise has blown up, and whole people per client from diverging.
            ``None`` leaves gradients as they are.
        class_weights: ``client``: the classes of a client's own windows count alike.
    """

    seed: int
    local_epochs: int
    batch_size: int
    lr: float
    momentum: float
    optimizer: str
    max_grad_norm: float | None
    class_weights: ClassWeights = "none"


class ResidentModel:
    """A model that is moved along flat gradients, and the data of the clients that it meets.

    The model's parameters are views of one vector (d,), so that copying, clipping and stepping
    are single operations whatever the number of layers. Windows are moved to the model's device
    once, or stay where they are; global parameters and updates come from the CPU and go back.

    Args:
        model: The network, on the device that is to train it; its parameters become views.
        strategy: What a client minimises.
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
        self.model = model
        self.strategy = strategy
        self.plan = plan
        self.params = list(model.parameters())
        self.vector = read_flat(model)  # (d,), in the order of the layout
        self.device = self.vector.device
        self.frozen = None if frozen is None else torch.from_numpy(frozen).to(self.device)
        self.gradient = torch.zeros_like(self.vector)  # (d,)
        for param, view in zip(self.params, self._views(self.vector), strict=True):
            param.data = view
        self.dtype = self.vector.dtype
        self.optimizer = _optimizer(self.vector, plan)
        self.resident: dict[int, tuple[torch.Tensor, dict[str, torch.Tensor]]] = {}

    def _begin(self, global_params: torch.Tensor) -> None:
        """Start a client's round from ``global_params`` (d,)."""
        self.vector.copy_(global_params)
        self.optimizer.clear()
        self.model.train()

    def _noise(self, stream: np.random.Generator, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the column (n, H) that a stochastic defence reads for windows ``x`` (n, F).

        A window's draws come with its place in the client's data, not in a batch: whether another
        window is drawn changes nothing for it.
        """
        if not self.model.defence.stochastic:
            return {}
        with torch.no_grad():
            width = self.model.embed({"features": x[:1]}).shape[1]
        drawn = torch.from_numpy(stream.standard_normal((len(x), width)))
        return {NOISE: drawn.to(self.device, self.dtype)}

    def _move(self) -> None:
        """Step once against ``gradient``, bounded, its frozen coordinates left out."""
        if self.frozen is not None:
            self.gradient.masked_fill_(self.frozen, 0.0)
        if self.plan.max_grad_norm is not None:
            _shorten(self.gradient, self.plan.max_grad_norm)
        self.optimizer.step(self.gradient)

    def _views(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """Return ``vector`` (d,) cut into the shapes of the parameters, without copying."""
        parts = torch.split(vector, [p.numel() for p in self.params])
        return [part.view_as(p) for part, p in zip(parts, self.params, strict=True)]

    def _tensors(self, data: ClientData) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return a client's windows where the model is, kept there if they had to be moved."""
        if data.client_id in self.resident:
            return self.resident[data.client_id]
        x = windows_of(data, self.dtype).to(self.device)
        labels = {task: y.to(self.device) for task, y in labels_of(data).items()}
        if x.data_ptr() != data.features.ctypes.data:
            self.resident[data.client_id] = (x, labels)
        return x, labels


@final
class Trainer(ResidentModel):
    """Trains one client after another from given global parameters."""

    @cached_property
    def embeddings(self) -> FixedEmbeddings | None:
        """The clients' shared representations, where the shared block is frozen."""
        return FixedEmbeddings.where_frozen(self.model, self.frozen)

    def train(
        self, global_params: torch.Tensor, data: ClientData, fold: int, server_round: int
    ) -> tuple[torch.Tensor, float]:
        """Return the client's update (d,) and its mean training loss.

        Args:
            global_params: Parameters (d,) to start from.
            data: The client's windows.
            fold: Number of the evaluation fold, part of the random stream's name.
            server_round: Number of the round, from 1.
        """
        x, labels = self._tensors(data)
        start = global_params.to(self.device)
        anchors = self._views(start)
        self._begin(start)
        order_rng = rng.generator(self.plan.seed, "batch", fold, data.client_id, server_round)
        noise_rng = rng.generator(self.plan.seed, "defence", fold, data.client_id, server_round)
        weights = NO_WEIGHTS
        if self.plan.class_weights == "client":
            own = own_class_weights(self.model.tasks, labels_of(data), self.dtype)
            weights = {task: weight.to(self.device) for task, weight in own.items()}
        fixed = self.embeddings.of(data.client_id, x) if self.embeddings else {}
        losses: list[torch.Tensor] = []
        for _ in range(self.plan.local_epochs):
            order = torch.from_numpy(order_rng.permutation(len(data))).to(self.device)
            windows = {"features": x, **labels, **fixed, **self._noise(noise_rng, x)}
            shuffled = {name: column[order] for name, column in windows.items()}
            for batch in _batches(shuffled, self.plan.batch_size):
                loss = multitask_loss(self.model.tasks, self.model(batch), batch, weights)
                losses.append(loss.detach())
                self._step(self.strategy.client_loss(loss, self.params, anchors))
        return (self.vector - start).cpu(), float(torch.stack(losses).double().mean())

    def _step(self, objective: torch.Tensor) -> None:
        """Move the parameters once, down the gradient of ``objective`` (scalar)."""
        parts = torch.autograd.grad(objective, self.params, materialize_grads=True)
        torch.cat([part.reshape(-1) for part in parts], out=self.gradient)
        self._move()


def _shorten(gradient: torch.Tensor, bound: float) -> None:
    """Scale ``gradient`` (d,) in place to a norm of at most ``bound``."""
    norm = torch.linalg.vector_norm(gradient)
    if gradient.device.type != "cpu":  # to look at the norm would wait for the device
        gradient.mul_(scale_within(norm, bound))
    elif (length := float(norm)) > bound:
        gradient.mul_(bound / length)


def scale_within(norm: torch.Tensor, bound: float) -> torch.Tensor:
    """Return what shortens a vector of length ``norm`` () to ``bound``; 1 where it is no longer."""
    length = norm.double()
    shorter = torch.full_like(length, bound) / length  # a number / a tensor rounds twice
    return torch.where(length > bound, shorter, 1.0).to(norm.dtype)


def _batches(
    windows: dict[str, torch.Tensor], batch_size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Cut ``windows`` into batches that are views; the last one may be smaller."""
    columns = [torch.split(column, batch_size) for column in windows.values()]
    for parts in zip(*columns, strict=True):
        yield dict(zip(windows, parts, strict=True))


class _Sgd:
    """SGD on one vector (d,): ``v <- momentum v + gradient``, then ``w <- w - lr v``.

    The same numbers as ``torch.optim.SGD``, without its Python per step, which is a few per cent
    of the time that a step of a small network takes.
    """

    def __init__(self, vector: torch.Tensor, lr: float, momentum: float) -> None:
        self.vector, self.lr, self.momentum = vector, lr, momentum
        self.velocity = torch.zeros_like(vector)

    def clear(self) -> None:
        """Forget the momentum."""
        self.velocity.zero_()

    def step(self, gradient: torch.Tensor) -> None:
        """Move the vector against ``gradient`` (d,)."""
        if self.momentum:
            gradient = self.velocity.mul_(self.momentum).add_(gradient)
        self.vector.add_(gradient, alpha=-self.lr)


class _Adam:
    """``torch.optim.Adam`` on one vector (d,)."""

    def __init__(self, vector: torch.Tensor, lr: float) -> None:
        self.vector, self.adam = vector, torch.optim.Adam([vector], lr=lr)

    def clear(self) -> None:
        """Forget the moments."""
        self.adam.state.clear()

    def step(self, gradient: torch.Tensor) -> None:
        """Move the vector against ``gradient`` (d,)."""
        self.vector.grad = gradient
        self.adam.step()


def _optimizer(vector: torch.Tensor, plan: TrainPlan) -> _Sgd | _Adam:
    if plan.optimizer == "adam":
        return _Adam(vector, plan.lr)
    return _Sgd(vector, plan.lr, plan.momentum)
