"""Who took part, from the released numbers of a whole network: what the attacker expects.

Where a client's training depends on its data alone, everybody's contribution to every round is
known, and all releases are attacked. Where it also depends on the client's place among the others
(number of its identity, order of its batches), another person's absence changes what everyone
adds: then the first release is attacked, for which every left-out person is tried as the run
would have been. Shapes as in ``released_attack``; d parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from fedaffect.build import Experiment
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer
from fedaffect.clients.side import ClientSide, client_side
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.reproduce.private_head.head_rounds import left_out_of
from fedaffect.reproduce.private_head.released_attack import log_likelihoods
from fedaffect.server.messages import RoundFacts
from fedaffect.server.validation import Updates


@dataclass
class Watched:
    """What the rounds of one training were: the models (d,) that were sent, and the uploads.

    Args:
        uploads: Whether to keep what came back.
    """

    uploads: bool
    models: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)  # (n, r) a round

    def __call__(self, about: RoundFacts, params: np.ndarray, updates: Updates) -> None:
        """Keep one round."""
        self.models.append(params)
        if self.uploads:
            self.rows.append(updates.rows)


class Attack(Protocol):
    """An attacker who computes how likely the releases are by the person left out.

    Args:
        releases: How many of the first releases are attacked.
        left_out: Place of each fold's left-out person among those who are tried, (F,).
        watch_uploads: Whether it is to be given what came back.
    """

    releases: int
    left_out: np.ndarray
    watch_uploads: bool

    def likelihoods(self, fold: int, watched: Watched, final: np.ndarray) -> np.ndarray:
        """Return log-likelihoods (H,) of the training of ``fold`` that ended at ``final`` (d,)."""


class EveryRelease:
    """All rounds are attacked: what a person adds is the same whoever else takes part."""

    watch_uploads = True

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.side = client_side(experiment)
        self.trainer = _trainer(self.side)
        self.people = _people(experiment, self.side)
        self.releases = experiment.config.rounds
        absent = [left_out_of(fold.seen, len(self.people)) for fold in experiment.folds]
        self.left_out = np.array(absent)

    def likelihoods(self, fold: int, watched: Watched, final: np.ndarray) -> np.ndarray:
        """Return log-likelihoods (P,) over all rounds; NaN where a client's update was lost."""
        person = int(self.left_out[fold])
        models = [*watched.models, final]
        found = np.zeros(len(self.people))
        for before, after, rows, number in zip(
            models, models[1:], watched.rows, range(1, len(models)), strict=False
        ):
            if len(rows) + 1 != len(self.people):
                return np.full(len(self.people), np.nan)
            missing = _contribution(self.trainer, self.side, self.people[person], before, number)
            everybody = np.insert(rows, person, missing, axis=0)  # (P, r)
            without = everybody.sum(axis=0) - everybody
            expected = without / self.experiment.plan.clients_per_round
            step = (after - before)[self.experiment.mechanism.blocks.released]
            found += log_likelihoods(step, expected, _noise_on_a_step(self.experiment))
        return found


class FirstRelease:
    """The first round is attacked: every run begins at the same public model."""

    releases = 1
    watch_uploads = False

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.left_out = np.arange(len(experiment.folds))
        side, self.start = (
            client_side(experiment),
            experiment.factory.initial(experiment.config.run.seed),
        )
        self.expected = np.stack([self._step(side, clients) for clients in side.folds])  # (F, r)

    def likelihoods(self, fold: int, watched: Watched, final: np.ndarray) -> np.ndarray:
        """Return log-likelihoods (F,) of the first round, by the fold that it may be of."""
        after = watched.models[1] if len(watched.models) > 1 else final
        step = (after - self.start)[self.experiment.mechanism.blocks.released]
        return log_likelihoods(step, self.expected, _noise_on_a_step(self.experiment))

    def _step(self, side: ClientSide, clients: Sequence[ClientData]) -> np.ndarray:
        """Return the step (r,) that the server would take without noise."""
        trainer, mechanism = _trainer(side), self.experiment.mechanism
        rows = np.stack([_contribution(trainer, side, data, self.start, 1) for data in clients])
        if not isinstance(mechanism, NoisedSum):
            sizes = np.array([len(data) for data in clients], dtype=np.float64)
            return self.experiment.strategy.aggregate(rows, sizes / sizes.sum())
        mean: np.ndarray = rows.sum(axis=0) / self.experiment.plan.clients_per_round
        if mechanism.spec.clip.target == "weights":
            mean = mean - self.start[mechanism.blocks.released]
        return mean


def attack_on(experiment: Experiment) -> Attack:
    """Return the attack on as many releases of ``experiment`` as can be computed exactly."""
    side = client_side(experiment)
    whole_batches = all(len(c) <= side.plan.batch_size for fold in side.folds for c in fold)
    names = {task.name for task in side.factory.build().tasks}
    alike = whole_batches and "identity" not in names
    if alike and experiment.mechanism.noise_at == "server":
        return EveryRelease(experiment)
    return FirstRelease(experiment)


def _people(experiment: Experiment, side: ClientSide) -> list[ClientData]:
    """Return the training windows of every person, numbered as the data set does."""
    found: dict[int, ClientData] = {}
    for fold, clients in zip(experiment.folds, side.folds, strict=True):
        for person, data in zip(fold.seen, clients, strict=True):
            found.setdefault(person, replace(data, client_id=person))
    return [found[person] for person in sorted(found)]


def _trainer(side: ClientSide) -> Trainer:
    return Trainer(side.factory.build(), side.strategy, side.plan, side.mechanism.blocks.frozen)


def _contribution(
    trainer: Trainer, side: ClientSide, data: ClientData, start: np.ndarray, server_round: int
) -> np.ndarray:
    """Return what a client adds to a sum (r,), before any noise, as a site computes it."""
    begin = torch.as_tensor(start).to(trainer.dtype)
    update, _ = trainer.train(begin, data, 0, server_round)
    return side.mechanism.on_client(update.double().numpy(), begin.double().numpy())


def _noise_on_a_step(experiment: Experiment) -> np.ndarray:
    """Return the standard deviation of the noise on every number of a step, (r,)."""
    mechanism, clients = experiment.mechanism, experiment.plan.clients_per_round
    sd = np.zeros(len(mechanism.blocks.released))
    for group in mechanism.groups:
        for block in group.blocks:
            sd[mechanism.blocks.place(block)] = group.noise
    drawn = clients if mechanism.noise_at == "client" else 1  # how many draws a sum has
    noise: np.ndarray = sd * np.sqrt(drawn) / clients
    return noise
