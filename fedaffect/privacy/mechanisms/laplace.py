"""Laplace noise on updates clipped in L1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedaffect.privacy.base import Noise, NoiseStream
from fedaffect.privacy.mechanisms.noised import NoisedSum


@dataclass(frozen=True)
class Laplace(NoisedSum):
    """Laplace(b) on every noised coordinate of a sum that one client moves by at most C in L1.

    Why it holds: replacing one client's update by zero moves the coordinates by s_i with
    sum |s_i| <= C, so a release is (C / b)-DP. It is moreover no easier to tell apart than one
    coordinate moved by C: move one coordinate after the other, join the steps by the triangle
    inequality of trade-off curves (Dong, Roth & Su 2019), and note that for a log-concave noise
    the joined steps are the curve of one move by sum |s_i|. T releases therefore cost at most T
    times Laplace noise at distance C / b: the smaller of T C / b and its privacy loss
    distribution at delta. An L2 clip would leave an L1 norm of up to C sqrt(d): no such promise.
    """

    noise: ClassVar[Noise] = "laplace"
    own_norm: ClassVar[Literal["l1", "l2"]] = "l1"

    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        return stream.laplace(size)
