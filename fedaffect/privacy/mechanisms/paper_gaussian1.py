"""The paper's first Gaussian, as it is meant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.mechanisms.paper import PaperMode


@dataclass(frozen=True)
class PaperGaussian1(PaperMode):
    """The classic Gaussian mechanism (Dwork & Roth 2014, Theorem A.1), for one round.

    Why the claim fails: the sensitivity is 2C and not 2C / |D_i|; the theorem needs eps < 1 (at
    delta = 1e-5 its noise is too small above eps = 8.42); and every round costs anew.
    """

    formula: ClassVar[str] = "sd = Df sqrt(2 ln(1.25 / delta)) / eps, Df = 2C / |D_i|"
    source: ClassVar[str] = "Eq. 12 as meant (Dwork & Roth 2014)"

    def _level(self, plan: ReleasePlan) -> float:
        return self._claimed_sensitivity * math.sqrt(2 * math.log(1.25 / self._delta)) / self._eps
