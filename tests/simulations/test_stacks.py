"""Stacks of clients against clients one after another: every engine, any number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from tiny import tiny, train_over

from fedaffect.server.stacking import stacking_of
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid
from fedaffect.simulations.ray import RayGrid

SETTINGS: dict[str, dict[str, Any]] = {
    "ragged, FedProx, noise, sampling": {
        "data.partition": "dirichlet",
        "data.alpha": 0.5,
        "federation.clients": 7,
        "federation.fraction": 0.7,
        "federation.strategy": "fedprox",
        "federation.mu": 0.1,
        "federation.rounds": 3,
        "dp.mechanism": "gaussian",
        "dp.eps": 50.0,
        "dp.unsafe_test_noise": "k",
    },
    "heads that stay": {
        "data.partition": "dirichlet",
        "data.alpha": 0.5,
        "federation.clients": 6,
        "federation.fraction": 0.7,
        "federation.rounds": 3,
        "defence.name": "head-local",
    },
    "noise at the clients": {
        "federation.clients": 4,
        "dp.mechanism": "gaussian",
        "dp.where": "client",
        "dp.eps": 500.0,
        "dp.unsafe_test_noise": "k",
    },
}


@cache
def one_after_another(name: str) -> Training:
    return train_over(LocalGrid("loop"), tiny({**SETTINGS[name], "run.stack": "off"}))


@pytest.fixture(scope="module")
def grids() -> Iterator[dict[str, Any]]:
    ray = RayGrid("ray", 2)
    yield {"local": LocalGrid("local"), "ray, 2 workers": ray}
    ray.close()


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("stack", ["on", 3])
def test_every_engine_gets_the_numbers_of_the_loop(
    name: str, stack: Any, grids: dict[str, Any]
) -> None:
    config = tiny({**SETTINGS[name], "run.stack": stack})
    expected = one_after_another(name)
    found = [train_over(grid, config) for grid in grids.values()]
    for training in found:
        assert stacking_of(training.experiment).size > 1
        assert not any(r.rejected for r in training.rounds)
        off = np.abs(training.params[-1] - expected.params[-1]).max()
        assert off < 1e-10
        assert off > 0
        assert len(training.rounds) == training.experiment.config.rounds
        losses = [(r.loss, e.loss) for r, e in zip(training.rounds, expected.rounds, strict=True)]
        assert all(a == b is None or a == pytest.approx(b, abs=1e-10) for a, b in losses)
    assert np.array_equal(found[0].params[-1], found[1].params[-1])  # whoever trains a stack
