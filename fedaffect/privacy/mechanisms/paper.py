"""The paper's own noise, and what it is worth.

Paper: M. Benouis, Y. S. Can, E. André, "A Privacy-Preserving Multi-Task Learning Framework For
Emotion and Identity Recognition from Multimodal Physiological Signals", section IV C.

The paper sizes its noise for one round, from Df = 2C / |D_i|: how far one record moves an average
of clipped per-record terms. Algorithm 1 clips the whole vector once, so that one record, as one
client, moves it by up to 2C. Noise is sized here as in the paper, and accounted by 2C.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from fedaffect.errors import UsageError
from fedaffect.privacy.base import Noise, NoiseStream, ReleasePlan
from fedaffect.privacy.groups import NoiseGroup
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.promise import Promise, protects


@dataclass(frozen=True)
class PaperClaim:
    """What the paper claims for its noise, beside what the noise is worth.

    Args:
        eps_per_round: Claimed eps of one round; ``None`` for noise that claims nothing.
        delta: Delta of every eps here.
        formula: How the noise is sized.
        source: Equation of the paper.
        noise_sd: Standard deviation of the noise on a coordinate.
        true_eps_per_round: Eps of one round for one client, of the noised blocks, given the
            broadcast model.
        true_eps_total: Eps of all ``releases`` for one client; ``None`` where a block leaves in
            the clear.
        face_value_total: Eps of all ``releases`` if Df = 2C / |D_i| were the sensitivity;
            ``None`` for noise that claims nothing.
        releases: Number T of releases.
    """

    eps_per_round: float | None
    delta: float
    formula: str
    source: str
    noise_sd: float
    true_eps_per_round: float
    true_eps_total: float | None
    face_value_total: float | None
    releases: int


@dataclass(frozen=True)
class PaperMode(NoisedSum):
    """Noise of one size on every noised coordinate, from a formula of the paper.

    What holds is what the accountants say of ``scale``, noise / true sensitivity; the formula is
    no part of it.
    """

    noise: ClassVar[Noise] = "gaussian"
    own_norm: ClassVar[Literal["l1", "l2"]] = "l2"
    formula: ClassVar[str]
    source: ClassVar[str]

    def paper_claim(self, plan: ReleasePlan) -> PaperClaim | None:
        """Return claim and worth of the noise over ``plan``; ``None`` before ``calibrate``."""
        delta = self.spec.delta
        if delta is None or not self.groups:
            return None
        true = Promise(self.events(plan), delta, self.method)
        level, claimed = self.groups[0].noise, self.spec.eps_per_round
        face = Promise(self._lives(plan, level / self._claimed_sensitivity), delta, self.method)
        return PaperClaim(
            eps_per_round=claimed,
            delta=delta,
            formula=self.formula,
            source=self.source,
            noise_sd=level * (math.sqrt(2) if self.noise == "laplace" else 1.0),
            true_eps_per_round=true.eps_per_round,
            true_eps_total=true.eps if protects(self) else None,
            face_value_total=None if claimed is None else face.eps,
            releases=plan.releases,
        )

    @abstractmethod
    def _level(self, plan: ReleasePlan) -> float:
        """Return the standard deviation (Gaussian) or b (Laplace) that the paper asks for."""

    @property
    def _claimed_sensitivity(self) -> float:
        """Df = 2C / |D_i|."""
        return 2 * self.spec.clip.bound / self.spec.records

    @property
    def _eps(self) -> float:
        """The claimed eps of one round."""
        return self._positive(self.spec.eps_per_round, "--eps-per-round")

    @property
    def _delta(self) -> float:
        assert self.spec.delta is not None  # calibrate has filled it in
        return self.spec.delta

    def _positive(self, value: float | None, option: str) -> float:
        if value is None or not 0 < value < math.inf:
            raise UsageError(
                "E226", f"--dp {self.spec.mechanism} needs a finite {option} above 0, got {value}"
            )
        return value

    def _sized(self, groups: tuple[NoiseGroup, ...], plan: ReleasePlan) -> tuple[NoiseGroup, ...]:
        if self.spec.clip.per_block:
            raise UsageError(
                "E232",
                f"--dp {self.spec.mechanism} clips all blocks together, as the paper does",
                do="give one --clip number and no dp.block_clips, or --dp gaussian",
            )
        level = self._level(plan)
        return tuple(replace(g, noise=level) for g in groups)

    def _draw(self, stream: NoiseStream, size: int) -> np.ndarray:
        return stream.gaussian(size)
