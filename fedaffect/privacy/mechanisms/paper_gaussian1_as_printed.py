"""The paper's first Gaussian, as it is printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.mechanisms.paper import PaperMode


@dataclass(frozen=True)
class PaperGaussian1AsPrinted(PaperMode):
    """Eq. 12 to the letter: eps stands under the root, and no sensitivity stands anywhere.

    Why the claim fails: noise that does not grow with C keeps no promise for every C. At C = 1
    and delta = 1e-5 it is large enough for one round at eps of 5 and above, not at 1, and a model
    does not survive it.
    """

    formula: ClassVar[str] = "sd = sqrt(2 ln(1.25 / delta) / eps)"
    source: ClassVar[str] = "Eq. 12 as printed"

    def _level(self, plan: ReleasePlan) -> float:
        return math.sqrt(2 * math.log(1.25 / self._delta) / self._eps)
