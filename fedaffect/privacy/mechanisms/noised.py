"""Noise on a sum of clipped contributions: what every mechanism of unit ``client`` shares.

A mechanism adds its norm, its noise and its way to size it. The same code serves both places: the
server noises the sum of a round, a client noises the "sum" of its own contribution.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np

from fedaffect.errors import PrivacyError
from fedaffect.params import Layout
from fedaffect.privacy.accountants import accountant
from fedaffect.privacy.base import (
    ClippedSum,
    Event,
    Method,
    Noise,
    NoiseKey,
    NoiseStream,
    ReleasePlan,
)
from fedaffect.privacy.blocks import BlockPlan, block_plan
from fedaffect.privacy.budget import budget_of
from fedaffect.privacy.clipping import finite, shorten, to_grid, vector_norm
from fedaffect.privacy.groups import NoiseGroup, allocate, groups_of, joint_scale
from fedaffect.privacy.spec import PrivacySpec

Place = slice | np.ndarray


@dataclass(frozen=True)
class NoisedSum(ABC):
    """Clip, then noise, sized for a total budget over all releases.

    Args:
        spec: What was asked.
        method: How it is accounted.
        plan_of_blocks: What happens to every block; set by ``calibrate``.
        groups: The blocks that are clipped together, with their noise; set by ``calibrate``.
        summands: Contributions of a sum at most; set by ``calibrate``.
    """

    spec: PrivacySpec
    method: Method = "tight"
    plan_of_blocks: BlockPlan | None = None
    groups: tuple[NoiseGroup, ...] = ()
    summands: int = 1

    noise: ClassVar[Noise]
    own_norm: ClassVar[Literal["l1", "l2"]]
    claims: ClassVar[bool] = True

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy whose noise keeps the total budget over all releases of ``plan``.

        Raises:
            UsageError: E222 the budget cannot be met; E224 delta is not below 1 / N; E225 a
                block is not known; E226 no budget was given; E234 a block lacks its clip or
                noise.
        """
        blocks = block_plan(self.spec, layout, noise=True)
        spec = replace(self.spec, delta=budget_of(self.spec, plan).delta)
        known = replace(self, spec=spec, plan_of_blocks=blocks, summands=plan.n_units)
        groups = groups_of(spec, blocks, self.norm, self.noise)
        return replace(known, groups=known._sized(groups, plan))

    def _sized(self, groups: tuple[NoiseGroup, ...], plan: ReleasePlan) -> tuple[NoiseGroup, ...]:
        """Return ``groups`` with the noise that the budget asks for."""
        return allocate(groups, self._total_scale(plan), self.spec, self.blocks, self.noise)

    def _total_scale(self, plan: ReleasePlan) -> float:
        """Return the noise / sensitivity that keeps the total budget, or the one that was given."""
        if self.spec.z is not None:
            return self.spec.z
        eps, delta = self.spec.eps, self.spec.delta
        assert eps is not None and delta is not None  # budget_of has seen to it
        return max(accountant(self.method, e).scale(e, eps, delta) for e in self._lives(plan, 1.0))

    @property
    def blocks(self) -> BlockPlan:
        """What happens to every block of the model.

        Raises:
            ValueError: the mechanism is not calibrated.
        """
        if self.plan_of_blocks is None:
            raise ValueError("calibrate the mechanism first: its noise is not known yet")
        return self.plan_of_blocks

    @property
    def norm(self) -> Literal["l1", "l2", "linf"]:
        """Norm of the clip."""
        return self.spec.clip.norm or self.own_norm

    @property
    def bounds(self) -> tuple[float, ...]:
        """Clip norm of every group."""
        return tuple(g.clip for g in self.groups)

    @cached_property
    def scale(self) -> float:
        """Noise / sensitivity of all groups jointly: what the accountant reads."""
        return joint_scale(self.groups, self.noise)

    @property
    def noise_at(self) -> Literal["nowhere", "server", "client", "steps"]:
        """Where noise is drawn: on the sum, or on every contribution."""
        return self.spec.where

    def on_client(self, update: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the clipped contribution of a client, (r,) float64.

        Raises:
            ValueError: the update is not finite, in any block.
            PrivacyError: E405 rounding left it longer than C (1 + 1e-6).
        """
        return self._shortened(self._target(update, start))

    def clipped(self, values: np.ndarray) -> np.ndarray:
        """Return ``values`` (r,) in float64 with every group clipped, on the grid of its bound.

        Raises:
            ValueError: a value is not finite.
        """
        return self._shortened(finite(values))

    def _shortened(self, values: np.ndarray) -> np.ndarray:
        """Clip every group of finite ``values`` (r,) and round to its grid, in place."""
        for group, at in zip(self.groups, self._places, strict=True):
            part = values[at]  # a view of a slice, a copy of anything else
            shorten(part, group.clip, self.norm)
            to_grid(part, group.clip, self.summands)
            values[at] = part
        return values

    def within(self, update: np.ndarray, start: np.ndarray) -> bool | None:
        """Return ``None``: the clip is fixed."""
        return None

    def add_noise(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Return the sum with noise on the noised blocks.

        The noise depends on the key, the release, the block and the exact inputs, so that equal
        inputs repeat one release, and no two different sums share their noise.

        Raises:
            PrivacyError: E406 the sum was clipped otherwise than the noise was sized for.
        """
        if (total.bounds, total.norm) != (self.bounds, self.norm):
            raise PrivacyError(
                "E406",
                f"a sum of {total.norm} bounds {total.bounds} met noise sized for {self.norm} "
                f"bounds {self.bounds}",
            )
        inputs = self.inputs_digest(total)
        noisy = total.total.copy()  # (r,)
        for group in self.groups:
            for block in group.blocks:
                stream = key.stream(release=release, block=block, inputs=inputs)
                drawn = self._draw(stream, self.blocks.layout.block_sizes[block])
                noisy[self._place_of[block]] += group.noise * drawn
        return replace(total, total=noisy)

    def inputs_digest(self, total: ClippedSum) -> bytes:
        """Return BLAKE2b-256 of the sum and of all that shapes its noise. Never store it bare."""
        sizes = [g.noise for g in self.groups]
        noise = f"{self.noise}|{self.scale!r}|{sizes!r}"
        clip = f"{total.bounds!r}|{total.norm}|{total.count}|{total.within}"
        shape = f"{noise}|{clip}|{self.blocks.digest}|".encode()
        digest = hashlib.blake2b(shape, digest_size=32)
        digest.update(np.ascontiguousarray(total.total, dtype="<f8").data)
        return digest.digest()

    def after(self, noisy: ClippedSum, planned: float) -> Self:
        """Return this mechanism: nothing in it depends on what was released."""
        return self

    def at_bounds(self, bounds: Sequence[float]) -> Self:
        """Return a copy with these clip norms, one a group, and noise in proportion.

        Raises:
            ValueError: not one finite bound above 0 a group.
        """
        if tuple(bounds) == self.bounds:
            return self
        if len(bounds) != len(self.groups) or not all(0 < b < np.inf for b in bounds):
            raise ValueError(f"clip norms {bounds} do not fit {len(self.groups)} group(s)")
        moved = (
            replace(
                g,
                clip=float(b),
                sensitivity=g.sensitivity * (b / g.clip),
                noise=g.noise * (b / g.clip),
            )
            for g, b in zip(self.groups, bounds, strict=True)
        )
        return replace(self, groups=tuple(moved))

    def events(self, plan: ReleasePlan) -> tuple[Event, ...]:
        """Return what one client lives through: the only kind of event here."""
        return self._lives(plan, self.scale)

    def _lives(self, plan: ReleasePlan, scale: float) -> tuple[Event, ...]:
        rate = plan.amplifying_rate if self.noise_at == "server" else 1.0
        return (Event(self.noise, scale, rate, plan.participations, adjacency=self.spec.adjacency),)

    def _target(self, update: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the released coordinates of the update, or of the weights, (r,)."""
        whole = finite(update)
        values = finite(whole + start) if self.spec.clip.target == "weights" else whole
        released: np.ndarray = values[self._released]
        return released

    def _longest(self, values: np.ndarray) -> list[float]:
        """Return the norm of every group of ``values`` (r,)."""
        return [vector_norm(values[at], self.norm) for at in self._places]

    @cached_property
    def _released(self) -> Place:
        """Where the released coordinates lie within the parameters."""
        return _as_slice(self.blocks.released)

    @cached_property
    def _places(self) -> list[Place]:
        """Where every group lies within the released coordinates."""
        return [
            _as_slice(np.sort(np.concatenate([self.blocks.place(b) for b in group.blocks])))
            for group in self.groups
        ]

    @cached_property
    def _place_of(self) -> dict[str, Place]:
        """Where every noised block lies within the released coordinates."""
        return {b: _as_slice(self.blocks.place(b)) for group in self.groups for b in group.blocks}

    @abstractmethod
    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        """Return noise of standard deviation 1 (Gaussian) or scale 1 (Laplace), (size,)."""


def _as_slice(places: np.ndarray) -> Place:
    """Return ascending ``places`` as a slice where there is no gap: it needs no copy."""
    gapless = len(places) and places[-1] - places[0] + 1 == len(places)
    return slice(int(places[0]), int(places[-1]) + 1) if gapless else places
