"""The paper's Laplace noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.privacy.base import Noise, NoiseStream, ReleasePlan
from fedaffect.privacy.mechanisms.paper import PaperMode


@dataclass(frozen=True)
class PaperLaplace(PaperMode):
    """Laplace noise for one round on a vector that was clipped in L2.

    Why the claim fails: Laplace noise needs the sensitivity in L1, which an L2 clip leaves at up
    to 2C sqrt(d), and the paper counts 2C / |D_i|; and every round costs anew.
    """

    noise: ClassVar[Noise] = "laplace"
    formula: ClassVar[str] = "b = Df / eps, Df = 2C / |D_i|"
    source: ClassVar[str] = "Eq. 11"

    def _level(self, plan: ReleasePlan) -> float:
        return self._claimed_sensitivity / self._eps

    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        return stream.laplace(size)
