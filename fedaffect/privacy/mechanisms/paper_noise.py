"""Plain Gaussian noise of a given size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.mechanisms.paper import PaperMode


@dataclass(frozen=True)
class PaperNoise(PaperMode):
    """N(0, sigma^2) on every noised coordinate, with no budget in mind (the paper: .1, .3, .6).

    Nothing is claimed for it; what it is worth under the clip is accounted all the same.
    """

    claims: ClassVar[bool] = False
    formula: ClassVar[str] = "sd = sigma, as given"
    source: ClassVar[str] = "Eq. 4"

    def _level(self, plan: ReleasePlan) -> float:
        return self._positive(self.spec.sigma, "--sigma")
