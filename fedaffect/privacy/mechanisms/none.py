"""No differential privacy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NoReturn, Self

import numpy as np

from fedaffect.params import Layout
from fedaffect.privacy.base import ClippedSum, Event, Method, NoiseKey, ReleasePlan
from fedaffect.privacy.blocks import BlockPlan, block_plan
from fedaffect.privacy.clipping import finite
from fedaffect.privacy.groups import NoiseGroup
from fedaffect.privacy.spec import PrivacySpec


@dataclass(frozen=True)
class NoMechanism:
    """Neither clip nor noise: every update moves the sum as far as it likes, nothing is promised.

    Args:
        spec: What was asked; blocks may still be frozen or kept on the clients.
        plan_of_blocks: What happens to every block; set by ``calibrate``.
    """

    spec: PrivacySpec
    plan_of_blocks: BlockPlan | None = None

    method: ClassVar[Method] = "tight"
    groups: ClassVar[tuple[NoiseGroup, ...]] = ()
    scale: ClassVar[float] = 0.0
    noise_at: ClassVar[Literal["nowhere"]] = "nowhere"
    claims: ClassVar[bool] = False

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy that knows the blocks.

        Raises:
            UsageError: E225 a block is not known.
        """
        return replace(self, plan_of_blocks=block_plan(self.spec, layout, noise=False))

    @property
    def blocks(self) -> BlockPlan:
        """What happens to every block of the model.

        Raises:
            ValueError: the mechanism is not calibrated.
        """
        if self.plan_of_blocks is None:
            raise ValueError("calibrate the mechanism first: its blocks are not known yet")
        return self.plan_of_blocks

    def on_client(self, update: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the released coordinates of ``update``, (r,) float64.

        Raises:
            ValueError: the update is not finite.
        """
        released: np.ndarray = finite(update)[self.blocks.released]
        return released

    def within(self, update: np.ndarray, start: np.ndarray) -> None:
        """Return ``None``: there is no clip."""
        return None

    def add_noise(self, total: ClippedSum, key: NoiseKey, release: int) -> NoReturn:
        """Refuse: there is no noise."""
        raise TypeError("there is no noise to add without a mechanism")

    def inputs_digest(self, total: ClippedSum) -> NoReturn:
        """Refuse: nothing is charged."""
        raise TypeError("nothing is charged without a mechanism")

    def after(self, noisy: ClippedSum, planned: float) -> Self:
        """Return this mechanism."""
        return self

    def at_bounds(self, bounds: Sequence[float]) -> Self:
        """Return this mechanism."""
        return self

    def events(self, plan: ReleasePlan) -> tuple[Event, ...]:
        """Return nothing: there is nothing to account."""
        return ()
