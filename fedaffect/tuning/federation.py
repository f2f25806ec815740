"""Federated training of the released numbers of a frozen network, many settings at a time.

The same training as ``fedaffect simulate`` does with ``--dp gaussian``: full-batch steps of SGD
with momentum on every client, the L2 clip of its update, the fixed denominator, the noise of the
sum (B. McMahan et al. 2018, "Learning Differentially Private Recurrent Language Models").

Shapes: n windows of a person, k released numbers, S settings (columns), T rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fedaffect.tuning.affine_head import Person


@dataclass(frozen=True)
class LocalTraining:
    """What all settings of one training share.

    Args:
        rounds: T.
        local_epochs: Full-batch steps of a client in a round.
        momentum: Momentum of SGD.
        max_grad_norm: Longest gradient of a step, in L2; ``None``: no bound.
        weighted: Whether every client weighs its own classes alike.
    """

    rounds: int
    local_epochs: int
    momentum: float = 0.9
    max_grad_norm: float | None = 1.0
    weighted: bool = False


def train_heads(
    people: Sequence[Person],
    training: LocalTraining,
    lr: np.ndarray,
    clip: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    """Return the change of the released numbers after the last round, (k, S) float64.

    Args:
        people: The clients; all take part in every round.
        training: What the settings share.
        lr: Learning rate of each setting, (S,).
        clip: L2 clip norm C of each setting, (S,).
        noise: What is added to the mean update of a round, in units of C, (T, k, S).
    """
    clients = [HeadClient(person, training.weighted) for person in people]
    rate, bound = torch.from_numpy(lr), torch.from_numpy(clip)
    drawn = torch.from_numpy(noise)
    change = torch.zeros(drawn.shape[1:], dtype=torch.float64)  # (k, S)
    for server_round in range(training.rounds):
        total = torch.zeros_like(change)
        for client in clients:
            update = client.train(change, training, rate) - change
            total += update * _shortening(update, bound)
        change = change + total / len(clients) + drawn[server_round] * bound
    trained: np.ndarray = change.numpy()
    return trained


class HeadClient:
    """A person who trains: full-batch steps on the windows as the released numbers see them.

    Args:
        person: The windows.
        weighted: Whether both classes count alike.
    """

    def __init__(self, person: Person, weighted: bool) -> None:
        self.design = torch.from_numpy(np.ascontiguousarray(person.design))  # (n, k)
        self.offset = torch.from_numpy(person.offset)[:, None]
        self.stressed = torch.from_numpy(person.stressed)[:, None]
        weights = own_weights(person.stressed) if weighted else np.ones(len(person))
        self.share = torch.from_numpy(weights / len(person))[:, None]  # sums to 1

    def __len__(self) -> int:
        return len(self.offset)

    def train(self, start: torch.Tensor, training: LocalTraining, lr: torch.Tensor) -> torch.Tensor:
        """Return the numbers (k, S) after a round of local steps from ``start`` (k, S)."""
        numbers, velocity = start.clone(), torch.zeros_like(start)
        for _ in range(training.local_epochs):
            scores = torch.addmm(self.offset, self.design, numbers)  # (n, S)
            residual = scores.sigmoid_().sub_(self.stressed).mul_(self.share)
            gradient = self.design.T @ residual
            if training.max_grad_norm is not None:
                bound = torch.full_like(lr, training.max_grad_norm)
                gradient *= _shortening(gradient, bound)
            velocity = velocity.mul_(training.momentum).add_(gradient)
            numbers -= lr * velocity
        return numbers


def own_weights(stressed: np.ndarray) -> np.ndarray:
    """Return n / (K n_c) for every window (n,) of one person, as ``clients.class_weights`` does."""
    counts = np.bincount(stressed.astype(np.int64), minlength=2)
    weights: np.ndarray = len(stressed) / ((counts > 0).sum() * counts[stressed.astype(np.int64)])
    return weights


def _shortening(columns: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
    """Return by what each column (k, S) is multiplied so that none is longer than ``bound``."""
    length = torch.linalg.vector_norm(columns, dim=0).clamp(min=1e-300)
    shortened: torch.Tensor = (bound / length).clamp(max=1.0)
    return shortened
