"""The rounds of a private head for every fold and every noise draw at once.

A frozen shared block makes local training so small that all folds and draws go through one matrix
product. The models are those of the round loop over a grid, to rounding: same updates, same clip,
same noise key, same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.build import Experiment
from fedaffect.clients.side import client_side
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.reproduce.private_head.head_training import head_client, trained
from fedaffect.reproduce.private_head.released_attack import log_likelihoods
from fedaffect.tuning.federation import HeadClient

HEAD = "task:stress"


@dataclass(frozen=True, eq=False)
class Rounds:
    """What was released, and what everybody would have added to it.

    F folds, each without one person; D noise draws; T rounds; P people.

    Args:
        left_out: The person without a client in each fold, (F,).
        heads: The head before the first round and after each, (T + 1, F, D, H + 1).
        added: What each person adds, or would add, to the released sum, (T, P, F, D, H + 1).
        shares: What the sum is divided by where a person is left out, (P,): the fixed number of
            clients under DP, the others' windows without.
        noise_sd: Standard deviation of the noise on a coordinate of the sum; 0 without DP.
    """

    left_out: np.ndarray
    heads: np.ndarray
    added: np.ndarray
    shares: np.ndarray
    noise_sd: float

    @property
    def final(self) -> np.ndarray:
        """The heads that are evaluated, (F, D, H + 1)."""
        last: np.ndarray = self.heads[-1]
        return last

    @property
    def likelihoods(self) -> np.ndarray:
        """How likely all that was released is if a person was left out, (P, F, D)."""
        steps = np.diff(self.heads, axis=0)  # (T, F, D, H + 1)
        without = self.added.sum(axis=1, keepdims=True) - self.added  # (T, P, F, D, H + 1)
        shares = self.shares[:, None, None, None]
        found = [
            log_likelihoods(step, rest / shares, self.noise_sd / self.shares[0])
            for step, rest in zip(steps, without, strict=True)
        ]
        total: np.ndarray = np.sum(found, axis=0)
        return total


def people_of(experiment: Experiment) -> list[HeadClient]:
    """Return the training windows of every person, in the order of the data set."""
    side = client_side(experiment)
    model = experiment.factory.with_params(experiment.factory.initial(experiment.config.run.seed))
    found: dict[int, HeadClient] = {}
    for fold, clients in zip(experiment.folds, side.folds, strict=True):
        for person, data in zip(fold.seen, clients, strict=True):
            if person not in found:
                balanced = side.plan.class_weights == "client"
                found[person] = head_client(model, data, balanced)
    return [found[person] for person in sorted(found)]


def head_rounds(experiment: Experiment, draws: Sequence[str]) -> Rounds:
    """Train the head of ``experiment`` in every fold, once for each of ``draws``.

    Args:
        experiment: A client a person, everybody in every round, one person left out of each fold;
            only a logistic stress head is released.
        draws: Text of each test noise key; one is enough without DP.

    Raises:
        ValueError: the experiment is another one.
    """
    plan = client_side(experiment).plan
    people, mechanism = people_of(experiment), experiment.mechanism
    layout, seed = experiment.factory.layout, experiment.config.run.seed
    released = mechanism.blocks.released
    if not np.array_equal(np.sort(layout.indices(HEAD)), released):
        raise ValueError(f"what is released is not {HEAD} alone")
    left_out = np.array([left_out_of(fold.seen, len(people)) for fold in experiment.folds])
    taking_part = left_out[None, :] != np.arange(len(people))[:, None]  # (P, F)
    sizes = np.array([len(person) for person in people], dtype=np.float64)
    shares = sizes.sum() - sizes
    if isinstance(mechanism, NoisedSum):
        shares = np.full(len(people), experiment.plan.clients_per_round)
    start = experiment.factory.initial(seed)[released]
    shape = (len(left_out), len(draws), len(start))
    heads, added = [np.broadcast_to(start, shape).copy()], []
    for server_round in range(1, experiment.config.rounds + 1):
        flat = heads[-1].reshape(-1, len(start))
        updates = np.stack([trained(flat, person, plan).reshape(shape) for person in people])
        if isinstance(mechanism, NoisedSum):
            step, mine = _noised(experiment, mechanism, updates, taking_part, draws, server_round)
        else:
            mine = updates * sizes[:, None, None, None]
            step = _sum(mine, taking_part) / shares[left_out][:, None, None]
        added.append(mine)
        heads.append(heads[-1] + step)
    noise = mechanism.groups[0].noise if isinstance(mechanism, NoisedSum) else 0.0
    return Rounds(left_out, np.stack(heads), np.stack(added), shares, noise)


def _noised(
    experiment: Experiment,
    mechanism: NoisedSum,
    updates: np.ndarray,
    taking_part: np.ndarray,
    draws: Sequence[str],
    server_round: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the step (F, D, H + 1) and the clipped ``updates`` (P, F, D, H + 1) of a round."""
    clipped = np.apply_along_axis(mechanism.clipped, -1, updates)
    totals = _sum(clipped, taking_part)  # (F, D, H + 1)
    for at, fold in enumerate(experiment.folds):
        release = fold.number * experiment.config.rounds + server_round
        for draw, text in enumerate(draws):
            total = ClippedSum(
                totals[at, draw], int(taking_part[:, at].sum()), mechanism.bounds, mechanism.norm
            )
            totals[at, draw] = mechanism.add_noise(total, TestNoiseKey(text), release).total
    return totals / experiment.plan.clients_per_round, clipped


def _sum(added: np.ndarray, taking_part: np.ndarray) -> np.ndarray:
    """Return the sum over those who take part, (F, D, H + 1)."""
    total: np.ndarray = np.einsum("pfdh,pf->fdh", added, taking_part.astype(np.float64))
    return total


def left_out_of(seen: Sequence[int], people: int) -> int:
    """Return the one person who is not ``seen``.

    Raises:
        ValueError: there is not exactly one.
    """
    (person,) = set(range(people)) - set(seen)
    return person
