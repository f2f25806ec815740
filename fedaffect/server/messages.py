"""What the server asks of the nodes in a round, and which node trains which client."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fedaffect.errors import ClientsLostError

Stack = tuple[int, ...]  # ids of clients that train side by side


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
    params: np.ndarray, asked: Mapping[int, Sequence[Stack]], facts: RoundFacts, ticket: str
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
                            "client-ids": [client for stack in stacks for client in stack],
                            "stacks": [len(stack) for stack in stacks],
                        }
                    ),
                }
            ),
            node,
            "train",
        )
        for node, stacks in sorted(asked.items())
    ]


def assign(
    chosen: Sequence[int], windows: Sequence[int], hosts: Mapping[int, Sequence[int]], size: int = 1
) -> dict[int, list[Stack]]:
    """Return node id to the stacks it trains: largest first, to the least loaded host.

    Clients of one stack are about as large as each other. The stacks do not depend on how many
    nodes there are, where every node hosts everyone.

    Args:
        chosen: Ids of the clients to train.
        windows: Number of training windows of every client.
        hosts: Node id to the clients that it can train.
        size: Most clients in a stack.

    Raises:
        ClientsLostError: E701 a chosen client is hosted nowhere.
    """
    load = dict.fromkeys(sorted(hosts), 0)
    asked: dict[int, list[Stack]] = {}
    stacks = _stacks(chosen, windows, hosts, size)
    work = {stack: sum(windows[client] for client in stack) for stack in stacks}
    for stack in sorted(stacks, key=lambda s: (-work[s], s)):
        node = min(stacks[stack], key=lambda n: (load[n], n))
        load[node] += work[stack]
        asked.setdefault(node, []).append(stack)
    return {node: sorted(mine) for node, mine in sorted(asked.items())}


def _stacks(
    chosen: Sequence[int], windows: Sequence[int], hosts: Mapping[int, Sequence[int]], size: int
) -> dict[Stack, tuple[int, ...]]:
    """Return the stacks, each with the nodes that host all of it."""
    hosted = {node: set(ids) for node, ids in hosts.items()}
    alike: dict[tuple[int, ...], list[int]] = {}
    for client in sorted(chosen, key=lambda c: (-windows[c], c)):
        nodes = tuple(node for node, ids in sorted(hosted.items()) if client in ids)
        if not nodes:
            raise ClientsLostError("E701", f"client {client} is hosted by no node")
        alike.setdefault(nodes, []).append(client)
    return {
        tuple(clients[at : at + size]): nodes
        for nodes, clients in alike.items()
        for at in range(0, len(clients), size)
    }
