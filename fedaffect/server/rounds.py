"""The round loop: sample, train, validate, clip, sum, noise, step. The same on every engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedaffect.errors import ClientsLostError, PrivacyError
from fedaffect.failpoint import fail_here
from fedaffect.privacy.base import ClippedSum, Mechanism, NoiseKey
from fedaffect.privacy.canaries import CanarySum
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.plausible import longest_contribution
from fedaffect.privacy.run_budget import RunBudget
from fedaffect.server.cohort import SHARES, Cohort, Share, assign
from fedaffect.server.messages import RoundFacts, ticket_of, train_messages
from fedaffect.server.sampling import AmplifyingDraws, Sampler
from fedaffect.server.totals import clipped_total, round_total
from fedaffect.server.validation import Expected, Updates, accept, read_hosts
from fedaffect.strategies.base import Strategy

NODE_WAIT_S = 60.0
ROUNDS_LOST = 3  # in a row, before the run gives up

OnUploads = Callable[[RoundFacts, np.ndarray, Updates], None]


@dataclass(frozen=True)
class RoundOutcome:
    """What one round did: new parameters, who answered, what went wrong.

    ``abandoned`` rounds had too few replies: nothing was released, the model stays as it was.
    ``bounds`` are the clip norms of the round, ``next_bounds`` those of the next.
    """

    fold: int
    server_round: int
    release: int
    params: np.ndarray  # (d,) float64
    asked: int
    updates: Updates
    abandoned: bool
    bounds: tuple[float, ...]
    next_bounds: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class RoundLoop:
    """Everything a training run needs on the server's side.

    Args:
        run: Id of the run.
        grid: Carries the messages.
        strategy: The federated algorithm.
        mechanism: The calibrated privacy mechanism.
        sampler: Draws the clients of a round.
        clients_per_round: Fixed public denominator under DP.
        rounds: Number of rounds of a fold.
        key: Secret noise key, ``None`` without DP or where the clients draw the noise.
        draws: Secret coin flips of a Poisson sampler under DP, else ``None``.
        budget: The server's account in the privacy ledger, ``None`` where it has none.
        canaries: Simulated clients that join every sum; ``None`` without.
        stack: How many clients train side by side, at most.
        min_success: Smallest share of the asked clients that must answer.
        timeout_s: Longest wait for the replies of a round.
        on_uploads: Told of every round, the model (d,) that was sent, and every client's row.
        trusts_nodes: The nodes are our own: in large rounds they add up their clients' shares,
            where nobody needs the rows. Others must show what each client contributes.
    """

    run: str
    grid: Grid
    strategy: Strategy
    mechanism: Mechanism
    sampler: Sampler
    clients_per_round: float
    rounds: int
    key: NoiseKey | None
    draws: AmplifyingDraws | None
    budget: RunBudget | None
    canaries: CanarySum | None = None
    stack: int = 1
    min_success: float = 0.5
    timeout_s: float = 3600.0
    on_uploads: OnUploads | None = None
    trusts_nodes: bool = False

    def __post_init__(self) -> None:
        central = self.mechanism.noise_at == "server"
        if central and (self.key is None or (self.key.kind == "secret" and self.budget is None)):
            raise PrivacyError("E410", "a private release needs a noise key and an open ledger")

    def train(
        self,
        params: np.ndarray,
        windows: Sequence[int],
        fold: int,
        after_round: Callable[[RoundOutcome], None],
        done: int = 0,
        bounds: Sequence[float] | None = None,
    ) -> np.ndarray:
        """Train the rounds that are left and return the final parameters (d,) float64.

        Args:
            params: Parameters (d,) to go on from.
            windows: Number of training windows of each client, from the public manifest.
            fold: Number of the evaluation fold.
            after_round: Called after every round.
            done: Rounds that are finished already.
            bounds: Clip norms after those rounds; ``None``: as calibrated.

        Raises:
            ClientsLostError: E701 too few clients answered three rounds in a row.
            PrivacyError: E401 the budget affords no further release; E411 the clients refuse.
        """
        hosts, lost = self._hosts(fold), 0
        mechanism = self._at(bounds)
        for server_round in range(done + 1, self.rounds + 1):
            started = time.perf_counter()
            release = fold * self.rounds + server_round
            chosen = self.sampler.draw(len(windows), fold, server_round, release, self.draws)
            cohort = Cohort(tuple(chosen), windows, self._assign(chosen, windows, hosts))
            used = mechanism_bounds(mechanism)
            about = RoundFacts(fold, server_round, release, used)
            ticket = ticket_of(self.run, about, params)
            add_up = self._nodes_add_up(len(chosen))
            messages = train_messages(params, cohort.asked, about, ticket, add_up)
            replies = self.grid.send_and_receive(messages, timeout=self.timeout_s)
            expected = _expected(mechanism, ticket)
            sums = cohort.asked if add_up else None
            updates = accept(replies, cohort.clients, expected, sums)
            if self.on_uploads is not None:
                self.on_uploads(about, params, updates)
            abandoned = len(updates.client_ids) < self.min_success * len(chosen)
            if abandoned:
                lost += 1
                self._give_up(updates, len(chosen), server_round, lost)
            else:
                lost = 0
                step, mechanism = self._combine(mechanism, updates, cohort, release, params)
                params = self.strategy.server_step(params, step)
            seconds = time.perf_counter() - started
            after_round(
                RoundOutcome(
                    fold,
                    server_round,
                    release,
                    params,
                    len(chosen),
                    updates,
                    abandoned,
                    used,
                    mechanism_bounds(mechanism),
                    seconds,
                )
            )
            fail_here("round.done")
        return params

    def _at(self, bounds: Sequence[float] | None) -> Mechanism:
        """Return the mechanism at ``bounds``: the same to the last bit, however it got there."""
        return self.mechanism if bounds is None else self.mechanism.at_bounds(bounds)

    def _give_up(self, updates: Updates, asked: int, server_round: int, lost: int) -> None:
        """Raise where refusals, or the third round in a row without a quorum, end the run."""
        if updates.refused:
            raise PrivacyError(
                "E411",
                f"{len(updates.refused)} of {asked} clients refuse round {server_round}: "
                f"{updates.refused[0]}",
                do="ask for less, or change policy.toml in the state folder of the clients",
            )
        if lost >= ROUNDS_LOST:
            raise ClientsLostError(
                "E701",
                f"only {len(updates.client_ids)} of {asked} clients answered round "
                f"{server_round}, the third in a row: {'; '.join(updates.rejected[:3])}",
                do="try fewer --workers, or --engine local --debug to see the cause",
            )

    def _combine(
        self,
        mechanism: Mechanism,
        updates: Updates,
        cohort: Cohort,
        release: int,
        params: np.ndarray,
    ) -> tuple[np.ndarray, Mechanism]:
        """Return the combined update (d,), and the mechanism of the next round."""
        blocks = mechanism.blocks
        if mechanism.noise_at == "nowhere":
            sizes = np.array([cohort.windows[i] for i in updates.client_ids], dtype=np.float64)
            if not len(sizes):
                return np.zeros(len(params)), mechanism
            if self.strategy.weighted_mean:
                mean = round_total(updates, cohort, mechanism) / sizes.sum()
            else:
                mean = self.strategy.aggregate(updates.rows, sizes / sizes.sum())
            return blocks.expand(mean), mechanism
        if mechanism.noise_at == "server":
            noisy = self._noised(mechanism, updates, cohort, release)
            total = noisy.total
            mechanism = self._at(mechanism_bounds(mechanism.after(noisy, self.clients_per_round)))
        else:  # every contribution is private already
            total = round_total(updates, cohort, mechanism)
        canaries = self.canaries.expected if self.canaries is not None else 0.0
        mean = total / (self.clients_per_round + canaries)  # (r,)
        if mechanism.spec.clip.target == "weights":
            mean = mean - params[blocks.released]
        return blocks.expand(mean), mechanism

    def _noised(
        self, mechanism: Mechanism, updates: Updates, cohort: Cohort, release: int
    ) -> ClippedSum:
        """Return the noised sum: charged before the noise is drawn."""
        assert self.key is not None  # seen to at the start
        assert isinstance(mechanism, NoisedSum)  # who else adds noise to a sum
        total = clipped_total(updates, cohort, mechanism)
        if self.canaries is not None:
            total = self.canaries.join(total, mechanism)
        secret = self.draws is not None and self.sampler.kind == "poisson"
        digest = mechanism.inputs_digest(total)
        if self.budget is not None:
            self.budget.charge(release, digest, None if secret else cohort.chosen)
        noisy = mechanism.add_noise(total, self.key, release)
        fail_here("noise.drawn")
        if self.budget is not None:
            self.budget.released(release, digest)
        return noisy

    def _nodes_add_up(self, clients: int) -> bool:
        """Return whether the nodes send sums: in large rounds, where nobody needs the rows."""
        if not self.trusts_nodes or self.on_uploads is not None or clients <= SHARES:
            return False
        return self.mechanism.noise_at != "nowhere" or self.strategy.weighted_mean

    def _assign(
        self, chosen: list[int], windows: Sequence[int], hosts: dict[int, list[int]]
    ) -> dict[int, list[Share]]:
        """Return node id to its shares; a client with layers of its own stays where it is."""
        if not len(self.mechanism.blocks.kept):
            return assign(chosen, windows, hosts, self.stack)
        homes, here = assign(range(len(windows)), windows, hosts, self.stack), set(chosen)
        found = {node: _only(here, shares) for node, shares in homes.items()}
        return {node: shares for node, shares in found.items() if shares}

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


def mechanism_bounds(mechanism: Mechanism) -> tuple[float, ...]:
    """Return the clip norm of every group of blocks; none without a clip."""
    return tuple(group.clip for group in mechanism.groups)


def _only(here: set[int], shares: Sequence[Share]) -> list[Share]:
    """Return ``shares`` with only the clients of ``here`` in them."""
    found = (
        tuple(part for stack in share if (part := tuple(i for i in stack if i in here)))
        for share in shares
    )
    return [share for share in found if share]


def _expected(mechanism: Mechanism, ticket: str) -> Expected:
    longest = longest_contribution(mechanism) if isinstance(mechanism, NoisedSum) else math.inf
    return Expected(
        ticket,
        mechanism.blocks.digest,
        len(mechanism.blocks.released),
        longest,
        counts_clip=mechanism.spec.clip.adaptive is not None,
        tells_loss=mechanism.noise_at in ("nowhere", "server"),
    )
