"""Privacy in five frozen pieces: what is asked (spec), what is planned (plan), how it is done
(mechanism), who counts (accountant), what is promised (statement).

Sensitivity travels with the value: ``ClippedSum`` is the only thing that a mechanism may noise.
Symbols as in the field: C clip norm, d parameters of a block, z noise standard deviation / L2
sensitivity, q sampling rate, T releases, n planned clients per round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np

from fedaffect.params import Layout


@dataclass(frozen=True)
class PrivacySpec:
    """What the user asked for.

    Args:
        mechanism: Registered name of the mechanism.
        eps: Total budget over all releases of the run, ``None`` without DP.
        delta: Total delta, ``None`` without DP.
        noise_layers: ``all``, ``shared``, ``task`` or block names separated by commas.
        clip: Bound on the norm of one client's update over the noised blocks together.
    """

    mechanism: str
    eps: float | None
    delta: float | None
    noise_layers: str
    clip: float


@dataclass(frozen=True)
class ReleasePlan:
    """Public facts about the run that the accountant needs; nothing here depends on data.

    Args:
        releases: Number T of noised sums that are released: rounds, times folds.
        clients_per_round: Planned (expected) number n of clients in a round: the fixed
            denominator.
        sampling_rate: q, probability that a client takes part in a round.
        sampler: ``full`` (everyone, q = 1), ``fixed`` (n of N, no amplification) or ``poisson``
            (independent draws from the secret key).
        n_units: Number N of clients in the population.
        clients_per_subject: Largest number of clients that hold data of one person.
        subjects_per_client: Largest number of people whose data one client holds.
    """

    releases: int
    clients_per_round: float
    sampling_rate: float
    sampler: Literal["full", "fixed", "poisson"]
    n_units: int
    clients_per_subject: int
    subjects_per_client: int


@dataclass(frozen=True)
class ClippedSum:
    """A sum of clipped client updates and how far one client can move it.

    Args:
        total: Sum of the clipped updates, float64.
        count: Number of updates in the sum.
        sensitivity: Norm bound on one client's contribution over the noised blocks.
        norm: The norm in which ``sensitivity`` is stated.
    """

    total: np.ndarray  # (d,)
    count: int
    sensitivity: float
    norm: Literal["l1", "l2"]


class NoiseStream(Protocol):
    """A source of cryptographic uniforms for one release of one block (privacy/noise.py)."""

    def gaussian(self, size: int) -> np.ndarray:
        """Return standard normal draws, (size,) float64."""

    def laplace(self, size: int) -> np.ndarray:
        """Return standard Laplace draws (scale 1), (size,) float64."""


class NoiseKey(Protocol):
    """The secret key that noise and amplifying draws come from."""

    def stream(self, *, release: int, block: str, inputs: bytes) -> NoiseStream:
        """Return the stream for one block of one release, keyed by the digest of the inputs."""


class Mechanism(Protocol):
    """A frozen dataclass. ``calibrate`` returns a new object whose noise is known."""

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy with the noise scale that meets the budget over ``plan``.

        Raises:
            UsageError: E222 the budget cannot be met.
        """

    def on_client(self, update: np.ndarray) -> np.ndarray:
        """Return ``update`` (d,) float64 with its noised blocks clipped.

        Raises:
            ValueError: the update is not finite.
        """

    def on_server(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Return the sum with noise on the noised blocks."""

    def event(self, plan: ReleasePlan) -> Mapping[str, Any]:
        """Return what an accountant reads: kind of noise, scale, sampling, releases."""
