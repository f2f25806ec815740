"""Canary clients: simulated clients with random updates, by which a finished run can be audited.

Paper: G. Andrew, P. Kairouz, S. Oh, A. Oprea, H. B. McMahan, V. Suriyakumar, "One-shot Empirical
Privacy Estimation for Federated Learning", ICLR 2024 (arXiv 2302.03098).

Each canary is in every round or in none, by a fair coin. Its contribution points in a random
direction of its own and is as long as the clip lets it be. Coins and directions come from the
published seed and from nobody's data, so what the canaries add to a sum is a constant that anyone
can compute. A constant added before the noise is a constant added after it: the promise to the
real clients is the same with canaries as without. What canaries cost is utility.

Departures from the paper: only included canaries are looked at against the exact null there; here
those left out are scored too, as the one-run audit needs both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fedaffect.errors import UsageError
from fedaffect.privacy.attacks.evidence import Canaries
from fedaffect.privacy.base import ClippedSum, Mechanism, Norm, ReleasePlan
from fedaffect.privacy.clipping import vector_norm
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.rng import generator


def canaries_of(seed: int, count: int, mechanism: Mechanism, rounds: int) -> Canaries | None:
    """Return the canary clients of a run; ``None`` where it has none.

    Args:
        seed: The run's training seed.
        count: Number m of canaries (``audit.canaries``).
        mechanism: The run's calibrated mechanism: its blocks, clip norms and norm.
        rounds: Rounds that a canary takes part in.
    """
    if count == 0:
        return None
    assert isinstance(mechanism, NoisedSum)  # refuse_canaries has seen to it
    coins = generator(seed, "canary", "coins").random(count) < 0.5

    def direction(number: int) -> np.ndarray:
        longest = _contribution(seed, number, mechanism)
        return longest / vector_norm(longest, "l2")

    return Canaries(count, coins, direction, rounds)


def refuse_canaries(count: int, mechanism: Mechanism, plan: ReleasePlan) -> None:
    """Refuse canaries where they would audit nothing, or something else than the run's promise.

    Raises:
        UsageError: E238 the server adds no noise to clipped updates, or clients are drawn so that
            a canary in every round is none of them.
    """
    if count == 0:
        return
    if mechanism.noise_at != "server":
        where = {
            "nowhere": "without a mechanism there is no epsilon to audit",
            "client": "a simulated client at the server would have no noise of its own",
            "steps": "under --unit window the unit is a window, and a canary is a client",
        }[mechanism.noise_at]
        raise UsageError(
            "E238",
            f"audit.canaries needs noise at the server: {where}",
            do="--dp gaussian --dp-where server, or drop audit.canaries",
        )
    if mechanism.spec.clip.target == "weights":
        raise UsageError(
            "E238",
            "audit.canaries adds to updates; clipped weights forget every round but the last",
            do="dp.clip_target update, or drop audit.canaries",
        )
    if plan.sampler == "poisson" or plan.participation_cap is not None:
        how = "--sampler bernoulli" if plan.sampler == "poisson" else "dp.participation_cap"
        raise UsageError(
            "E238",
            f"a canary takes part in every round, which {how} grants to no client: it would audit "
            "more than is promised",
            do="--sampler fixed without a cap, or drop audit.canaries",
        )


@dataclass(frozen=True)
class CanarySum:
    """What the canaries that take part add to the clipped sum of every round.

    Args:
        canaries: The canaries.
        mechanism: The run's calibrated mechanism.
    """

    canaries: Canaries
    mechanism: NoisedSum

    @property
    def expected(self) -> float:
        """Expected number m / 2 of canaries in a round: their share of the public denominator."""
        return self.canaries.count / 2

    def join(self, total: ClippedSum, mechanism: NoisedSum) -> ClippedSum:
        """Return ``total`` with the canaries' contributions, each at the clip norms of the round.

        They are clipped contributions like any other, summed in advance. They are not asked
        whether they lie within an adaptive clip: clip norms follow the real clients.

        Args:
            total: Sum of the real clients' clipped contributions.
            mechanism: The mechanism of the round; its clip norms may have moved.
        """
        joined = total.total.copy()
        for group, moved in zip(self.mechanism.groups, mechanism.groups, strict=True):
            for block in group.blocks:
                at = self.mechanism.blocks.place(block)
                joined[at] += self._sum[at] * (moved.clip / group.clip)
        return ClippedSum(joined, total.count, total.bounds, total.norm, total.within)

    @cached_property
    def _sum(self) -> np.ndarray:
        """Sum of the included contributions at the calibrated clip norms, (r,)."""
        total = np.zeros(len(self.mechanism.blocks.released))
        for number in np.flatnonzero(self.canaries.included).tolist():
            total += longest_along(self.canaries.direction(number), self.mechanism)
        return total


def longest_along(direction: np.ndarray, mechanism: NoisedSum) -> np.ndarray:
    """Return the longest contribution (r,) along ``direction`` (r,) in every group of blocks.

    The mechanism's own clip leaves it as it is.
    """
    longest = np.zeros_like(direction)
    for group in mechanism.groups:
        at = np.concatenate([mechanism.blocks.place(block) for block in group.blocks])
        longest[at] = direction[at] * (group.clip / vector_norm(direction[at], mechanism.norm))
    return mechanism.clipped(longest)


def _contribution(seed: int, number: int, mechanism: NoisedSum) -> np.ndarray:
    """Return the contribution of one canary at the calibrated clip norms, (r,).

    Coordinates without noise stay 0: nothing bounds what leaves there.
    """
    shape = np.zeros(len(mechanism.blocks.released))
    draws = generator(seed, "canary", number)
    for group in mechanism.groups:
        at = np.concatenate([mechanism.blocks.place(block) for block in group.blocks])
        shape[at] = _shape(draws, len(at), mechanism.norm)
    return longest_along(shape, mechanism)


def _shape(draws: np.random.Generator, size: int, norm: Norm) -> np.ndarray:
    """Return a random direction that is as hard to hide as any of its norm, (size,).

    In L2 all directions are alike; an L1 ball is farthest from 0 along an axis, where noise is
    weakest against it; a cube at a corner.
    """
    if norm == "l2":
        return draws.standard_normal(size)
    if norm == "linf":
        return draws.choice([-1.0, 1.0], size)
    axis = np.zeros(size)
    axis[draws.integers(size)] = draws.choice([-1.0, 1.0])
    return axis
