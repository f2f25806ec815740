"""Client-level noise added by a trusted server to the sum of clipped updates.

Unit: one client. Adjacency: zero_out. What every such mechanism shares is here; a mechanism adds
its norm, its noise and its way to account.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np

from fedaffect.errors import PrivacyError
from fedaffect.params import Layout
from fedaffect.privacy.accountants import Method, accountant
from fedaffect.privacy.base import (
    ClippedSum,
    Event,
    Noise,
    NoiseKey,
    NoiseStream,
    PrivacySpec,
    ReleasePlan,
)
from fedaffect.privacy.blocks import mask_of, noised_blocks
from fedaffect.privacy.budget import budget_of
from fedaffect.privacy.clipping import clip, finite
from fedaffect.privacy.promise import Promise


@dataclass(frozen=True)
class CentralNoise(ABC):
    """Noise with one standard deviation on all noised blocks, which are clipped together.

    Args:
        spec: What was asked.
        layout: The model's parameters; set by ``calibrate``.
        scale: Noise parameter / clip norm; set by ``calibrate``.
    """

    spec: PrivacySpec
    layout: Layout | None = None
    scale: float = 0.0

    noise: ClassVar[Noise]
    norm: ClassVar[Literal["l1", "l2"]]
    method: ClassVar[Method] = "tight"

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy whose noise keeps the total budget over all releases of ``plan``.

        Raises:
            UsageError: E222 the budget cannot be met; E224 delta is not below 1 / N; E225 a
                block is not known; E226 no budget was given.
        """
        noised_blocks(self.spec.noise_layers, layout)
        budget, rate = budget_of(self.spec, plan), plan.amplifying_rate
        counting = accountant(self.method, self.noise, rate)
        scale = counting.scale(self.noise, budget.eps, budget.delta, rate, plan.releases)
        spec = replace(self.spec, delta=budget.delta)
        return replace(self, spec=spec, layout=layout, scale=scale)

    @property
    def sensitivity(self) -> float:
        """The clip norm C: what one client adds to the noised blocks of a sum, at most."""
        return self.spec.clip

    @property
    @abstractmethod
    def noise_sd(self) -> float:
        """Standard deviation of the noise per noised coordinate of the sum."""

    @cached_property
    def noised_blocks(self) -> tuple[str, ...]:
        """Names of the noised blocks, in the order of the layout."""
        return noised_blocks(self.spec.noise_layers, self._calibrated)

    @cached_property
    def noised(self) -> np.ndarray:
        """Mask of the noised coordinates, (d,) bool."""
        return mask_of(self.noised_blocks, self._calibrated)

    def on_client(self, update: np.ndarray) -> np.ndarray:
        """Return ``update`` (d,) in float64, its noised blocks together clipped to C.

        Raises:
            ValueError: the update is not finite, in any block.
            PrivacyError: E405 rounding left it longer than C (1 + 1e-6).
        """
        update = finite(update)
        update[self.noised] = clip(update[self.noised], self.sensitivity, self.norm)
        return update

    def on_server(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Return the sum with noise on the noised blocks.

        The noise depends on the key, the release, the block and the exact inputs, so that equal
        inputs repeat one release, and no two different sums share their noise.

        Raises:
            PrivacyError: E406 the sum was clipped otherwise than the noise was sized for.
        """
        if (total.sensitivity, total.norm) != (self.sensitivity, self.norm):
            raise PrivacyError(
                "E406",
                f"a sum of {total.norm} sensitivity {total.sensitivity:g} met noise sized for "
                f"{self.norm} sensitivity {self.sensitivity:g}",
            )
        inputs = self.inputs_digest(total)
        noisy = total.total.copy()  # (d,)
        for block in self.noised_blocks:
            at = self._calibrated.indices(block)
            stream = key.stream(release=release, block=block, inputs=inputs)
            noisy[at] += self.scale * self.sensitivity * self._draw(stream, len(at))
        return replace(total, total=noisy)

    def inputs_digest(self, total: ClippedSum) -> bytes:
        """Return SHA-256 of the sum and of all that shapes its noise. Never store it bare."""
        shape = f"{self.noise}|{self.scale!r}|{total.sensitivity!r}|{total.norm}|{total.count}"
        digest = hashlib.sha256(f"{shape}|{self._calibrated.digest}|".encode())
        digest.update(np.ascontiguousarray(total.total, dtype="<f8").tobytes())
        return digest.digest()

    def event(self, plan: ReleasePlan) -> Event:
        """Return what an accountant reads."""
        return Event(self.noise, self.scale, plan.amplifying_rate, plan.releases)

    def eps_spent(self, plan: ReleasePlan, releases: int) -> float | None:
        """Return the eps of the first ``releases`` releases at the run's delta.

        ``None`` where there is no finite eps, because a block is in the clear.
        """
        if not self.noised.all() or self.spec.delta is None:
            return None
        if releases == 0:
            return 0.0
        event = replace(self.event(plan), releases=releases)
        return Promise(event, self.spec.delta, self.method).eps

    @abstractmethod
    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        """Return unit noise, (size,)."""

    @property
    def _calibrated(self) -> Layout:
        if self.layout is None:
            raise ValueError("calibrate the mechanism first: its noise is not known yet")
        return self.layout
