"""Rounds below the quorum and replies of strangers, over a real grid that tampers with replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord
from tiny import tiny, train_placed

from fedaffect.build import Experiment, build
from fedaffect.clients.account import account_plan
from fedaffect.clients.side import client_side
from fedaffect.errors import ClientsLostError, PrivacyError
from fedaffect.record import RoundRecord
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid

Tamper = Callable[[int, Message], Message | None]
NOISY = {"dp.mechanism": "gaussian", "dp.eps": 8, "dp.clip": 0.2, "dp.unsafe_test_noise": "k"}
LOCAL = NOISY | {"dp.where": "client", "dp.eps": 500}
ADAPTIVE = NOISY | {"dp.clip": "adaptive", "dp.clip_start": 0.5}


class NodeAClient(LocalGrid):
    """Four nodes with a client each, whose train replies pass through ``tamper``.

    Args:
        tamper: (number of the round, reply) to what arrives; ``None``: nothing does.
    """

    def __init__(self, tamper: Tamper) -> None:
        super().__init__("tampered")
        self.node_ids, self.tamper, self.rounds = (2, 3, 4, 5), tamper, 0

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Sequence[Message]:
        asked = list(messages)
        replies = list(super().send_and_receive(asked, timeout=timeout))
        if asked[0].metadata.message_type != "train":
            return replies
        self.rounds += 1
        arrived = (self.tamper(self.rounds, reply) for reply in replies)
        return [reply for reply in arrived if reply is not None]


def experiment_of(changes: dict[str, Any], rounds: int = 3) -> Experiment:
    return build(tiny({"federation.rounds": rounds} | changes))


def trained(experiment: Experiment, tamper: Tamper) -> Training:
    grid, test_key = NodeAClient(tamper), experiment.config.dp.unsafe_test_noise
    account = None
    if test_key is not None:
        account = account_plan(experiment, "run", "synthetic", "", test_key)
    grid.place(client_side(experiment, "run", account))
    return train_placed(grid, experiment)


def untouched(number: int, reply: Message) -> Message:
    return reply


def silent(*rounds: int, nodes: tuple[int, ...] = (2, 3, 4)) -> Tamper:
    """Return a tamper that drops the replies of ``nodes`` in ``rounds``."""
    return lambda number, reply: (
        None if number in rounds and reply.metadata.src_node_id in nodes else reply
    )


class TestQuorum:
    def test_half_of_the_clients_are_enough(self) -> None:
        training = trained(experiment_of({}), silent(1, 2, 3, nodes=(2, 3)))
        assert [r.clients for r in training.rounds] == [2, 2, 2]
        assert not any(r.abandoned for r in training.rounds)

    @pytest.mark.parametrize("changes", [{}, NOISY, LOCAL])
    def test_fewer_release_nothing_and_leave_the_model(self, changes: dict[str, Any]) -> None:
        experiment = experiment_of(changes, rounds=2)
        training = trained(experiment, silent(1, 2))
        assert np.array_equal(training.params[0], experiment.factory.initial(0))
        assert [(r.abandoned, r.clients) for r in training.rounds] == [(True, 1)] * 2
        assert "node 2: no valid reply for clients" in training.rounds[0].rejected[0]

    def test_a_lost_round_is_left_out_and_no_more(self) -> None:
        experiment = experiment_of(NOISY)
        training = trained(experiment, silent(1))
        whole = trained(experiment, untouched)
        assert [r.abandoned for r in training.rounds] == [True, False, False]
        moved = training.params[0] - experiment.factory.initial(0)
        assert np.abs(moved).max() > 0
        assert not np.array_equal(training.params[0], whole.params[0])

    def test_three_in_a_row_end_the_run(self) -> None:
        with pytest.raises(ClientsLostError, match="only 1 of 4 clients answered round 4") as lost:
            trained(experiment_of({}, rounds=9), silent(2, 3, 4))
        assert (lost.value.code, lost.value.exit_code) == ("E701", 7)
        assert "the third in a row" in lost.value.message

    def test_two_and_two_do_not(self) -> None:
        training = trained(experiment_of({}, rounds=5), silent(1, 2, 4, 5))
        assert [r.abandoned for r in training.rounds] == [True, True, False, True, True]


def with_row(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Message], None]:
    """Return what replaces the updates (1, r) of a reply."""

    def apply(reply: Message) -> None:
        (rows,) = reply.content.array_records["updates"].to_numpy_ndarrays()
        reply.content["updates"] = ArrayRecord([change(rows)])

    return apply


def with_within(bit: int) -> Callable[[Message], None]:
    def apply(reply: Message) -> None:
        losses = reply.content.metric_records["metrics"]["loss"]
        reply.content["metrics"] = MetricRecord({"loss": losses, "within": [bit]})

    return apply


BAD: dict[str, tuple[dict[str, Any], Callable[[Message], None], str]] = {
    "one number for all": ({}, with_row(lambda rows: rows[:, :1]), "shape (1, 1)"),
    "a scalar": (NOISY, with_row(lambda rows: np.array(rows[0, 0])), "shape ()"),
    "turned on its side": (NOISY, with_row(lambda rows: rows.T), "shape ("),
    "not a number": (NOISY, with_row(lambda rows: rows * np.nan), "not finite"),
    "infinite": (NOISY, with_row(lambda rows: rows / 0), "not finite"),
    "too long for clip and noise": (LOCAL, with_row(lambda rows: 5 * rows), "longer than clip"),
    "two within the clip": (ADAPTIVE, with_within(2), "more than one each"),
    "minus one within": (ADAPTIVE, with_within(-1), "more than one each"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_bad_reply_counts_as_none(case: str) -> None:
    changes, spoil, problem = BAD[case]
    experiment = experiment_of(changes, rounds=2)

    def tamper(number: int, reply: Message) -> Message:
        if number == 2 and reply.metadata.src_node_id == 3:
            spoil(reply)
        return reply

    bad = trained(experiment, tamper)
    without = trained(experiment, silent(2, nodes=(3,)))
    assert np.array_equal(bad.params[0], without.params[0])
    second: RoundRecord = bad.rounds[1]
    assert (second.clients, second.abandoned) == (3, False)
    assert sum(problem in line for line in second.rejected) == 1


@pytest.mark.parametrize("case", ["an earlier round", "another run"])
def test_a_reply_is_good_for_its_round_and_run_only(case: str) -> None:
    experiment, kept = experiment_of({}, rounds=2), dict[int, Message]()

    def keep(number: int, reply: Message) -> Message:
        kept.setdefault(reply.metadata.src_node_id, reply)  # those of round 1
        return reply

    def replay(number: int, reply: Message) -> Message:
        old = number == (2 if case == "an earlier round" else 1)
        return kept[3] if old and reply.metadata.src_node_id == 3 else keep(number, reply)

    if case == "another run":
        grid = NodeAClient(keep)
        grid.place(client_side(experiment))
        Training(experiment, run_id="another", evaluate_rounds=False).run(grid)
    training = trained(experiment, replay)
    lines = [line for record in training.rounds for line in record.rejected]
    assert sum("answers another round, model or run" in line for line in lines) == 1
    assert sorted(r.clients or 0 for r in training.rounds) == [3, 4]


def test_clients_that_refuse_stop_the_run_with_the_model_so_far() -> None:
    experiment = experiment_of(NOISY)

    def refuse(number: int, reply: Message) -> Message:
        if number < 2 or reply.metadata.src_node_id == 2:
            return reply
        about = reply.content.config_records["config"]
        about["refused-ids"], about["client-ids"] = about["client-ids"], []
        about["refused-why"] = ["its policy allows 1 round"]
        reply.content["metrics"] = MetricRecord({"loss": [], "within": []})
        width = len(experiment.mechanism.blocks.released)
        reply.content["updates"] = ArrayRecord([np.empty((0, width))])
        return reply

    training = trained(experiment, refuse)
    assert isinstance(training.stopped, PrivacyError)
    assert (training.stopped.code, training.stopped.exit_code) == ("E411", 4)
    assert "stopped before round 2 of 3: 3 of 4 clients refuse" in training.stopped.message
    assert "its policy allows 1 round" in training.stopped.message
    one = trained(experiment_of(NOISY, rounds=3), untouched)
    assert training.rounds[0].loss == one.rounds[0].loss and len(training.rounds) == 1
    assert np.abs(training.params[0] - experiment.factory.initial(0)).max() > 0
