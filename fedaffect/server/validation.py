"""What the server accepts: checked before any strategy or privacy code sees an update.

A bad update costs the client that sent it, never the round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Message

from fedaffect.params import Layout

LONGEST_NOTE = 200


@dataclass(frozen=True)
class Updates:
    """Accepted updates of a round, ordered by client id."""

    client_ids: tuple[int, ...]
    rows: np.ndarray  # (n, d) float64
    losses: tuple[float, ...]
    rejected: tuple[str, ...]  # one line a client or node


@dataclass(frozen=True)
class _Answer:
    """What is valid in one reply, and why the rest is not."""

    rows: dict[int, np.ndarray] = field(default_factory=dict)  # client id -> (d,) float64
    losses: dict[int, float] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)


class _RefusedError(Exception):
    """A reply that breaks a rule, named in the message."""


def read_hosts(replies: Iterable[Message]) -> dict[int, list[int]]:
    """Return node id to the clients that it can train; a node that answers badly hosts none."""
    hosts: dict[int, list[int]] = {}
    for reply in replies:
        try:
            ids = _values(reply.content.config_records["config"]["client-ids"])
            hosts[reply.metadata.src_node_id] = [int(i) for i in ids]
        except Exception:  # as in accept
            hosts[reply.metadata.src_node_id] = []
    return hosts


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
    rows: dict[int, np.ndarray] = {}
    losses: dict[int, float] = {}
    rejected: list[str] = []
    answered: set[int] = set()
    for reply in replies:
        node = reply.metadata.src_node_id
        try:
            _check_envelope(reply, node, asked, answered)
            answered.add(node)
            answer = _read(reply, asked[node], layout, fold, round_)
        except _RefusedError as refused:
            rejected.append(_line(f"node {node}: {refused}"))
        except Exception as error:  # whatever a hostile reply sets off is its sender's loss
            rejected.append(f"node {node}: malformed reply ({type(error).__name__})")
        else:
            rows |= answer.rows
            losses |= answer.losses
            rejected += answer.rejected
    for node in sorted(set(asked) - answered):
        rejected.append(f"node {node}: no valid reply for clients {asked[node]}")
    ids = sorted(rows)
    stacked = np.stack([rows[i] for i in ids]) if ids else np.empty((0, layout.size))
    return Updates(tuple(ids), stacked, tuple(losses[i] for i in ids), tuple(rejected))


def _check_envelope(
    reply: Message, node: int, asked: dict[int, list[int]], answered: set[int]
) -> None:
    if node not in asked:
        raise _RefusedError("was not asked")
    if node in answered:
        raise _RefusedError("answered twice")
    if reply.has_error():
        raise _RefusedError(f"error {reply.error.code}: {reply.error.reason}")


def _read(reply: Message, expected: list[int], layout: Layout, fold: int, round_: int) -> _Answer:
    about = reply.content.config_records["config"]
    if (about["fold"], about["server-round"]) != (fold, round_):
        raise _RefusedError("answers another round")
    if about["layout"] != layout.digest:
        raise _RefusedError("has another model")
    ids = [int(i) for i in _values(about["client-ids"])]
    failed = [int(i) for i in _values(about["failed-ids"])]
    if len(set(ids + failed)) != len(ids + failed) or not set(ids + failed) <= set(expected):
        raise _RefusedError("answers for clients that it was not asked to train")
    losses = [float(x) for x in _values(reply.content.metric_records["metrics"]["loss"])]
    (updates,) = reply.content.array_records["updates"].to_numpy_ndarrays()
    if updates.dtype.kind != "f":
        raise _RefusedError(f"updates are {updates.dtype}, not floating point")
    if updates.shape != (len(ids), layout.size) or len(losses) != len(ids):
        raise _RefusedError(
            f"updates have shape {updates.shape}, expected {(len(ids), layout.size)}"
        )
    answer = _Answer()
    with np.errstate(over="ignore"):  # what does not fit float64 becomes infinite
        updates = updates.astype(np.float64)
    for client, update, loss in zip(ids, updates, losses, strict=True):
        if np.isfinite(update).all() and np.isfinite(loss):
            answer.rows[client], answer.losses[client] = update, loss
        else:
            answer.rejected.append(f"client {client}: update or loss is not finite")
    for client, why in zip(failed, _values(about["failed-why"]), strict=True):
        answer.rejected.append(_line(f"client {client}: {why}"))
    silent = set(expected) - set(ids) - set(failed)
    answer.rejected.extend(f"client {client}: no update" for client in sorted(silent))
    return answer


def _values(value: object) -> list[Any]:
    """Return a record's list; a single number where a list belongs is malformed."""
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where a list belongs")
    return value


def _line(text: str) -> str:
    """Return ``text`` as one short printable line: others wrote part of it."""
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_NOTE]
