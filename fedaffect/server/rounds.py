"""The round loop: sample, train, validate, clip, sum, noise, step. The same on every engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedaffect.errors import ClientsLostError, PrivacyError
from fedaffect.params import Layout
from fedaffect.privacy.base import Mechanism, NoiseKey
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.run_budget import RunBudget
from fedaffect.server.sampling import AmplifyingDraws, Sampler
from fedaffect.server.validation import Updates, accept, read_hosts
from fedaffect.strategies.base import Strategy

NODE_WAIT_S = 60.0


@dataclass(frozen=True)
class RoundOutcome:
    """What one round did: new parameters, who answered, what went wrong."""

    fold: int
    server_round: int
    release: int
    params: np.ndarray  # (d,) float64
    asked: int
    updates: Updates
    seconds: float


@dataclass(frozen=True)
class RoundLoop:
    """Everything a training run needs on the server's side.

    Args:
        grid: Carries the messages.
        layout: Layout of the parameter vector.
        strategy: The federated algorithm.
        mechanism: The calibrated privacy mechanism.
        sampler: Draws the clients of a round.
        clients_per_round: Fixed public denominator under DP.
        rounds: Number of rounds of a fold.
        key: Secret noise key, ``None`` without DP.
        draws: Secret coin flips of a Poisson sampler under DP, else ``None``.
        budget: The privacy ledger, ``None`` without DP.
        min_success: Smallest share of the asked clients that must answer.
        timeout_s: Longest wait for the replies of a round.
    """

    grid: Grid
    layout: Layout
    strategy: Strategy
    mechanism: Mechanism
    sampler: Sampler
    clients_per_round: float
    rounds: int
    key: NoiseKey | None
    draws: AmplifyingDraws | None
    budget: RunBudget | None
    min_success: float = 0.5
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        private = bool(self.mechanism.noised_blocks)
        if private and (self.key is None or (self.key.kind == "secret" and self.budget is None)):
            raise PrivacyError("E410", "a private release needs a noise key and an open ledger")

    def run(
        self,
        params: np.ndarray,
        windows: Sequence[int],
        fold: int,
        after_round: Callable[[RoundOutcome], None],
    ) -> np.ndarray:
        """Train for all rounds and return the final parameters (d,) float64.

        Args:
            params: Initial parameters (d,).
            windows: Number of training windows of each client, from the public manifest.
            fold: Number of the evaluation fold.
            after_round: Called after every round.

        Raises:
            ClientsLostError: E701 too few clients answered a round.
        """
        hosts = self._hosts(fold)
        for server_round in range(1, self.rounds + 1):
            started = time.perf_counter()
            release = fold * self.rounds + server_round
            chosen = self.sampler.draw(len(windows), fold, server_round, release, self.draws)
            asked = assign(chosen, windows, hosts)
            replies = self.grid.send_and_receive(
                self._messages(params, asked, fold, server_round), timeout=self.timeout_s
            )
            updates = accept(replies, asked, self.layout, fold, server_round)
            if len(updates.client_ids) < self.min_success * len(chosen):
                raise ClientsLostError(
                    "E701",
                    f"only {len(updates.client_ids)} of {len(chosen)} clients answered round "
                    f"{server_round}: {'; '.join(updates.rejected[:3])}",
                    do="try fewer --workers, or --engine local --debug to see the cause",
                )
            update = self._combine(updates, windows, release)
            params = self.strategy.server_step(params, update)
            seconds = time.perf_counter() - started
            after_round(
                RoundOutcome(fold, server_round, release, params, len(chosen), updates, seconds)
            )
        return params

    def _combine(self, updates: Updates, windows: Sequence[int], release: int) -> np.ndarray:
        """Return the combined update (d,): noised under DP, the strategy's own mean without."""
        if self.key is None:
            sizes = np.array([windows[i] for i in updates.client_ids], dtype=np.float64)
            if not len(sizes):
                return np.zeros(self.layout.size)
            return self.strategy.aggregate(updates.rows, sizes / sizes.sum())
        total = clipped_sum(updates.rows, self.mechanism)
        if self.budget is not None:
            self.budget.charge(release, total)
        noised = self.mechanism.on_server(total, self.key, release)
        if self.budget is not None:
            self.budget.released(release, total)
        return noised.total / self.clients_per_round

    def _hosts(self, fold: int) -> dict[int, list[int]]:
        """Ask every node which clients it can train; wait for the first nodes to appear."""
        deadline = time.monotonic() + NODE_WAIT_S
        nodes = sorted(self.grid.get_node_ids())
        while not nodes and time.monotonic() < deadline:
            time.sleep(0.1)
            nodes = sorted(self.grid.get_node_ids())
        questions = [
            Message(RecordDict({"config": ConfigRecord({"fold": fold})}), node, "query")
            for node in nodes
        ]
        hosts = read_hosts(self.grid.send_and_receive(questions, timeout=self.timeout_s))
        if not any(hosts.values()):
            raise ClientsLostError(
                "E701", f"none of {len(nodes)} nodes hosts a client", do="look at the nodes' logs"
            )
        return hosts

    def _messages(
        self, params: np.ndarray, asked: dict[int, list[int]], fold: int, server_round: int
    ) -> list[Message]:
        model = ArrayRecord([params])  # one record: an engine may ship it once for all nodes
        return [
            Message(
                RecordDict(
                    {
                        "model": model,
                        "config": ConfigRecord(
                            {"fold": fold, "server-round": server_round, "client-ids": ids}
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
