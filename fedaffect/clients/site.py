"""What a node has: the data of the clients it hosts and a trainer; it answers train requests.

A node of a simulation can host every client; a hospital hosts its own. The same code serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from fedaffect.build import Experiment, Fold
from fedaffect.clients.local import ClientData, Trainer, TrainPlan
from fedaffect.models.factory import ModelFactory
from fedaffect.privacy.base import Mechanism
from fedaffect.strategies.base import Strategy


@dataclass(frozen=True)
class ClientSide:
    """Everything that a node needs, and no secret: data, model, training plan, clipping rule."""

    factory: ModelFactory
    strategy: Strategy
    plan: TrainPlan
    mechanism: Mechanism
    folds: tuple[tuple[ClientData, ...], ...]


def client_side(experiment: Experiment) -> ClientSide:
    """Return what the nodes of ``experiment`` need."""
    f = experiment.config.federation
    plan = TrainPlan(
        seed=experiment.config.run.seed,
        local_epochs=f.local_epochs,
        batch_size=f.batch_size,
        lr=f.lr,
        momentum=f.momentum,
        optimizer=f.optimizer,
        max_grad_norm=None if isinstance(f.max_grad_norm, str) else f.max_grad_norm,
    )
    return ClientSide(
        experiment.factory,
        experiment.strategy,
        plan,
        experiment.mechanism,
        tuple(_clients_of(fold, experiment.table.stress) for fold in experiment.folds),
    )


def _clients_of(fold: Fold, stress: np.ndarray) -> tuple[ClientData, ...]:
    return tuple(
        ClientData(
            i, fold.features[rows], {"stress": stress[rows], "identity": fold.identity[rows]}
        )
        for i, rows in enumerate(fold.partition.clients)
    )


@dataclass(frozen=True)
class TrainReply:
    """Privatised updates of the clients of one node in one round; rows follow ``client_ids``."""

    client_ids: tuple[int, ...]
    updates: np.ndarray  # (n, d)
    losses: tuple[float, ...]
    failed: dict[int, str] = field(default_factory=dict)  # client id -> why


class Site:
    """The clients of one node, with their data resident in memory."""

    def __init__(self, side: ClientSide) -> None:
        torch.set_num_threads(1)
        self.side = side
        self.layout = side.factory.layout
        self._trainers: dict[int, Trainer] = {}
        self._clients = [{c.client_id: c for c in fold} for fold in side.folds]

    def hosts(self, fold: int) -> tuple[int, ...]:
        """Return the ids of the clients that this node can train in ``fold``."""
        return tuple(sorted(self._clients[fold]))

    def train(
        self, params: np.ndarray, fold: int, server_round: int, client_ids: Sequence[int]
    ) -> TrainReply:
        """Train each of ``client_ids`` from ``params`` (d,), clip, and return the updates.

        A client that fails costs its own update only.
        """
        trainer = self._trainer(fold)
        start = torch.as_tensor(params).to(trainer.dtype)
        done: list[int] = []
        updates = np.empty((len(client_ids), self.layout.size), dtype=start.numpy().dtype)
        losses: list[float] = []
        failed: dict[int, str] = {}
        for client_id in client_ids:
            try:
                data = self._clients[fold][client_id]
                update, loss = trainer.train(start, data, fold, server_round)
                updates[len(done)] = self.side.mechanism.on_client(update.double().numpy())
            except (ArithmeticError, KeyError, RuntimeError, ValueError, MemoryError) as error:
                failed[client_id] = f"{type(error).__name__}: {error}"[:200]
                continue
            done.append(client_id)
            losses.append(loss)
        return TrainReply(tuple(done), updates[: len(done)], tuple(losses), failed)

    def _trainer(self, fold: int) -> Trainer:
        if fold not in self._trainers:
            self._trainers = {  # one fold runs at a time; its data replace the last fold's
                fold: Trainer(self.side.factory.build(), self.side.strategy, self.side.plan)
            }
        return self._trainers[fold]


_hosted: dict[str, Site] = {}


def host(run_key: str, site: Site) -> None:
    """Let this process answer for ``site`` in the run called ``run_key`` (one run at a time)."""
    _hosted.clear()
    _hosted[run_key] = site


def hosted(run_key: str) -> Site | None:
    """Return the site that this process hosts for the run, if any."""
    return _hosted.get(run_key)
