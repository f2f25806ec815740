"""The paper's second Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.mechanisms.paper import PaperMode


@dataclass(frozen=True)
class PaperGaussian2(PaperMode):
    """Noise for the q T rounds that a client is expected to take part in (Wei et al. 2021).

    Why the claim fails: the sensitivity is 2C and not 2C / |D_i|; and about half of the clients
    take part in more than q T of the T rounds. With q under the root nothing is amplified (Abadi
    et al. 2016 have q sqrt(T)).
    """

    formula: ClassVar[str] = "sd = Df sqrt(2 q T ln(1 / delta)) / eps, Df = 2C / |D_i|, q = K / N"
    source: ClassVar[str] = "Eq. 13 (Wei et al. 2021)"

    def _level(self, plan: ReleasePlan) -> float:
        expected = plan.sampling_rate * plan.releases
        root = math.sqrt(2 * expected * math.log(1 / self._delta))
        return self._claimed_sensitivity * root / self._eps
