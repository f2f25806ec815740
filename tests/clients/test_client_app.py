"""The ClientApp and the site behind it, called with real Flower messages."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from tiny import RAGGED, tiny

from fedaffect.build import Experiment, build
from fedaffect.clients.app import client_app
from fedaffect.clients.exchange import TrainRequest
from fedaffect.clients.side import client_side
from fedaffect.clients.site import Site, host, hosted
from fedaffect.server.validation import Expected, Updates, accept
from fedaffect.simulations.flower_internals import adopt_task_identity

adopt_task_identity()
CONFIG = tiny(
    RAGGED
    | {
        "dp.mechanism": "gaussian",
        "dp.eps": 8,
        "dp.clip": 0.1,
        "dp.unsafe_test_noise": "k",
        "data.eval": "loso",
        "data.partition": "subject",
        "federation.clients": 4,
    }
)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return build(CONFIG)


def ask(kind: str, settings: dict[str, str], ids: list[int], params: np.ndarray) -> Message:
    config = ConfigRecord(
        {
            "fold": 1,
            "server-round": 3,
            "release": 5,
            "clip-bounds": [0.1],
            "ticket": "of this round",
            "client-ids": ids,
            "stacks": [1] * len(ids),
            "shares": [],
        }
    )
    content = RecordDict({"model": ArrayRecord([params]), "config": config})
    context = Context(1, 7, {}, RecordDict(), settings)  # type: ignore[arg-type]
    return client_app(Message(content, 7, kind), context)


def accepted(experiment: Experiment, reply: Message, ids: list[int]) -> Updates:
    blocks = experiment.mechanism.blocks
    expected = Expected("of this round", blocks.digest, len(blocks.released))
    return accept([reply], {7: ids}, expected)


def request(*ids: int, fold: int = 1, server_round: int = 3) -> TrainRequest:
    return TrainRequest(fold, server_round, 5, ids)


@pytest.mark.parametrize("way", ["placed by an engine", "built from the run's settings"])
def test_answers_are_those_of_the_site(experiment: Experiment, way: str) -> None:
    site, start = Site(client_side(experiment)), experiment.factory.initial(0)
    settings = {"fedaffect": CONFIG.model_dump_json(), "run-key": ""}
    if way == "placed by an engine":
        settings = {"run-key": "here"}
        host("here", Site(client_side(experiment)))
    reply = ask("query", settings, [], start)
    assert reply.content.config_records["config"]["client-ids"] == [0, 1, 2, 3]

    reply = ask("train", settings, [3, 1], start)
    updates = accepted(experiment, reply, [1, 3])
    assert updates.rejected == ()
    expected = site.train(start, request(1, 3))
    assert np.array_equal(updates.rows, expected.updates)
    assert updates.losses == expected.losses
    assert np.abs(np.linalg.norm(updates.rows, axis=1) - 0.1).max() < 1e-12  # the clip binds


def test_process_hosts_one_run_at_a_time(experiment: Experiment) -> None:
    first, second = Site(client_side(experiment)), Site(client_side(experiment))
    host("first", first)
    assert hosted("first") is first and hosted("") is None
    host("second", second)
    assert hosted("first") is None and hosted("second") is second


def test_client_that_fails_costs_its_own_update_only(experiment: Experiment) -> None:
    side = client_side(experiment)
    broken = replace(side.folds[1][2], features=np.full_like(side.folds[1][2].features, np.nan))
    folds = list(side.folds)
    folds[1] = (*folds[1][:2], broken, folds[1][3])
    host("here", Site(replace(side, folds=tuple(folds))))
    start = experiment.factory.initial(0)
    reply = ask("train", {"run-key": "here"}, [0, 2, 3], start)
    updates = accepted(experiment, reply, [0, 2, 3])
    assert updates.client_ids == (0, 3)
    assert updates.rejected == ("client 2: ValueError: an update has values that are not finite",)
    whole = Site(side).train(start, request(0, 3))
    assert np.array_equal(updates.rows, whole.updates)

    reply = ask("train", {"run-key": "here"}, [2], start)  # a reply without any update
    updates = accepted(experiment, reply, [2])
    assert updates.client_ids == () and len(updates.rejected) == 1


def test_client_that_lives_elsewhere_is_refused(experiment: Experiment) -> None:
    reply = Site(client_side(experiment)).train(experiment.factory.initial(0), request(0, 99))
    assert reply.client_ids == (0,)
    assert reply.failed == {99: "KeyError: 99"}


def test_updates_travel_in_the_precision_of_the_run(experiment: Experiment) -> None:
    single = build(CONFIG.replace({"run.dtype": "float32"}))
    for run, dtype in ((experiment, np.float64), (single, np.float32)):
        site = Site(client_side(run))
        assert (
            site.train(run.factory.initial(0), request(0, fold=0, server_round=1)).updates.dtype
            == dtype
        )
