"""The reference work: clients, windows, network and order of the batches, the same everywhere.

A round: every client trains once, one local epoch of plain SGD on the stress and identity network
with 60 features, and the updates are averaged by number of windows. No evaluation, no attacks.
Everything depends on (seed, round, client) only. This file needs PyTorch and NumPy and no other
package, so that peers read it in environments of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from fedaffect.models.stress_identity_cnn import PADDING, POOLS, StressIdentityCNN
from fedaffect.rng import generator, torch_seed

FEATURES, IDENTITIES = 60, 15
PARAMETERS = 96_997  # of the network with IDENTITIES outputs
PARAMETERS_OF_AN_IDENTITY = 301  # weights and bias of one more output

Columns = tuple[np.ndarray, np.ndarray, np.ndarray]  # features (n, F), stress (n,), identity (n,)
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # the same


@dataclass(frozen=True)
class Work:
    """How much one round is, and how many rounds to do.

    Args:
        clients: Clients that train in every round.
        samples: Training windows of each client, on average.
        batch_size: Windows in a step.
        rounds: Rounds, the first of which warms up.
        seed: Seed of data, initial model and order of the batches.
        lr: Learning rate of SGD without momentum.
        max_grad_norm: Bound on the norm of a step's gradient; ``None`` for no bound.
        spread: Standard deviation of the logarithm of the clients' numbers of windows; 0: all
            clients have ``samples``.
        noise: Standard deviation of the noise in every step / ``clip``, with every window's
            gradient clipped to ``clip``; ``None``: no privacy.
        clip: Clip norm of a window's gradient, where there is noise.
        parameters: Parameters of the network, about: its identity head gets more outputs than
            there are people, until it has so many.
    """

    clients: int = 20
    samples: int = 1000
    batch_size: int = 32
    rounds: int = 6
    seed: int = 0
    lr: float = 0.01
    max_grad_norm: float | None = None
    spread: float = 0.0
    noise: float | None = None
    clip: float = 1.0
    parameters: int = PARAMETERS

    @classmethod
    def read(cls, text: str) -> Work:
        """Return the work that ``text`` describes, as ``text`` of another work does."""
        return cls(**json.loads(text))

    @property
    def text(self) -> str:
        """The work as JSON."""
        return json.dumps(asdict(self))

    @property
    def network(self) -> dict[str, int]:
        """Arguments of the network's class."""
        more = round((self.parameters - PARAMETERS) / PARAMETERS_OF_AN_IDENTITY)
        return {"n_features": FEATURES, "n_identities": IDENTITIES + max(0, more)}

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of windows of every client."""
        if not self.spread:
            return (self.samples,) * self.clients
        draws = generator(self.seed, "reference sizes").standard_normal(self.clients)
        logs = math.log(self.samples) - self.spread**2 / 2 + self.spread * draws
        return tuple(max(1, round(size)) for size in np.exp(logs))


def columns(work: Work, client: int) -> Columns:
    """Return a client's windows, in which both labels leave a faint trace."""
    draws = generator(work.seed, "reference work", client)
    n = work.sizes[client]
    stress = draws.integers(2, size=n)
    identity = draws.integers(IDENTITIES, size=n)
    features = draws.standard_normal((n, FEATURES), dtype=np.float32)
    features += np.float32(0.5) * stress[:, None] + np.float32(0.1) * identity[:, None]
    return features, stress, identity


def tensors(work: Work, clients: Sequence[int]) -> dict[int, Tensors]:
    """Return the windows of ``clients``, ready to train on."""
    made = {}
    for client in clients:
        x, stress, identity = (torch.from_numpy(column) for column in columns(work, client))
        made[client] = (x, stress, identity)
    return made


class PlainNetwork(StressIdentityCNN):
    """The network of PyTorch's own layers in the order of the paper, as one would write it."""

    def _trunk(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        h = batch["features"].unsqueeze(1)
        for conv, (window, stride) in zip(
            (self.conv_1, self.conv_4, self.conv_7), POOLS, strict=True
        ):
            h = F.max_pool1d(F.relu(conv(F.pad(h, PADDING))), window, stride)
        return {"fc_1": F.relu(self.fc_1(h.flatten(1)))}


def network(work: Work, own: bool = False) -> StressIdentityCNN:
    """Return the network with its initial values, ready to train.

    Args:
        work: What is trained.
        own: With the package's convolutions instead of PyTorch's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(work.seed, "initial"))
        return (StressIdentityCNN if own else PlainNetwork)(**work.network).train()


def batch_order(work: Work, client: int, server_round: int) -> torch.Tensor:
    """Return the order in which a client's windows are trained on, (n,)."""
    draws = generator(work.seed, "batch", 0, client, server_round)
    return torch.from_numpy(draws.permutation(work.sizes[client]))


def loss_of(
    model: torch.nn.Module, x: torch.Tensor, stress: torch.Tensor, identity: torch.Tensor
) -> torch.Tensor:
    """Return the mean cross-entropies of a batch, both tasks added up."""
    out = model({"features": x})
    return F.cross_entropy(out["stress"], stress) + F.cross_entropy(out["identity"], identity)


def train_epoch(model: torch.nn.Module, data: Tensors, order: torch.Tensor, work: Work) -> None:
    """Train ``model`` on one client, once over its windows, as one would write it for oneself.

    Args:
        model: The network; its parameters move.
        data: The client's windows.
        order: Their order, (n,).
        work: Batch size, learning rate and bound.
    """
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=work.lr)
    x, stress, identity = (column[order] for column in data)
    for at in range(0, len(order), work.batch_size):
        batch = slice(at, at + work.batch_size)
        optimizer.zero_grad()
        loss_of(model, x[batch], stress[batch], identity[batch]).backward()
        if work.max_grad_norm is not None:
            clip_grad_norm_(parameters, work.max_grad_norm)
        optimizer.step()
