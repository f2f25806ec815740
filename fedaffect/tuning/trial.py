"""One training of many settings at once on the folds of a cohort.

Settings are all pairs of a learning rate and a clip; each is trained once without noise and once
for every draw. A draw is the same for all settings, in units of the clip, so that they differ by
their merit. The noise comes from a test key: these people are public, and nothing is charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.metrics import confusion
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.tuning.affine_head import Person
from fedaffect.tuning.federation import LocalTraining, train_heads
from fedaffect.tuning.grid import Grid
from fedaffect.tuning.public_people import Fold


@dataclass(frozen=True)
class Noise:
    """The noise of a trial.

    Args:
        key: Where it comes from.
        cohort: Number of the cohort: another one, another noise.
        z: Noise standard deviation / C on the sum of a round.
        clients: Planned number n of clients, the fixed denominator.
    """

    key: TestNoiseKey
    cohort: int
    z: float
    clients: int

    def on_mean(self, fold: int, rounds: int, numbers: int, draws: int) -> np.ndarray:
        """Return what is added to the mean updates, in units of C, (1 + draws, T, k).

        The first draw is no noise at all.
        """
        drawn = np.zeros((1 + draws, rounds, numbers))
        for draw in range(1, 1 + draws):
            for server_round in range(rounds):
                block = f"tuning {self.cohort} {fold} {draw}"
                stream = self.key.stream(release=server_round + 1, block=block, inputs=b"")
                drawn[draw, server_round] = stream.gaussian(numbers)
        return drawn * (self.z / self.clients)


def trial(
    people: Sequence[Person],
    folds: Sequence[Fold],
    training: LocalTraining,
    grid: Grid,
    noise: Noise,
) -> np.ndarray:
    """Return confusion counts of every person, (P, lr, clip, 1 + draws, 2, 2).

    Args:
        people: Everybody in the cohort; each is in the tested part of one fold.
        folds: Who trains and who is tested.
        training: Rounds and local steps.
        grid: Learning rates, clips and draws.
        noise: Without noise in the first of the draws.
    """
    shape = (len(grid.lr), len(grid.clip), 1 + grid.draws)
    lr, clip = (
        np.broadcast_to(column, shape).ravel()
        for column in (np.array(grid.lr)[:, None, None], np.array(grid.clip)[None, :, None])
    )
    counts = np.zeros((len(people), *shape, 2, 2), dtype=np.int64)
    numbers = people[0].design.shape[1]
    for number, fold in enumerate(folds):
        drawn = noise.on_mean(number, training.rounds, numbers, grid.draws)  # (1 + draws, T, k)
        columns = np.broadcast_to(
            drawn.transpose(1, 2, 0)[:, :, None, None, :], (training.rounds, numbers, *shape)
        ).reshape(training.rounds, numbers, -1)
        clients = [people[i] for i in fold.clients]
        change = train_heads(clients, training, lr.copy(), clip.copy(), columns.copy())
        for tested in fold.tested:
            counts[tested] = counts_of(people[tested], change).reshape(*shape, 2, 2)
    return counts


def counts_of(person: Person, change: np.ndarray) -> np.ndarray:
    """Return confusion counts (S, 2, 2) of one person under ``change`` (k, S)."""
    answers = person.offset[:, None] + person.design @ change > 0  # (n, S)
    stressed = person.stressed.astype(np.int64)
    return np.stack([confusion(stressed, answer.astype(np.int64)) for answer in answers.T])
