"""Engines of several processes against the one in this process: same model, whatever dies."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import faulty_clients
import numpy as np
import pytest
import ray
from faulty_clients import Hangs, KillsItsWorker, Raises, with_client
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from tiny import RAGGED, tiny, train_experiment, train_over, train_placed

from fedaffect.build import Experiment, build
from fedaffect.clients.side import client_side
from fedaffect.errors import ClientsLostError
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid
from fedaffect.simulations.processes import ProcessGrid
from fedaffect.simulations.ray import RayGrid
from fedaffect.simulations.ray_session import RaySession
from fedaffect.simulations.worker_grid import WorkerGrid

pytestmark = [  # Ray leaves pipes and its own processes to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    """One Ray of three CPUs for all tests; the grids of the tests only borrow it."""
    for library in (ray.cloudpickle, cloudpickle):
        library.register_pickle_by_value(faulty_clients)
    owner = RaySession(3)
    folder = owner.folder
    assert folder is not None and Path(folder).is_dir()
    assert Path(folder).stat().st_mode & 0o077 == 0  # nobody else reads what Ray spills
    yield
    assert ray.is_initialized()  # the borrowers left it running
    owner.close()
    assert not ray.is_initialized()
    assert not Path(folder).exists()


@pytest.fixture(scope="module", params=[RayGrid, ProcessGrid])
def one(ray_session: None, request: pytest.FixtureRequest) -> Iterator[WorkerGrid]:
    grid = request.param("one", 1)
    yield grid
    grid.close()


@pytest.fixture(scope="module", params=[RayGrid, ProcessGrid])
def two(ray_session: None, request: pytest.FixtureRequest) -> Iterator[WorkerGrid]:
    grid = request.param("two", 2)
    yield grid
    grid.close()


NOISE = {"dp.eps": 8, "dp.clip": 0.3, "dp.unsafe_test_noise": "engines"}
SETTINGS: dict[str, dict[str, Any]] = {
    "dirichlet": {},
    "quantity, FedProx": {
        "data.partition": "quantity",
        "federation.strategy": "fedprox",
        "federation.mu": 0.3,
        "federation.local_epochs": 2,
    },
    "some of the clients": {"federation.fraction": 0.6, "federation.rounds": 3},
    "Poisson, Adam": {
        "federation.fraction": 0.6,
        "federation.sampler": "bernoulli",
        "federation.optimizer": "adam",
        "federation.lr": 0.003,
    },
    "gaussian": NOISE | {"dp.mechanism": "gaussian"},
    "laplace, FedProx, some": NOISE
    | {
        "dp.mechanism": "laplace",
        "dp.clip": 5,
        "federation.strategy": "fedprox",
        "federation.fraction": 0.6,
    },
    "folds": {"data.eval": "loso", "federation.rounds": 1, "data.partition": "subject",
              "federation.clients": 4},
}  # fmt: skip


@cache
def built(name: str) -> Experiment:
    return build(tiny(RAGGED | SETTINGS[name]))


@cache
def by_local(name: str) -> Training:
    return train_experiment(LocalGrid("local"), built(name))


def rounds_of(training: Training) -> list[dict[str, Any]]:
    return [record.model_dump(exclude={"seconds"}) for record in training.rounds]


@pytest.mark.parametrize("name", SETTINGS)
def test_same_bits_as_in_one_process(name: str, two: WorkerGrid) -> None:
    sizes = [len(rows) for rows in built(name).folds[0].partition.clients]
    assert len(set(sizes)) > 1  # ragged
    training = train_experiment(two, built(name))
    assert len(training.params) == len(built(name).folds)
    for ours, expected in zip(training.params, by_local(name).params, strict=True):
        assert np.array_equal(ours, expected)
        assert not np.array_equal(ours, built(name).factory.initial(0))
    assert rounds_of(training) == rounds_of(by_local(name))


def test_single_precision_agrees_after_a_round(two: WorkerGrid) -> None:
    config = tiny(RAGGED | {"run.dtype": "float32", "federation.rounds": 1})
    ours, expected = train_over(two, config), train_over(LocalGrid("local"), config)
    np.testing.assert_allclose(ours.params[0], expected.params[0], rtol=0, atol=1e-5)
    exact = train_over(LocalGrid("local"), config.replace({"run.dtype": "float64"}))
    np.testing.assert_allclose(ours.params[0], exact.params[0], rtol=0, atol=1e-5)


def test_workers_live_on_when_the_next_training_is_placed(two: WorkerGrid) -> None:
    two.place(client_side(built("dirichlet")))
    pids = two.worker_pids()
    two.place(client_side(built("gaussian")))
    assert two.worker_pids() == pids
    assert len(set(pids)) == 2 and os.getpid() not in pids
    assert np.array_equal(
        train_placed(two, built("gaussian")).params[0], by_local("gaussian").params[0]
    )


@pytest.mark.parametrize("name", ["dirichlet", "gaussian"])
def test_worker_that_dies_in_training_changes_nothing(
    name: str, two: WorkerGrid, tmp_path: Path
) -> None:
    mark = tmp_path / "deaths"
    two.place(with_client(built(name), KillsItsWorker, times=1, mark=str(mark)))
    before = two.worker_pids()
    training = train_placed(two, built(name))
    assert mark.read_bytes() == b"x"
    assert len(set(before) - set(two.worker_pids())) == 1
    assert np.array_equal(training.params[0], by_local(name).params[0])
    assert rounds_of(training) == rounds_of(by_local(name))


def test_worker_that_is_killed_between_rounds_changes_nothing(two: WorkerGrid) -> None:
    experiment = built("some of the clients")
    two.place(client_side(experiment))
    killed: list[int] = []

    def kill_all(record: object) -> None:
        if not killed:
            killed.extend(two.worker_pids())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    training = Training(experiment, on_round=kill_all, evaluate_rounds=False)
    training.run(two)
    assert len(killed) == 2 and not set(killed) & set(two.worker_pids())
    assert np.array_equal(training.params[0], by_local("some of the clients").params[0])


def test_worker_that_dies_twice_costs_its_clients_of_the_round(
    two: WorkerGrid, tmp_path: Path
) -> None:
    experiment = build(tiny({"federation.rounds": 1}))  # four clients of like size: two a node
    mark = tmp_path / "deaths"
    two.place(with_client(experiment, KillsItsWorker, times=2, mark=str(mark)))
    training = train_placed(two, experiment)
    assert mark.read_bytes() == b"xx"
    (record,) = training.rounds
    assert record.clients == 2
    died, lost = record.rejected
    how = {RayGrid: "ActorDiedError", ProcessGrid: "exit status -9"}[type(two)]
    assert f"worker died twice ({how})" in died
    assert lost.startswith(died.partition(":")[0] + ": no valid reply for clients [")
    missing = [int(i) for i in lost.partition("[")[2].rstrip("]").split(",")]
    assert len(missing) == 2 and 2 in missing

    (fold,) = experiment.folds  # the same without those two, in one process
    features = fold.features.copy()
    for client in missing:
        features[fold.partition.clients[client]] = np.nan
    without = replace(experiment, folds=(replace(fold, features=features),))
    expected = train_experiment(LocalGrid("local"), without)
    assert np.array_equal(training.params[0], expected.params[0])


@pytest.mark.slow
def test_losing_most_clients_three_times_ends_the_run(one: WorkerGrid, tmp_path: Path) -> None:
    experiment = build(tiny(RAGGED | {"federation.rounds": 3}))
    deaths = tmp_path / "deaths"
    one.place(with_client(experiment, KillsItsWorker, times=6, mark=str(deaths)))
    with pytest.raises(ClientsLostError, match="only 0 of 5 clients answered round 3") as caught:
        train_placed(one, experiment)
    assert caught.value.code == "E701"
    assert "worker died twice" in caught.value.message
    assert deaths.read_bytes() == 6 * b"x"
    train_experiment(one, experiment)  # the engine itself is fine


def test_unforeseen_error_names_its_cause(one: WorkerGrid) -> None:
    experiment = built("dirichlet")
    one.place(with_client(experiment, Raises))
    for record in train_placed(one, experiment).rounds:
        assert record.abandoned and "LookupError: no such window" in record.rejected[0]


def question(experiment: Experiment, node: int, ids: list[int], model: ArrayRecord) -> Message:
    config = ConfigRecord(
        {
            "fold": 0,
            "server-round": 1,
            "release": 1,
            "clip-bounds": [],
            "ticket": "of this round",
            "client-ids": ids,
            "stacks": [1] * len(ids),
            "shares": [],
        }
    )
    return Message(RecordDict({"model": model, "config": config}), node, "train")


def test_hung_worker_is_lost_for_the_round_and_replaced(two: WorkerGrid, tmp_path: Path) -> None:
    experiment = built("dirichlet")
    two.place(with_client(experiment, Hangs, mark=str(tmp_path / "hung")))
    hung, idle = two.worker_pids()
    model = ArrayRecord([experiment.factory.initial(0)])
    started = time.monotonic()
    first, second = two.send_and_receive(
        [question(experiment, 2, [2], model), question(experiment, 3, [0], model)], timeout=3
    )
    assert time.monotonic() - started < 30
    assert first.has_error() and first.error.reason == "no answer within 3 s"
    assert (first.metadata.src_node_id, second.metadata.src_node_id) == (2, 3)
    assert second.content.config_records["config"]["client-ids"] == [0]
    assert hung not in two.worker_pids() and idle in two.worker_pids()
    (answer,) = two.send_and_receive([question(experiment, 2, [2], model)], timeout=60)
    assert answer.content.config_records["config"]["client-ids"] == [2]


def test_messages_of_a_round_share_one_model(two: WorkerGrid) -> None:
    experiment = built("dirichlet")
    two.place(client_side(experiment))
    models = [ArrayRecord([experiment.factory.initial(seed)]) for seed in (0, 1)]
    with pytest.raises(ClientsLostError, match="different models") as caught:
        two.send_and_receive(
            [question(experiment, node, [0], m) for node, m in zip((2, 3), models, strict=True)]
        )
    assert caught.value.code == "E702"
    assert list(two.send_and_receive([])) == []
