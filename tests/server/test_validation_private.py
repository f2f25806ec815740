"""Replies under privacy: refusals, contributions that are too long, and the count of the clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord
from replies import COUNTING, EXPECTED, ROWS, accepted, content, good, reply

from fedaffect.server.validation import accept


def test_client_whose_node_refuses_says_why_and_counts_as_refused() -> None:
    about = {"refused_ids": [3], "refused_why": ["its policy allows 5 rounds\x1b[2J"]}
    updates = accepted(reply(2, content([0], ROWS[:1], **about)), good())
    assert updates.client_ids == (0, 1)
    line = "client 3 refuses: its policy allows 5 rounds [2J"
    assert updates.refused == updates.rejected == (line,)


def test_contribution_longer_than_clip_and_noise_is_rejected() -> None:
    longest = float(np.linalg.norm(ROWS[1]))
    for factor, ids in ((1.0, (0, 1, 3)), (0.999, (0, 1))):
        limit = replace(EXPECTED, longest=longest * factor)
        short = reply(5, content([1], np.ones((1, 3))))
        updates = accepted(reply(2, content([0, 3], ROWS)), short, expected=limit)
        assert updates.client_ids == ids
        told = () if factor == 1 else ("client 3: update is longer than clip and noise allow",)
        assert updates.rejected == told


def counting(*bits: Any) -> Message:
    answer = content([0, 3], ROWS)
    answer["metrics"] = MetricRecord({"loss": [0.5, 1.5], "within": list(bits)})
    return reply(2, answer)


@pytest.mark.parametrize(("bits", "within"), [((0, 0), 0), ((0, 1), 1), ((1, 1), 2)])
def test_clients_within_the_clip_are_counted(bits: tuple[int, int], within: int) -> None:
    updates = accept([counting(*bits)], {2: [0, 3]}, COUNTING)
    assert (updates.client_ids, updates.within) == ((0, 3), within)
    assert accept([counting(*bits)], {2: [0, 3]}, EXPECTED).within is None


@pytest.mark.parametrize("bits", [(2, 0), (-1, 0), (0.5, 0.5), (1.0, 0.0), (1,), (1, 0, 0), ()])
def test_nobody_counts_for_more_than_one_client(bits: tuple[Any, ...]) -> None:
    updates = accept([counting(*bits)], {2: [0, 3]}, COUNTING)
    assert (updates.client_ids, updates.within) == ((), 0)
    assert len(updates.rejected) == 1


def test_one_bad_row_takes_its_bit_along() -> None:
    answer = counting(1, 1)
    answer.content["updates"] = ArrayRecord([np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]])])
    updates = accept([answer], {2: [0, 3]}, COUNTING)
    assert (updates.client_ids, updates.within) == ((0,), 1)


def test_losses_that_nobody_noised_are_refused_where_the_clients_draw_the_noise() -> None:
    silent = replace(EXPECTED, tells_loss=False)
    answer = content([0, 3], ROWS)
    answer["metrics"] = MetricRecord({"loss": [], "within": []})
    updates = accept([reply(2, answer)], {2: [0, 3]}, silent)
    assert (updates.client_ids, updates.losses) == ((0, 3), ())
    telling = accept([reply(2, content([0, 3], ROWS))], {2: [0, 3]}, silent)
    assert telling.client_ids == () and "nobody has noised" in telling.rejected[0]
