"""No differential privacy."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np

from fedaffect.params import Layout
from fedaffect.privacy.base import ClippedSum, NoiseKey, PrivacySpec, ReleasePlan
from fedaffect.privacy.clipping import finite


@dataclass(frozen=True)
class NoMechanism:
    """Neither clip nor noise: every update moves the sum as far as it likes, nothing is promised.

    Args:
        spec: What was asked.
        layout: The model's parameters; set by ``calibrate``.
    """

    spec: PrivacySpec
    layout: Layout | None = None

    method: ClassVar[Literal["tight"]] = "tight"
    norm: ClassVar[Literal["none"]] = "none"
    sensitivity: ClassVar[float] = math.inf
    scale: ClassVar[float] = 0.0
    noise_sd: ClassVar[float] = 0.0
    noised_blocks: ClassVar[tuple[str, ...]] = ()

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy that knows the layout."""
        return replace(self, layout=layout)

    @property
    def noised(self) -> np.ndarray:
        """Mask of the noised coordinates, (d,) bool: none is."""
        if self.layout is None:
            raise ValueError("calibrate the mechanism first: its layout is not known yet")
        return np.zeros(self.layout.size, dtype=bool)

    def on_client(self, update: np.ndarray) -> np.ndarray:
        """Return a float64 copy of ``update`` (d,).

        Raises:
            ValueError: the update is not finite.
        """
        return finite(update)

    def on_server(self, total: ClippedSum, key: NoiseKey | None, release: int) -> ClippedSum:
        """Return the sum as it is."""
        return total

    def event(self, plan: ReleasePlan) -> None:
        """Return ``None``: there is nothing to account."""
        return None

    def eps_spent(self, plan: ReleasePlan, releases: int) -> None:
        """Return ``None``: there is no finite eps."""
        return None
