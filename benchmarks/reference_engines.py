"""The reference work and the engines that do it; one process an engine, told when to go on.

Work: every client once a round, one local epoch of plain SGD on the stress and identity network
with 60 features, federated averaging, no evaluation, no attacks, no privacy. Data, initial model
and order of the batches depend only on (seed, round, client), so engines that did the same work
end at the same distance from the initial model.

``reference_work.py`` starts this file and speaks with it over standard input and output: the
engine says ``ready`` and waits for a line before every round, and says afterwards what it took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

if TYPE_CHECKING:
    from fedaffect.clients.local import ClientData
    from fedaffect.models.factory import ModelFactory

FEATURES, IDENTITIES = 60, 15
ENGINES = ("loop", "local", "local-stack", "ray-1", "ray-2", "ray-2-stack")


@dataclass(frozen=True)
class Work:
    """How much one round is, and how many rounds to do.

    Args:
        clients: Clients that train in every round.
        samples: Training windows of each client.
        batch_size: Windows in a step.
        rounds: Rounds, the first of which warms up.
        seed: Seed of data, initial model and order of the batches.
        lr: Learning rate of SGD without momentum.
        max_grad_norm: Bound on the norm of a step's gradient; ``None`` for no bound.
    """

    clients: int = 20
    samples: int = 1000
    batch_size: int = 32
    rounds: int = 6
    seed: int = 0
    lr: float = 0.01
    max_grad_norm: float | None = None


class Stopwatch:
    """Waits for the word to start a round and reports what the round took."""

    def __init__(self, heard: TextIO, said: TextIO) -> None:
        self.heard, self.said = heard, said
        self.wall_s = self.cpu_s = 0.0

    def begin(self) -> None:
        """Say ``ready``, wait for a line, and start to measure."""
        self._say({"ready": True})
        self.heard.readline()
        self.wall_s, self.cpu_s = time.perf_counter(), tree_cpu_s()

    def end(self) -> None:
        """Report wall seconds, and CPU seconds of this process and all below it."""
        wall_s = time.perf_counter() - self.wall_s
        self._say({"wall_s": wall_s, "cpu_s": tree_cpu_s() - self.cpu_s})

    def finish(self, initial: np.ndarray, final: np.ndarray) -> None:
        """Report the distance between the initial and the final parameters, both (d,)."""
        self._say({"distance": float(np.linalg.norm(final - initial))})

    def _say(self, what: dict[str, Any]) -> None:
        print(json.dumps(what), file=self.said, flush=True)


def tree_cpu_s() -> float:
    """Return CPU seconds used so far by this process and its descendants, ended ones too."""
    import psutil

    spent: float = time.process_time()
    times = psutil.Process().cpu_times()
    spent += float(times.children_user + times.children_system)
    for process in psutil.Process().children(recursive=True):
        try:
            spent += float(sum(process.cpu_times()[:4]))
        except psutil.Error:  # ended while we looked: its parent now counts it
            continue
    return spent


def factory() -> ModelFactory:
    """Return what builds the network of the reference work."""
    from fedaffect.models.factory import ModelFactory
    from fedaffect.models.stress_identity_cnn import StressIdentityCNN

    sizes = {"n_features": FEATURES, "n_identities": IDENTITIES}
    return ModelFactory(StressIdentityCNN, sizes, "float32")


def client_data(work: Work, client: int) -> ClientData:
    """Return windows in which both labels leave a faint trace."""
    from fedaffect.clients.local import ClientData
    from fedaffect.rng import generator

    draws = generator(work.seed, "reference work", client)
    stress = draws.integers(2, size=work.samples)
    identity = draws.integers(IDENTITIES, size=work.samples)
    features = draws.standard_normal((work.samples, FEATURES), dtype=np.float32)
    features += np.float32(0.5) * stress[:, None] + np.float32(0.1) * identity[:, None]
    return ClientData(client, features, {"stress": stress, "identity": identity})


def plain_loop(work: Work, watch: Stopwatch) -> None:
    """The work as one would write it for itself in PyTorch: one model, one process, no framework.

    Of the package it uses the network, flat parameters, and the streams of random numbers.
    """
    import torch
    import torch.nn.functional as F
    from torch.nn.utils import clip_grad_norm_

    from fedaffect.params import read_flat, write_flat
    from fedaffect.rng import generator

    torch.set_num_threads(1)
    model = factory().build().train()
    parameters = list(model.parameters())
    clients = []
    for number in range(work.clients):
        data = client_data(work, number)
        columns = (data.features, data.labels["stress"], data.labels["identity"])
        clients.append([torch.from_numpy(column) for column in columns])

    def train(start: torch.Tensor, client: int, server_round: int) -> torch.Tensor:
        write_flat(model, start)
        optimizer = torch.optim.SGD(parameters, lr=work.lr)
        rows = generator(work.seed, "batch", 0, client, server_round).permutation(work.samples)
        x, stress, identity = (column[torch.from_numpy(rows)] for column in clients[client])
        for at in range(0, work.samples, work.batch_size):
            batch = slice(at, at + work.batch_size)
            out = model({"features": x[batch]})
            loss = F.cross_entropy(out["stress"], stress[batch])
            loss = loss + F.cross_entropy(out["identity"], identity[batch])
            optimizer.zero_grad()
            loss.backward()
            if work.max_grad_norm is not None:
                clip_grad_norm_(parameters, work.max_grad_norm)
            optimizer.step()
        return read_flat(model) - start

    initial = factory().initial(work.seed)  # (d,) float64
    params = torch.from_numpy(initial.copy())
    for server_round in range(1, work.rounds + 1):
        watch.begin()
        start = params.float()
        total = torch.zeros_like(params)
        for client in range(work.clients):
            total += train(start, client, server_round)
        params = params + total / work.clients
        watch.end()
    watch.finish(initial, params.numpy())


def fedaffect(work: Work, watch: Stopwatch, engine: str, workers: int, stack: int) -> None:
    """The work on one of the package's engines, built from its public classes."""
    from fedaffect import registry
    from fedaffect.clients.local import TrainPlan
    from fedaffect.clients.side import ClientSide
    from fedaffect.privacy.base import ReleasePlan
    from fedaffect.privacy.mechanisms.none import NoMechanism
    from fedaffect.privacy.spec import PrivacySpec
    from fedaffect.server.rounds import RoundLoop
    from fedaffect.server.sampling import Sampler
    from fedaffect.strategies.fedavg import FedAvg

    class WaitingSampler(Sampler):
        """Everyone, once the word has come: a round starts by drawing its clients."""

        def draw(self, clients: int, *where: Any) -> list[int]:
            watch.begin()
            return super().draw(clients, *where)

    network = factory()
    clients = tuple(client_data(work, number) for number in range(work.clients))
    plan = TrainPlan(work.seed, 1, work.batch_size, work.lr, 0.0, "sgd", work.max_grad_norm)
    everyone = ReleasePlan(work.rounds, work.clients, 1.0, "full", work.clients, 1, 1)
    mechanism = NoMechanism(PrivacySpec("none")).calibrate(everyone, network.layout)
    grid = registry.resolve("engine", engine)("reference-work", workers)
    try:
        grid.place(ClientSide("reference", network, FedAvg(), plan, mechanism, (clients,)))
        loop = RoundLoop(
            run="reference",
            grid=grid,
            strategy=FedAvg(),
            mechanism=mechanism,
            sampler=WaitingSampler("full", work.clients, 1.0, work.seed),
            clients_per_round=work.clients,
            rounds=work.rounds,
            key=None,
            draws=None,
            budget=None,
            stack=stack,
            min_success=1.0,
        )
        initial = network.initial(work.seed)
        sizes = [work.samples] * work.clients
        final = loop.train(initial, sizes, 0, lambda outcome: watch.end())
        watch.finish(initial, final)
    finally:
        grid.close()


def command(engine: str, work: Work) -> list[str]:
    """Return the command line of the process that does ``work`` on ``engine``."""
    return [sys.executable, os.path.abspath(__file__), engine, json.dumps(asdict(work))]


def main(arguments: Sequence[str]) -> None:
    engine, work = arguments[0], Work(**json.loads(arguments[1]))
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come between the measurements
    watch = Stopwatch(sys.stdin, said)
    if engine == "loop":
        plain_loop(work, watch)
    else:
        from fedaffect.server.stacking import largest_stack

        name, *rest = engine.split("-")
        workers = next((int(word) for word in rest if word.isdigit()), 1)
        together = largest_stack(work.clients) if "stack" in rest else 1
        fedaffect(work, watch, name, workers, together)


if __name__ == "__main__":
    main(sys.argv[1:])
