"""The batches of several clients side by side: the ones that each of them would draw alone.

Shapes: K clients, B windows in a batch, S steps of the client with the most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedaffect import rng
from fedaffect.clients.class_weights import own_class_weights
from fedaffect.clients.client_data import ClientData, labels_of, windows_of
from fedaffect.clients.fixed_embeddings import FixedEmbeddings
from fedaffect.clients.local import TrainPlan
from fedaffect.defences.base import NOISE
from fedaffect.models.base import MISSING_LABEL, MultitaskModel


@dataclass(frozen=True)
class Stack:
    """The windows of several clients in batches, clients with more steps first.

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

    def batch(self, step: int, active: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return the batches (active, B, ...) of a step, and which rows are windows (active, B)."""
        rows = {name: places[step, :active] for name, places in self.places.items()}
        batch = {name: column[rows[name]] for name, column in self.columns.items()}
        return batch, rows["features"] < len(self.columns["features"]) - 1


@dataclass(frozen=True)
class StackDealer:
    """Deals the windows of clients into batches.

    Args:
        model: The network.
        plan: How every client trains.
        fixed: Its shared representations, where training never changes them.
    """

    model: MultitaskModel
    plan: TrainPlan
    fixed: FixedEmbeddings | None

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network."""
        return next(self.model.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the network is, and the batches are to be."""
        return next(self.model.parameters()).device

    def stack(self, clients: Sequence[ClientData], fold: int, server_round: int) -> Stack:
        """Return the batches of all clients, as each of them would draw them alone.

        They are laid out on the CPU and moved to the device as a whole.
        """
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
        places = _places(orders, starts, size, none=int(starts[-1])).to(self.device)
        where = dict.fromkeys(columns, places)
        whole = {name: _with_none(parts).to(self.device) for name, parts in columns.items()}
        if self.model.defence.stochastic:
            drawn = [self._noise(data, fold, server_round) for data in clients]
            whole[NOISE] = _with_none(drawn).to(self.device)
            later = [[o + e * len(o) for e, o in enumerate(of_one)] for of_one in orders]
            begins = epochs * starts
            where[NOISE] = _places(later, begins, size, none=int(begins[-1])).to(self.device)
        weights: dict[str, Tensor] = {}
        if self.plan.class_weights == "client":
            found = [
                own_class_weights(self.model.tasks, labels_of(data), self.dtype) for data in clients
            ]
            weights = {
                task: torch.stack([w[task] for w in found]).to(self.device) for task in found[0]
            }
        steps = epochs * -(-np.array(windows) // size)
        return Stack(order, whole, where, steps, weights)

    def _columns(self, data: ClientData) -> dict[str, Tensor]:
        """Return features, labels and fixed embeddings of a client's windows, by name."""
        x = windows_of(data, self.dtype)
        fixed = self.fixed.of(data.client_id, x) if self.fixed is not None else {}
        return {"features": x, **labels_of(data), **fixed}

    def _noise(self, data: ClientData, fold: int, server_round: int) -> Tensor:
        """Return what a stochastic defence reads in all epochs, (epochs n, H)."""
        draw = rng.generator(self.plan.seed, "defence", fold, data.client_id, server_round)
        with torch.no_grad():
            x = torch.tensor(data.features[:1], dtype=self.dtype, device=self.device)
            width = self.model.embed({"features": x}).shape[1]
        rows = self.plan.local_epochs * len(data)
        return torch.from_numpy(draw.standard_normal((rows, width))).to(self.dtype)


def _with_none(parts: Sequence[Tensor]) -> Tensor:
    """Return ``parts`` one below the other, and a last row that stands for no window."""
    first = parts[0]
    none = first.new_zeros(1, *first.shape[1:])
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
