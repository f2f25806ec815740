"""Analytic Gaussian noise, accounted tightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedaffect.privacy.base import Noise, NoiseStream
from fedaffect.privacy.mechanisms.noised import NoisedSum


@dataclass(frozen=True)
class Gaussian(NoisedSum):
    """N(0, (z S)^2) on every noised coordinate of a sum that one client moves by at most S in L2.

    Why it holds: with one client's contribution replaced by zero the sum moves by at most its
    clip norm C in L2 (S = C; replaced by another: S = 2C), so a release is a Gaussian mechanism of
    multiplier z; T adaptive releases are one of multiplier z / sqrt(T) (Dong, Roth & Su 2019), and
    (eps, delta) follows exactly from Balle & Wang 2018. With Poisson sampling the releases
    compose by their privacy loss distribution.
    """

    noise: ClassVar[Noise] = "gaussian"
    own_norm: ClassVar[Literal["l1", "l2"]] = "l2"

    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        return stream.gaussian(size)
