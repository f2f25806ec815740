"""How often and with what noise a client steps when the unit is one training window."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from fedaffect.errors import PrivacyError
from fedaffect.privacy.base import Mechanism, NoiseKey


def sampling_rate(n: int, batch_size: int) -> float:
    """Return q, the probability that one of ``n`` windows is in a step."""
    return min(1.0, batch_size / n)


def local_steps(n: int, batch_size: int, local_epochs: int) -> int:
    """Return the number of steps of a round for a client with ``n`` windows."""
    return local_epochs * max(1, round(n / batch_size))


@dataclass(frozen=True)
class WindowNoise:
    """The clip of one window's gradient and the noise of a step.

    Args:
        z: Standard deviation of the noise / clip norm.
        clip: Clip norm C over all blocks together, in L2.
        blocks: Name of every block that moves, and its places in the parameters, ascending.
    """

    z: float
    clip: float
    blocks: tuple[tuple[str, np.ndarray], ...]

    @classmethod
    def of(cls, mechanism: Mechanism) -> Self:
        """Return the clip and noise of a calibrated mechanism.

        Blocks that are kept on the client are noised as well: the blocks that leave it in later
        steps are computed from them.

        Raises:
            PrivacyError: E406 there is not one clip for all blocks, or no noise.
        """
        groups = mechanism.groups
        if len(groups) != 1 or not groups[0].noise > 0:
            raise PrivacyError("E406", "per-window steps need one clip norm and its noise")
        plan = mechanism.blocks
        blocks = tuple((b, plan.layout.indices(b)) for b in plan.named("noise", "keep_local"))
        return cls(groups[0].noise / groups[0].clip, groups[0].clip, blocks)

    def check_covers(self, moving: np.ndarray) -> None:
        """Check that the noise falls once on every coordinate of the mask ``moving`` (d,) bool.

        Raises:
            PrivacyError: E406 a coordinate moves without noise, or has noise but may not move.
        """
        draws = np.zeros(len(moving), dtype=np.int64)
        for _, at in self.blocks:
            np.add.at(draws, at, 1)
        if bad := int((draws != moving).sum()):
            raise PrivacyError(
                "E406",
                f"{bad} of {len(moving)} parameters would move in a per-window step without "
                "noise, or get noise but may not move",
                do="give every block the policy noise, keep_local or freeze",
            )

    def noisy(
        self, total: np.ndarray, key: NoiseKey, *, salt: bytes, release: int, step: int
    ) -> np.ndarray:
        """Return ``total`` plus N(0, (z C)^2) on every coordinate of the blocks.

        Equal arguments repeat one release at no cost; any other sum gets independent noise.

        Args:
            total: Sum of clipped gradients, (d,) float64.
            key: The client's key.
            salt: What tells this run from others of the same site.
            release: Number of the release in the run.
            step: Number of the local step in the release.
        """
        inputs = hashlib.blake2b(f"{self.z!r}|{self.clip!r}|".encode() + salt, digest_size=32)
        inputs.update(np.ascontiguousarray(total, dtype="<f8").data)
        noisy = total.copy()
        for name, at in self.blocks:
            stream = key.stream(
                release=release, block=f"{name}, step {step}", inputs=inputs.digest()
            )
            noisy[at] += self.z * self.clip * stream.gaussian(len(at))
        return noisy
