"""What the server accepts: checked before any strategy or privacy code sees an update.

A bad update costs the client that sent it, never the round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Message

from fedaffect.params import Layout


@dataclass(frozen=True)
class Updates:
    """Accepted updates of a round, ordered by client id."""

    client_ids: tuple[int, ...]
    rows: np.ndarray  # (n, d) float64
    losses: tuple[float, ...]
    rejected: tuple[str, ...]  # one line a client or node


def accept(
    replies: Iterable[Message], asked: dict[int, list[int]], layout: Layout, fold: int, round_: int
) -> Updates:
    """Return the valid updates among ``replies``.

    Args:
        replies: Reply messages in any order.
        asked: Node id to the client ids that it was asked to train.
        layout: Layout that an update must have.
        fold: Number of the fold.
        round_: Number of the round.
    """
    rows: dict[int, tuple[np.ndarray, float]] = {}
    rejected: list[str] = []
    answered: set[int] = set()
    for reply in replies:
        node = reply.metadata.src_node_id
        problem = _envelope_problem(reply, node, asked, answered)
        if not problem:
            answered.add(node)
            try:
                problem = _content_problem(reply, asked[node], layout, fold, round_)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                problem = f"malformed reply ({type(error).__name__})"
        if problem:
            rejected.append(f"node {node}: {problem}")
            continue
        about = reply.content.config_records["config"]
        whys = zip(_values(about["failed-ids"]), _values(about["failed-why"]), strict=False)
        rejected += [f"client {failed}: {why}" for failed, why in whys]
        losses = _values(reply.content.metric_records["metrics"]["loss"])
        (updates,) = reply.content.array_records["updates"].to_numpy_ndarrays()
        for client, update, loss in zip(_values(about["client-ids"]), updates, losses, strict=True):
            if np.isfinite(update).all():
                rows[int(client)] = (update.astype(np.float64), float(loss))
            else:
                rejected.append(f"client {client}: update is not finite")
    for node in sorted(set(asked) - answered):
        rejected.append(f"node {node}: no valid reply for clients {asked[node]}")
    ids = sorted(rows)
    stacked = np.stack([rows[i][0] for i in ids]) if ids else np.empty((0, layout.size))
    return Updates(tuple(ids), stacked, tuple(rows[i][1] for i in ids), tuple(rejected))


def _envelope_problem(
    reply: Message, node: int, asked: dict[int, list[int]], answered: set[int]
) -> str:
    if node not in asked:
        return "was not asked"
    if node in answered:
        return "answered twice"
    if reply.has_error():
        return f"error {reply.error.code}: {reply.error.reason}"
    return ""


def _content_problem(
    reply: Message, expected: list[int], layout: Layout, fold: int, round_: int
) -> str:
    about = reply.content.config_records["config"]
    if (about["fold"], about["server-round"]) != (fold, round_):
        return "answers another round"
    if about["layout"] != layout.digest:
        return "has another model"
    ids = [int(i) for i in _values(about["client-ids"])]
    losses = _values(reply.content.metric_records["metrics"]["loss"])
    (updates,) = reply.content.array_records["updates"].to_numpy_ndarrays()
    if len(set(ids)) != len(ids) or not set(ids) <= set(expected):
        return "answers for clients that it was not asked to train"
    if updates.dtype.kind != "f":
        return f"updates are {updates.dtype}, not floating point"
    if updates.shape != (len(ids), layout.size) or len(losses) != len(ids):
        return f"updates have shape {updates.shape}, expected {(len(ids), layout.size)}"
    return ""


def _values(value: object) -> list[Any]:
    """Return a record's list; a single number where a list belongs is malformed."""
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where a list belongs")
    return value
