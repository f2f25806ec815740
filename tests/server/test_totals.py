"""Large rounds: the nodes add up their clients, and nothing else changes, not even a bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from tiny import tiny, train_experiment, train_placed

from fedaffect.build import Experiment, build
from fedaffect.clients.side import client_side
from fedaffect.server.cohort import SHARES
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid
from fedaffect.simulations.processes import ProcessGrid

CLIENTS = SHARES + 6  # more than there are shares, so that shares hold two
LARGE: dict[str, Any] = {
    "data.partition": "iid",
    "synthetic.people": 12,
    "federation.clients": CLIENTS,
    "federation.rounds": 2,
    "model.name": "compact_encoder",
    "run.stack": "off",
}
NOISE = {"dp.mechanism": "gaussian", "dp.eps": 50.0, "dp.unsafe_test_noise": "k"}
SETTINGS: dict[str, dict[str, Any]] = {
    "no noise, FedProx": {"federation.strategy": "fedprox", "federation.mu": 0.1},
    "stacks": {"run.stack": 4},
    "noise at the server": NOISE,
    "a clip that adapts": NOISE | {"dp.clip_quantile": 0.5},
    "noise at the clients": NOISE | {"dp.where": "client", "dp.eps": 500.0},
    "heads that stay": {"defence.name": "head-local"},
}


class Suspicious(LocalGrid):
    """Nodes whose sums the server does not take: they show every client's row."""

    nodes_are_ours = False


@cache
def experiment_of(name: str) -> Experiment:
    return build(tiny(LARGE | SETTINGS[name]))


@pytest.fixture(scope="module")
def two_processes() -> Iterator[ProcessGrid]:
    grid = ProcessGrid("two", 2)
    yield grid
    grid.close()


def spoiled(experiment: Experiment, *clients: int) -> Experiment:
    """Return ``experiment`` where training of some clients ends in NaN."""
    (fold,) = experiment.folds
    features = fold.features.copy()
    for client in clients:
        features[fold.partition.clients[client][0]] = np.nan
    return replace(experiment, folds=(replace(fold, features=features),))


@pytest.mark.parametrize("name", SETTINGS)
def test_sums_of_the_nodes_give_the_bits_of_rows(name: str, two_processes: ProcessGrid) -> None:
    experiment = experiment_of(name)
    rows = train_experiment(Suspicious("rows"), experiment)
    sums = train_experiment(LocalGrid("sums"), experiment)
    spread = train_experiment(two_processes, experiment)
    assert len(rows.rounds) == 2 and not any(r.rejected for r in rows.rounds)
    for other in (sums, spread):
        assert np.array_equal(rows.params[0], other.params[0])
        for one, same in zip(rows.rounds, other.rounds, strict=True):
            assert one.model_dump(exclude={"seconds"}) == same.model_dump(exclude={"seconds"})


@pytest.mark.parametrize("name", ["no noise, FedProx", "noise at the server"])
def test_who_fails_is_missing_from_the_sum(name: str) -> None:
    experiment = spoiled(experiment_of(name), 3, 69)
    rows = train_experiment(Suspicious("rows"), experiment)
    sums = train_experiment(LocalGrid("sums"), experiment)
    assert np.array_equal(rows.params[0], sums.params[0])
    for training in (rows, sums):
        assert training.rounds[0].clients == CLIENTS - 2
        lines = [line.partition(":")[0] for line in training.rounds[0].rejected]
        assert sorted(lines) == ["client 3", "client 69"]


class Listening(LocalGrid):
    """Keeps the shape of what the nodes sent."""

    shapes: list[tuple[int, ...]]

    def send_and_receive(self, messages: Any, *, timeout: Any = None) -> Any:
        replies = super().send_and_receive(messages, timeout=timeout)
        for reply in replies:
            for array in reply.content.array_records.get("updates", {}).values():
                self.shapes.append(array.numpy().shape)
        return replies


def shapes_of(experiment: Experiment, **changes: Any) -> list[tuple[int, ...]]:
    grid = Listening("listening")
    grid.shapes = []
    grid.place(client_side(experiment))
    training = Training(experiment, evaluate_rounds=False, **changes)
    training.run(grid)
    return grid.shapes


def test_sums_travel_in_large_rounds_only_and_where_nobody_needs_rows() -> None:
    large = experiment_of("no noise, FedProx")
    width = len(large.mechanism.blocks.released)
    assert shapes_of(large) == 2 * [(CLIENTS // 2, width)]  # shares of two
    heard: list[int] = []
    listener = lambda about, params, updates: heard.append(len(updates.rows))  # noqa: E731
    assert shapes_of(large, on_uploads=listener) == 2 * [(CLIENTS, width)]
    assert heard == [CLIENTS, CLIENTS]
    small = build(tiny({"federation.clients": 4}))
    assert shapes_of(small) == 2 * [(4, len(small.mechanism.blocks.released))]


def test_a_sum_is_that_of_the_written_out_mean() -> None:
    experiment = build(tiny(LARGE | {"federation.rounds": 1}))
    rows: list[np.ndarray] = []
    clients: list[tuple[int, ...]] = []

    def keep(about: Any, params: np.ndarray, updates: Any) -> None:
        rows.append(updates.rows)
        clients.append(updates.client_ids)

    grid = LocalGrid("rows")
    grid.place(client_side(experiment))
    Training(experiment, evaluate_rounds=False, on_uploads=keep).run(grid)
    sums = train_placed(LocalGrid("rows"), experiment)
    sizes = np.array([len(experiment.folds[0].partition.clients[i]) for i in clients[0]])
    expected = experiment.factory.initial(0) + (sizes / sizes.sum()) @ rows[0]
    np.testing.assert_allclose(sums.params[0], expected, rtol=0, atol=1e-13)
