"""What the server accepts: checked before any strategy or privacy code sees an update.

A bad update costs the client that sent it, never the round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Message

from fedaffect.server.cohort import Share, clients_of

LONGEST_NOTE = 200


@dataclass(frozen=True)
class Updates:
    """Accepted contributions of a round, ordered by client id.

    Where the nodes added them up, there are no rows but the sum (r,) of every share.
    """

    client_ids: tuple[int, ...]
    rows: np.ndarray  # (n, r) float64
    losses: tuple[float, ...]
    rejected: tuple[str, ...]  # one line a client or node
    within: int | None = None  # clients that needed no clip, where the clip adapts
    refused: tuple[str, ...] = ()  # those of ``rejected`` whose policy forbids the round
    sums: Mapping[Share, np.ndarray] | None = None


@dataclass(frozen=True)
class Expected:
    """What a valid reply of this round looks like.

    Args:
        ticket: Digest of run, round and model, which a reply must repeat.
        blocks: Digest of the blocks that are released.
        width: Number r of released coordinates.
        longest: Norm that no honest contribution exceeds; infinite where the server clips.
        counts_clip: Whether every contribution says if it needed no clip.
        tells_loss: Whether a training loss comes with every contribution; where the clients draw
            the noise it would leave them without any.
    """

    ticket: str
    blocks: str
    width: int
    longest: float = math.inf
    counts_clip: bool = False
    tells_loss: bool = True


@dataclass(frozen=True)
class _Answer:
    """What is valid in one reply, and why the rest is not."""

    rows: dict[int, np.ndarray] = field(default_factory=dict)  # client id -> (r,) float64
    sums: dict[Share, np.ndarray] = field(default_factory=dict)  # share -> (r,) float64
    losses: dict[int, float] = field(default_factory=dict)
    within: dict[int, int] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


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
    replies: Iterable[Message],
    asked: dict[int, list[int]],
    expected: Expected,
    shares: Mapping[int, Sequence[Share]] | None = None,
) -> Updates:
    """Return the valid contributions among ``replies``.

    Args:
        replies: Reply messages in any order.
        asked: Node id to the client ids that it was asked to train.
        expected: What a valid reply looks like.
        shares: Node id to the shares that it was asked to add up; ``None``: a row a client.
    """
    good = _Answer()
    answered: set[int] = set()
    for reply in replies:
        node = reply.metadata.src_node_id
        try:
            _check_envelope(reply, node, asked, answered)
            answered.add(node)
            answer = _read(reply, asked[node], expected, shares[node] if shares else None)
        except _RefusedError as refused:
            good.rejected.append(_line(f"node {node}: {refused}"))
        except Exception as error:  # whatever a hostile reply sets off is its sender's loss
            good.rejected.append(f"node {node}: malformed reply ({type(error).__name__})")
        else:
            good.rows.update(answer.rows)
            good.sums.update(answer.sums)
            good.losses.update(answer.losses)
            good.within.update(answer.within)
            good.rejected.extend(answer.rejected)
            good.refused.extend(answer.refused)
    for node in sorted(set(asked) - answered):
        good.rejected.append(f"node {node}: no valid reply for clients {asked[node]}")
    ids = sorted(good.losses)
    return Updates(
        tuple(ids),
        np.stack([good.rows[i] for i in ids]) if good.rows else np.empty((0, expected.width)),
        tuple(good.losses[i] for i in ids) if expected.tells_loss else (),
        tuple(good.rejected + good.refused),
        sum(good.within[i] for i in ids) if expected.counts_clip else None,
        tuple(good.refused),
        good.sums if shares is not None else None,
    )


def _check_envelope(
    reply: Message, node: int, asked: dict[int, list[int]], answered: set[int]
) -> None:
    if node not in asked:
        raise _RefusedError("was not asked")
    if node in answered:
        raise _RefusedError("answered twice")
    if reply.has_error():
        raise _RefusedError(f"error {reply.error.code}: {reply.error.reason}")


def _read(
    reply: Message, asked: list[int], expected: Expected, shares: Sequence[Share] | None
) -> _Answer:
    about = reply.content.config_records["config"]
    if about["ticket"] != expected.ticket:
        raise _RefusedError("answers another round, model or run")
    if about["blocks"] != expected.blocks:
        raise _RefusedError("has another model, or other blocks to release")
    ids = [int(i) for i in _values(about["client-ids"])]
    failed = _reasons(about, "failed")
    refused = _reasons(about, "refused")
    named = [*ids, *failed, *refused]
    if len(set(named)) != len(named) or not set(named) <= set(asked):
        raise _RefusedError("answers for clients that it was not asked to train")
    metrics = reply.content.metric_records["metrics"]
    losses = [float(x) for x in _values(metrics["loss"])]
    if not expected.tells_loss:
        if losses:
            raise _RefusedError("tells training losses that nobody has noised")
        losses = [0.0] * len(ids)
    within = _values(metrics["within"]) if expected.counts_clip else [0] * len(ids)
    if not all(type(bit) is int and bit in (0, 1) for bit in within):
        raise _RefusedError("counts clients within the clip by more than one each")
    (updates,) = reply.content.array_records["updates"].to_numpy_ndarrays()
    if updates.dtype.kind != "f":
        raise _RefusedError(f"updates are {updates.dtype}, not floating point")
    shape = (len(ids) if shares is None else len(shares), expected.width)
    if updates.shape != shape or len(losses) != len(ids) or len(within) != len(ids):
        raise _RefusedError(f"updates have shape {updates.shape}, expected {shape}")
    answer = _Answer()
    with np.errstate(over="ignore"):  # what does not fit float64 becomes infinite
        updates = updates.astype(np.float64)
    told = {i: (loss, bit) for i, loss, bit in zip(ids, losses, within, strict=True)}
    releases = [(i,) for i in ids] if shares is None else [clients_of(s) for s in shares]
    for place, (members, update) in enumerate(zip(releases, updates, strict=True)):
        there = [i for i in members if i in told]
        who = f"client {members[0]}" if shares is None else f"clients {there}"
        if not (np.isfinite(update).all() and all(np.isfinite(told[i][0]) for i in there)):
            answer.rejected.append(_line(f"{who}: update or loss is not finite"))
        elif np.linalg.norm(update) > expected.longest * len(there):
            answer.rejected.append(_line(f"{who}: update is longer than clip and noise allow"))
        else:
            answer.losses.update({i: told[i][0] for i in there})
            answer.within.update({i: told[i][1] for i in there})
            if shares is None:
                answer.rows[members[0]] = update
            elif there:
                answer.sums[shares[place]] = update
    answer.rejected.extend(_line(f"client {client}: {why}") for client, why in failed.items())
    answer.refused.extend(
        _line(f"client {client} refuses: {why}") for client, why in refused.items()
    )
    silent = set(asked) - set(named)
    answer.rejected.extend(f"client {client}: no update" for client in sorted(silent))
    return answer


def _reasons(about: ConfigRecord, what: str) -> dict[int, str]:
    """Return client id to why it ``failed`` or was ``refused``."""
    ids, why = _values(about[f"{what}-ids"]), _values(about[f"{what}-why"])
    reasons = {int(i): str(text) for i, text in zip(ids, why, strict=True)}
    if len(reasons) != len(ids):
        raise _RefusedError("names a client twice")
    return reasons


def _values(value: object) -> list[Any]:
    """Return a record's list; a single number where a list belongs is malformed."""
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where a list belongs")
    return value


def _line(text: str) -> str:
    """Return ``text`` as one short printable line: others wrote part of it."""
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_NOTE]
