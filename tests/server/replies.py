"""Replies of nodes as real Flower messages, and what a valid one looks like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from fedaffect.server.validation import Expected, Updates, accept
from fedaffect.simulations.flower_internals import adopt_task_identity

adopt_task_identity()
EXPECTED = Expected(ticket="round 4", blocks="b" * 64, width=3)
COUNTING = replace(EXPECTED, counts_clip=True)
ASKED = {2: [0, 3], 5: [1]}
ROWS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def content(ids: list[int], rows: np.ndarray, **about: object) -> RecordDict:
    """A valid reply's content; ``about`` overwrites its config."""
    config = {
        "ticket": EXPECTED.ticket,
        "blocks": EXPECTED.blocks,
        "client-ids": ids,
        "failed-ids": [],
        "failed-why": [],
        "refused-ids": [],
        "refused-why": [],
    } | {key.replace("_", "-"): value for key, value in about.items()}
    return RecordDict(
        {
            "updates": ArrayRecord([rows]),
            "metrics": MetricRecord({"loss": [0.5 + i for i in range(len(ids))]}),
            "config": ConfigRecord(config),  # type: ignore[arg-type]
        }
    )


def reply(node: int, what: RecordDict | Error) -> Message:
    """The message that node ``node`` sends back."""
    question = Message(RecordDict(), node, "train")
    if isinstance(what, Error):
        return Message(what, reply_to=question)
    return Message(what, reply_to=question)


def good() -> Message:
    return reply(5, content([1], np.array([[7.0, 8.0, 9.0]])))


def accepted(*replies: Message, expected: Expected = EXPECTED) -> Updates:
    return accept(replies, ASKED, expected)
