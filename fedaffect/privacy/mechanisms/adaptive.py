"""Gaussian noise under a clip norm that follows a quantile of the clients' norms.

Paper: G. Andrew, O. Thakkar, H. B. McMahan, S. Ramaswamy, "Differentially Private Learning with
Adaptive Clipping", NeurIPS 2021: C <- C exp(-eta (b - gamma)), where b is the noised share of
clients whose norm is AT MOST C. With the share of clipped clients instead, C would run away.

Departures from the paper: b is divided by the planned number of clients, as every sum here; the
noise on the count is at least twice the noise multiplier, so that it costs at most 3.3 % of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.privacy.base import ClippedSum, NoiseKey, ReleasePlan
from fedaffect.privacy.groups import NoiseGroup, allocate, joint_scale
from fedaffect.privacy.mechanisms.gaussian import Gaussian
from fedaffect.privacy.spec import AdaptiveClip

COUNT = "clip count"  # stands for a block in the derivation of its noise


@dataclass(frozen=True)
class AdaptiveGaussian(Gaussian):
    """``Gaussian`` noise on the sum, and on the count of clients within the clip.

    Why it holds: each client adds b_i - 1/2 to the count, so one client moves it by 1/2 (replaced
    by another: 1). Sum and count together are one Gaussian release of multiplier z with
    z^-2 = z_sum^-2 + z_count^-2, z_count = 2 sigma_b (zero-out); the next C is computed from the
    noised count alone.

    Args:
        count_noise: Standard deviation sigma_b of the noise on the count; set by ``calibrate``.
    """

    count_noise: float = 0.0

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy whose noise keeps the total budget, the count's share included.

        Raises:
            UsageError: as ``Gaussian.calibrate``; E235 the noise on the count is too small.
        """
        sized = super().calibrate(plan, layout)
        z = sized._total_scale(plan)
        given = sized._rule.count_noise
        count_noise = given if given is not None else max(plan.clients_per_round / 20, 2 * z)
        z_count = 2 * count_noise / self.spec.reach
        if z_count <= z:
            raise UsageError(
                "E235",
                f"dp.clip_count_noise {count_noise:g} is too small: with it alone the noise "
                f"multiplier is {z_count:.4g}, the budget needs {z:.4g} for sum and count together",
                do=f"give more than {z * self.spec.reach / 2:.3g}, or leave it out",
            )
        z_sum = sum_scale(z, z_count)
        groups = allocate(sized.groups, z_sum, sized.spec, sized.blocks, self.noise)
        return replace(sized, groups=groups, count_noise=count_noise)

    def _sized(self, groups: tuple[NoiseGroup, ...], plan: ReleasePlan) -> tuple[NoiseGroup, ...]:
        return groups

    @property
    def _rule(self) -> AdaptiveClip:
        rule = self.spec.clip.adaptive
        assert rule is not None  # chosen for it
        return rule

    @cached_property
    def scale(self) -> float:
        """Noise / sensitivity of sum and count jointly."""
        z_sum = joint_scale(self.groups, self.noise)
        return 1 / math.hypot(1 / z_sum, self.spec.reach / (2 * self.count_noise)) if z_sum else 0.0

    def within(self, update: np.ndarray, start: np.ndarray) -> bool:
        """Return whether the contribution needs no clip."""
        values = self._target(update, start)
        return all(n <= g.clip for n, g in zip(self._longest(values), self.groups, strict=True))

    def add_noise(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Return the sum with noise, and with the noised sum of b_i - 1/2 as ``within``.

        Raises:
            PrivacyError: E406 the sum was clipped otherwise than the noise was sized for.
            ValueError: nobody counted the clients within the clip.
        """
        if total.within is None:
            raise ValueError("the clients within the clip were not counted")
        noisy = super().add_noise(total, key, release)
        stream = key.stream(release=release, block=COUNT, inputs=self.inputs_digest(total))
        drawn = self.count_noise * float(stream.gaussian(1)[0])
        return replace(noisy, within=total.within - total.count / 2 + drawn)

    def after(self, noisy: ClippedSum, planned: float) -> Self:
        """Return the mechanism with the clip norm of the next round."""
        assert noisy.within is not None  # add_noise has seen to it
        share = noisy.within / planned + 0.5
        factor = math.exp(-self._rule.rate * (share - self._rule.quantile))
        return self.at_bounds([bound * factor for bound in self.bounds])


def sum_scale(z: float, z_count: float) -> float:
    """Return the multiplier that the sum needs, so that sum and count together have ``z``."""
    return 1 / math.sqrt(z**-2 - z_count**-2)
