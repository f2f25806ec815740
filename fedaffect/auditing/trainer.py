"""Trains as the run did, in this process and without DP, on windows that an attacker chooses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from fedaffect import references
from fedaffect.auditing.memory import RememberedLayers
from fedaffect.build import Experiment
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer
from fedaffect.clients.side import ClientSide, client_side
from fedaffect.clients.site import Site, host
from fedaffect.outline import outline
from fedaffect.server.sampling import Sampler
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid

NAME = "audit"  # of the trainings of an audit, in this process only


@dataclass(frozen=True, eq=False)
class InProcessTrainer:
    """Federated trainings and single updates; the same arguments always give the same numbers.

    Args:
        experiment: The attacked experiment.
    """

    experiment: Experiment
    _models: dict[tuple[bytes, int], np.ndarray] = field(default_factory=dict, repr=False)

    def model(self, train: np.ndarray, seed: int) -> np.ndarray:
        """Return parameters (d,) float64 of a federated training without DP.

        The windows stay with the clients that hold them in the run; those that no client holds
        go to new clients, one a person. Asking again costs nothing.

        Args:
            train: Windows to train on, (N,) bool.
            seed: Seed of initial parameters and order of windows.
        """
        key = hashlib.sha256(np.packbits(train).tobytes()).digest(), seed
        if key not in self._models:
            self._models[key] = self._train(train, seed)
        return self._models[key].copy()

    def update(
        self,
        params: np.ndarray,
        rows: np.ndarray,
        seed: int,
        labels: Mapping[str, np.ndarray],
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return one client's raw update (d,) float64: local training as in the run.

        Args:
            params: Parameters (d,) to start from.
            rows: Indices of windows, (m,).
            seed: Seed of the order of the windows.
            labels: Task to labels (m,); a task that is missing has its true ones.
            features: Features (m, F) instead of those of the windows.
        """
        torch.set_num_threads(1)  # as at a client
        side = self._side
        trainer = Trainer(
            side.factory.build(),
            side.strategy,
            replace(side.plan, seed=seed),
            side.mechanism.blocks.frozen,
        )
        start = torch.as_tensor(params).to(trainer.dtype)
        data = self._data(0, rows, labels)
        if features is not None:
            data = replace(data, features=features)
        update, _ = trainer.train(start, data, 0, 1)
        return update.double().numpy()

    @cached_property
    def _side(self) -> ClientSide:
        return client_side(self.experiment)

    def _train(self, train: np.ndarray, seed: int) -> np.ndarray:
        plain = without_dp(self.experiment)
        clients = [self._data(i, rows) for i, rows in enumerate(self._holders(train))]
        side = client_side(plain, NAME)
        site = Site(replace(side, folds=((*clients,),), plan=replace(side.plan, seed=seed)))
        site.personal = RememberedLayers(NAME)
        grid = LocalGrid(NAME)
        host(NAME, site)
        plan = plain.plan
        drawn = max(1, round(plan.sampling_rate * len(clients)))
        loop = replace(
            Training(plain, NAME).loop(grid),
            sampler=Sampler(plan.sampler, drawn, plan.sampling_rate, seed),
        )
        sizes = [len(client) for client in clients]
        return loop.train(plain.factory.initial(seed), sizes, 0, lambda outcome: None)

    def _holders(self, train: np.ndarray) -> list[np.ndarray]:
        """Return the windows (m,) of every client that has some of ``train`` (N,) bool."""
        held = self.experiment.folds[0].partition.clients
        free = train.copy()
        for rows in held:
            free[rows] = False
        subject = self.experiment.table.subject
        new = [np.flatnonzero(free & (subject == person)) for person in np.unique(subject[free])]
        return [rows for rows in [*(r[train[r]] for r in held), *new] if len(rows)]

    def _data(
        self, client_id: int, rows: np.ndarray, labels: Mapping[str, np.ndarray] | None = None
    ) -> ClientData:
        fold, table = self.experiment.folds[0], self.experiment.table
        true = {"stress": table.stress[rows], "identity": fold.identity[rows]}
        return ClientData(client_id, fold.features[rows], {**true, **(labels or {})})


def without_dp(experiment: Experiment) -> Experiment:
    """Return ``experiment`` on the same windows of the same clients, without DP."""
    planned = outline(references.without_dp(experiment.config))
    return replace(experiment, outline=planned, plan=planned.plan)
