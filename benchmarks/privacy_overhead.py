"""What privacy costs: noise against a round of training, a DP-SGD step against a plain step.

Usage: ``python benchmarks/privacy_overhead.py`` or, for every work of a table,
``python benchmarks/privacy_overhead.py --table benchmarks/privacy_overhead.toml --out FILE.json``.
Everything runs in one process on one thread. What is compared takes turns, and a figure is the
median over the turns of the ratio within a turn, so that a busy moment falls on both sides.
``benchmarks/README.md`` says how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from engines.package import client_data, factory
from engines.work import Work
from machine import machine

from fedaffect import registry
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer, TrainPlan
from fedaffect.clients.private_local import PrivateTrainer, WindowNoise
from fedaffect.privacy.base import ClippedSum, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.spec import PrivacySpec
from fedaffect.strategies.fedavg import FedAvg

STEPS = 20  # local steps in one turn of the step comparison
Z = 1.0  # noise multiplier; the time does not depend on it


@dataclass(frozen=True)
class Targets:
    """Largest ratios that are accepted.

    Args:
        central: Clip and noise at the server, of a round.
        client: Clip and noise at every client, of a round.
        step: One DP-SGD step, of a plain step.
    """

    central: float = 0.03
    client: float = 0.10
    step: float = 7.0


@dataclass(frozen=True)
class Turn:
    """Seconds of CPU and of wall time that each part of a turn took, by name."""

    cpu_s: dict[str, float]
    wall_s: dict[str, float]


class Overhead:
    """The parts that are compared, on the data of one work."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(1)
        built = factory(work)
        initial = built.initial(work.seed)
        self.start = torch.from_numpy(initial).to(getattr(torch, built.dtype))
        plan = TrainPlan(
            seed=work.seed,
            local_epochs=1,
            batch_size=work.batch_size,
            lr=work.lr,
            momentum=0.0,
            optimizer="sgd",
            max_grad_norm=work.max_grad_norm,
        )
        self.clients = [client_data(work, i) for i in range(work.clients)]
        self.batch = _one_batch(self.clients[0], work.batch_size)
        self.trainer = Trainer(built.build(), FedAvg(), plan)
        stepping = replace(plan, local_epochs=STEPS)
        self.plain = Trainer(built.build(), FedAvg(), stepping)
        blocks = tuple((b, built.layout.indices(b)) for b in built.layout.blocks)
        self.private = PrivateTrainer(
            built.build(), FedAvg(), stepping, WindowNoise(Z, 1.0, blocks)
        )
        spec = PrivacySpec("gaussian", delta=1e-5, z=Z)
        releases = ReleasePlan(work.rounds, work.clients, 1.0, "full", work.clients, 1, 1)
        self.mechanism = mechanism_of(spec, registry.resolve("dp", "gaussian")).calibrate(
            releases, built.layout
        )
        self.key = SecretNoiseKey(os.urandom(32))
        self.initial = initial
        self.updates: list[np.ndarray] = []

    def turn(self, number: int) -> Turn:
        """Do every part once."""
        turn = Turn({}, {})
        _timed(turn, "round", lambda: self._round(number))
        _timed(turn, "central", lambda: self._central(number))
        _timed(turn, "client", lambda: self._at_clients(number))
        order = ("plain", "private") if number % 2 else ("private", "plain")
        for name in order:
            _timed(turn, name, lambda name=name: getattr(self, f"_{name}_steps")(number))
        return turn

    def _round(self, number: int) -> None:
        trained = (self.trainer.train(self.start, c, 0, number)[0] for c in self.clients)
        self.updates = [update.double().numpy() for update in trained]
        FedAvg().aggregate(np.stack(self.updates), np.full(len(self.updates), 1.0))

    def _central(self, number: int) -> None:
        sent = [self.mechanism.on_client(update, self.initial) for update in self.updates]
        total = clipped_sum(np.array(sent, dtype=np.float32), self.mechanism)
        self.mechanism.add_noise(total, self.key, number)

    def _at_clients(self, number: int) -> None:
        bounds, norm = self.mechanism.bounds, self.mechanism.norm
        for i, update in enumerate(self.updates):
            clipped = self.mechanism.on_client(update, self.initial)
            alone = ClippedSum(clipped, 1, bounds, norm)
            self.mechanism.add_noise(alone, self.key.client(i), number)

    def _plain_steps(self, number: int) -> None:
        self.plain.train(self.start, self.batch, 0, number)

    def _private_steps(self, number: int) -> None:
        self.private.train(
            self.start,
            self.batch,
            0,
            number,
            release=number,
            key=self.key.client(0),
            draws=self.key.draws("benchmark"),
        )


def _one_batch(data: ClientData, batch_size: int) -> ClientData:
    """Return as many windows as a step takes: all of them are in every step of either trainer."""
    labels = {task: y[:batch_size] for task, y in data.labels.items()}
    return ClientData(data.client_id, data.features[:batch_size], labels)


def _timed(turn: Turn, name: str, part: Callable[[], None]) -> None:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    part()
    turn.cpu_s[name] = time.process_time() - cpu_s
    turn.wall_s[name] = time.perf_counter() - wall_s


def measure(work: Work) -> dict[str, Any]:
    """Return the medians of a work's turns; the first one warms up and does not count."""
    overhead = Overhead(work)
    turns = [overhead.turn(number) for number in range(1, work.rounds + 1)][1:]
    ratios = {
        "central": ("central", "round"),
        "client": ("client", "round"),
        "step": ("private", "plain"),
    }
    return {
        "ratios": {
            name: median(t.cpu_s[part] / t.cpu_s[of] for t in turns)
            for name, (part, of) in ratios.items()
        },
        "cpu_ms": {part: 1e3 * median(t.cpu_s[part] for t in turns) for part in turns[0].cpu_s},
        "wall_ms": {part: 1e3 * median(t.wall_s[part] for t in turns) for part in turns[0].wall_s},
    }


def text_table(work: Work, figures: dict[str, Any], targets: Targets) -> str:
    """Return the figures for people."""
    cpu = figures["cpu_ms"]
    lines = [f"{work.clients} clients x {work.samples} windows, batch {work.batch_size}"]
    for name, of in (("central", "a round"), ("client", "a round"), ("step", "a plain step")):
        ratio, target = figures["ratios"][name], getattr(targets, name)
        said = "met" if ratio <= target else "MISSED"
        lines.append(f"{name:8} {ratio:8.4f} of {of:12} target {target:<5g} {said}")
    lines.append(
        f"CPU ms: round {cpu['round']:.0f}, central {cpu['central']:.1f}, client "
        f"{cpu['client']:.1f}, plain step {cpu['plain'] / STEPS:.2f}, private step "
        f"{cpu['private'] / STEPS:.2f}"
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--table", type=Path, help="TOML file with [targets] and [[work]]s")
    for name, default in (("clients", 20), ("samples", 300), ("batch_size", 32), ("rounds", 8)):
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    table = tomllib.loads(given.table.read_text()) if given.table else {}
    targets = Targets(**table.get("targets", {}))
    works = [(w.pop("name"), Work(**w)) for w in table.get("work", [])]
    if not works:
        names = ("clients", "samples", "batch_size", "rounds")
        works = [("command line", Work(**{name: getattr(given, name) for name in names}))]
    if any(work.rounds < 2 or work.samples < work.batch_size for _, work in works):
        parser.error("at least two rounds, as the first warms up, and one batch of windows")
    about, measured = machine(), []
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    for name, work in works:
        load = os.getloadavg()[0]
        figures = measure(work)
        print(f"\n{name}: load before {load:.1f}\n{text_table(work, figures, targets)}", flush=True)
        measured.append({"name": name, **asdict(work), "load_before": load, **figures})
    if given.out:
        said = {"machine": about, "targets": asdict(targets), "works": measured}
        given.out.write_text(json.dumps(said, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
