"""Tiny experiments on simulated people, and training them over a grid."""

from typing import Any

from flwr.app import Context, RecordDict

from fedaffect.build import Experiment, build
from fedaffect.clients.account import AccountPlan, account_plan
from fedaffect.clients.side import client_side
from fedaffect.config import RunConfig
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.server.app import post, server_app
from fedaffect.server.training import Training
from fedaffect.simulations.local import SimulationGrid

TINY = {
    "synthetic.people": 5,
    "synthetic.sessions": 2,
    "synthetic.session_s": 240,
    "federation.clients": 4,
    "federation.rounds": 2,
    "run.dtype": "float64",
    "run.engine": "local",
    "run.reference": False,
}
RAGGED = {"data.partition": "dirichlet", "data.alpha": 0.5, "federation.clients": 5}


def tiny_config(**changes: Any) -> RunConfig:
    """Return a configuration that trains in a second; keys are ``section__field``."""
    return tiny({key.replace("__", "."): value for key, value in changes.items()})


def tiny(changes: dict[str, Any]) -> RunConfig:
    """As ``tiny_config``, with dotted keys."""
    return RunConfig().replace(TINY | changes)


def train_over(grid: SimulationGrid, config: RunConfig) -> Training:
    """Train ``config`` over ``grid`` through the ServerApp, as ``fedaffect simulate`` does."""
    return train_experiment(grid, build(config))


def train_experiment(grid: SimulationGrid, experiment: Experiment) -> Training:
    """As ``train_over``, of an experiment that is built."""
    grid.place(client_side(experiment, account=account_of(experiment)))
    return train_placed(grid, experiment)


def account_of(experiment: Experiment) -> AccountPlan | None:
    """Return the account of clients that draw their noise from a test key, where they do."""
    text = experiment.config.dp.unsafe_test_noise
    if text is None or experiment.mechanism.noise_at not in ("client", "steps"):
        return None
    return account_plan(experiment, "run", "synthetic", "", text)


def train_placed(grid: SimulationGrid, experiment: Experiment) -> Training:
    """As ``train_over``, where the grid has its clients already."""
    text = experiment.config.dp.unsafe_test_noise
    key = TestNoiseKey(text) if text is not None else None
    training = Training(experiment, key=key, evaluate_rounds=False)
    post(grid.run_key, training)
    server_app(grid, Context(1, 1, {}, RecordDict(), {"run-key": grid.run_key}))
    return training
