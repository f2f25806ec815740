"""What the server asks of the nodes in a round."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fedaffect.server.cohort import Share, clients_of


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
    params: np.ndarray,
    asked: Mapping[int, Sequence[Share]],
    facts: RoundFacts,
    ticket: str,
    add_up: bool = False,
) -> list[Message]:
    """Return one message a node: the model (d,), the round, and the clients to train.

    Args:
        params: The model, (d,).
        asked: Node id to the shares that it trains.
        facts: What every client is told.
        ticket: What a reply must repeat.
        add_up: Ask for the sum of every share, not for every client's contribution.
    """
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
                            "client-ids": [c for share in shares for c in clients_of(share)],
                            "stacks": [len(stack) for share in shares for stack in share],
                            "shares": [len(share) for share in shares] if add_up else [],
                        }
                    ),
                }
            ),
            node,
            "train",
        )
        for node, shares in sorted(asked.items())
    ]
