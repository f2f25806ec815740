"""Replies in which a node has added up its clients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Message, MetricRecord
from replies import EXPECTED, content, reply

from fedaffect.server.validation import Expected, Updates, accept

SHARES = {2: [((0,), (3,)), ((4, 6),)]}
ASKED = {2: [0, 3, 4, 6]}
SUMS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def answer(ids: list[int], sums: np.ndarray, losses: list[float] | None = None) -> Message:
    told = content(ids, sums)
    if losses is not None:
        told["metrics"] = MetricRecord({"loss": losses})
    return reply(2, told)


def accepted(message: Message, expected: Expected = EXPECTED) -> Updates:
    return accept([message], ASKED, expected, SHARES)


def test_sums_come_out_by_share() -> None:
    updates = accepted(answer([0, 3, 4, 6], SUMS))
    assert updates.client_ids == (0, 3, 4, 6) and updates.rejected == ()
    assert updates.sums is not None
    assert {s: row.tolist() for s, row in updates.sums.items()} == dict(
        zip(SHARES[2], SUMS.tolist(), strict=True)
    )
    assert updates.rows.shape == (0, 3)


def test_a_share_without_clients_adds_nothing() -> None:
    updates = accepted(answer([0, 3], SUMS))  # whatever it says of the other share
    assert updates.sums is not None and list(updates.sums) == [SHARES[2][0]]
    assert updates.client_ids == (0, 3)
    assert updates.rejected == ("client 4: no update", "client 6: no update")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sum_that_is_not_finite_costs_its_share_only(bad: float) -> None:
    sums = SUMS.copy()
    sums[0, 1] = bad
    updates = accepted(answer([0, 3, 4, 6], sums))
    assert updates.client_ids == (4, 6)
    assert updates.rejected == ("clients [0, 3]: update or loss is not finite",)
    assert accepted(answer([0, 3, 4, 6], SUMS, [1.0, 2.0, bad, 4.0])).client_ids == (0, 3)


def test_a_sum_is_no_longer_than_its_clients_together() -> None:
    longest = float(np.linalg.norm(SUMS[1])) / 2
    assert accepted(answer([0, 3, 4, 6], SUMS), replace(EXPECTED, longest=longest)).rejected == ()
    limit = replace(EXPECTED, longest=0.999 * longest)
    updates = accepted(answer([0, 3, 4, 6], SUMS), limit)
    assert updates.client_ids == (0, 3)
    assert "longer than clip and noise" in updates.rejected[0]


@pytest.mark.parametrize("rows", [np.ones((4, 3)), np.ones((1, 3)), np.ones((2, 4))])
def test_one_row_a_share_is_what_is_asked(rows: np.ndarray) -> None:
    updates = accepted(answer([0, 3, 4, 6], rows))
    assert updates.client_ids == () and updates.sums == {}
    assert "expected (2, 3)" in updates.rejected[0]
