"""What the server asks of the nodes in a round, and which node trains which client."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fedaffect.errors import ClientsLostError


@dataclass(frozen=True)
class RoundFacts:
    """What every client of a round is told.

    Args:
        fold: Number of the evaluation fold.
        server_round: Number of the round, from 1.
        release: Number of the release in the run, from 1.
        bounds: Clip norms, one a group of blocks.
    """

    fold: int
    server_round: int
    release: int
    bounds: tuple[float, ...]


def ticket_of(run: str, facts: RoundFacts, params: np.ndarray) -> str:
    """Return what binds a reply to run, round and model, so that it cannot be used again."""
    digest = hashlib.sha256(f"{run}|{facts!r}|".encode())
    digest.update(np.ascontiguousarray(params).tobytes())
    return digest.hexdigest()


def train_messages(
    params: np.ndarray, asked: dict[int, list[int]], facts: RoundFacts, ticket: str
) -> list[Message]:
    """Return one message a node: the model (d,), the round, and the clients to train."""
    model = ArrayRecord([params])  # one record: an engine may ship it once for all nodes
    return [
        Message(
            RecordDict(
                {
                    "model": model,
                    "config": ConfigRecord(
                        {
                            "fold": facts.fold,
                            "server-round": facts.server_round,
                            "release": facts.release,
                            "clip-bounds": list(facts.bounds),
                            "ticket": ticket,
                            "client-ids": ids,
                        }
                    ),
                }
            ),
            node,
            "train",
        )
        for node, ids in sorted(asked.items())
    ]


def assign(
    chosen: Sequence[int], windows: Sequence[int], hosts: dict[int, list[int]]
) -> dict[int, list[int]]:
    """Return node id to the clients it trains: largest first, to the least loaded host.

    Raises:
        ClientsLostError: E701 a chosen client is hosted nowhere.
    """
    load = dict.fromkeys(sorted(hosts), 0)
    asked: dict[int, list[int]] = {}
    hosted_by = {node: set(ids) for node, ids in hosts.items()}
    for client in sorted(chosen, key=lambda c: (-windows[c], c)):
        nodes = [node for node in load if client in hosted_by[node]]
        if not nodes:
            raise ClientsLostError("E701", f"client {client} is hosted by no node")
        node = min(nodes, key=lambda n: (load[n], n))
        load[node] += windows[client]
        asked.setdefault(node, []).append(client)
    return {node: sorted(ids) for node, ids in sorted(asked.items())}
