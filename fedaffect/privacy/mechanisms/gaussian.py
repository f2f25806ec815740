"""Analytic Gaussian noise, accounted tightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedaffect.privacy.base import Noise, NoiseStream
from fedaffect.privacy.mechanisms.central import CentralNoise


@dataclass(frozen=True)
class Gaussian(CentralNoise):
    """N(0, (z C)^2) on every noised coordinate of a sum of updates with L2 norm at most C.

    Why it holds: with one client's update replaced by zero the sum moves by at most C in L2, so
    a release is a Gaussian mechanism of multiplier z; T adaptive releases are one of multiplier
    z / sqrt(T) (Dong, Roth & Su 2019), and (eps, delta) follows exactly from Balle & Wang 2018.
    With Poisson sampling the releases compose by their privacy loss distribution.
    """

    noise: ClassVar[Noise] = "gaussian"
    norm: ClassVar[Literal["l1", "l2"]] = "l2"

    @property
    def noise_sd(self) -> float:
        """Standard deviation z C of the noise per noised coordinate of the sum."""
        return self.scale * self.sensitivity

    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        return stream.gaussian(size)
