"""Tiny finished runs, and what their server really received while they ran."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import tiny

from fedaffect.auditing.finished import FinishedRun, checked_record, finished_run
from fedaffect.config import RunConfig
from fedaffect.server import rounds
from fedaffect.server.validation import Updates
from fedaffect.simulation import simulate

ROUNDS = 5  # the first four, and the last
GAUSSIAN: dict[str, Any] = {"dp.mechanism": "gaussian", "dp.eps": 50.0}
CASES: dict[str, dict[str, Any]] = {
    "none": {},
    "server": GAUSSIAN,
    "client": GAUSSIAN | {"dp.where": "client", "run.dtype": "float32"},
}
RARE_CASES: dict[str, dict[str, Any]] = {
    "window": {
        "dp.mechanism": "gaussian",
        "dp.z": 1.0,
        "dp.unit": "window",
        "federation.batch_size": 16,
    },
    "adaptive": GAUSSIAN | {"dp.clip": "adaptive"},
    "poisson": GAUSSIAN | {"federation.fraction": 0.6, "federation.sampler": "bernoulli"},
    "fixed": GAUSSIAN | {"federation.fraction": 0.5},
    "kept": GAUSSIAN | {"dp.blocks": {"task:identity": "keep_local"}},
    "weights": GAUSSIAN | {"dp.eps": 1e6, "dp.clip_target": "weights"},
    "laplace": {"dp.mechanism": "laplace", "dp.eps": 50.0},
    "test noise": GAUSSIAN | {"dp.unsafe_test_noise": "x", "dp.where": "client"},
    "canaries": GAUSSIAN | {"audit.canaries": 20},
    "paper": {"dp.mechanism": "paper-gaussian1", "dp.eps_per_round": 5.0},
    "loso": GAUSSIAN | {"data.eval": "loso", "synthetic.people": 3, "federation.clients": 2},
}


@dataclass(frozen=True)
class Ran:
    """A finished run.

    Args:
        folder: Its folder.
        received: What came back in every round of the first fold: clients and their rows.
    """

    folder: Path
    received: list[tuple[tuple[int, ...], np.ndarray]]

    def finished(self) -> FinishedRun:
        """Return it as it is read back, once."""
        return self._finished

    @cached_property
    def _finished(self) -> FinishedRun:
        return finished_run(self.folder, checked_record(self.folder), lambda stage: None)


def config_of(case: str) -> RunConfig:
    """Return the configuration of a case."""
    return tiny(
        {"federation.rounds": ROUNDS, "synthetic.session_s": 180} | (CASES | RARE_CASES)[case]
    )


def ran(case: str, folder: Path) -> Ran:
    """Run a case into ``folder``, listening to what the server accepts."""
    received: list[tuple[tuple[int, ...], np.ndarray]] = []
    really = rounds.accept

    def listen(*arguments: Any) -> Updates:
        updates = really(*arguments)
        received.append((updates.client_ids, updates.rows))
        return updates

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "accept", listen)
        simulate(config_of(case).replace({"run.out": folder}))
    return Ran(folder, received[:ROUNDS])
