"""Privacy in five frozen pieces: what is asked (spec), what is planned (plan), how it is done
(mechanism), who counts (accountant), what is promised (statement).

Sensitivity travels with the value: ``ClippedSum`` is the only thing that a mechanism may noise.
Symbols as in the field: C clip norm, d parameters of a block, z noise standard deviation / L2
sensitivity, q sampling rate, T releases, n planned clients per round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np

from fedaffect.params import Layout

Noise = Literal["gaussian", "laplace"]
Norm = Literal["l1", "l2", "none"]


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

    def __post_init__(self) -> None:
        if self.releases < 1 or self.clients_per_round <= 0 or self.n_units < 1:
            raise ValueError(f"a plan needs releases, clients per round and units, got {self}")
        if not 0 < self.sampling_rate <= 1:
            raise ValueError(f"sampling rate must be in (0, 1], got {self.sampling_rate}")
        if self.sampler == "full" and self.sampling_rate != 1:
            raise ValueError(f"a full sampler has rate 1, got {self.sampling_rate}")

    @property
    def amplifying_rate(self) -> float:
        """The rate that an accountant may use: below 1 only for secret, independent draws."""
        return self.sampling_rate if self.sampler == "poisson" else 1.0


@dataclass(frozen=True)
class Event:
    """What an accountant reads: ``releases`` noisy sums of the same kind.

    Args:
        noise: Kind of noise.
        scale: Noise parameter / sensitivity: z (standard deviation / C) for Gaussian noise,
            b / C for Laplace noise.
        rate: q, probability that a client is in a sum (Poisson); 1 without amplification.
        releases: Number of sums.
        group: Number of clients that change together: 1, or the clients of one person.
    """

    noise: Noise
    scale: float
    rate: float
    releases: int
    group: int = 1


@dataclass(frozen=True)
class ClippedSum:
    """A sum of clipped client updates and how far one client can move it.

    Args:
        total: Sum of the clipped updates, float64.
        count: Number of updates in the sum.
        sensitivity: Norm bound on one client's contribution over the noised blocks.
        norm: The norm in which ``sensitivity`` is stated, ``none`` when nothing was clipped.
    """

    total: np.ndarray  # (d,)
    count: int
    sensitivity: float
    norm: Norm


class NoiseStream(Protocol):
    """A source of cryptographic uniforms for one release of one block (privacy/noise.py)."""

    def gaussian(self, size: int) -> np.ndarray:
        """Return standard normal draws, (size,) float64."""

    def laplace(self, size: int) -> np.ndarray:
        """Return standard Laplace draws (scale 1), (size,) float64."""


class NoiseKey(Protocol):
    """The secret key that noise and amplifying draws come from."""

    @property
    def kind(self) -> Literal["secret", "unsafe-test"]:
        """``secret``, or ``unsafe-test`` for noise that anyone can repeat."""

    def stream(self, *, release: int, block: str, inputs: bytes) -> NoiseStream:
        """Return the stream for one block of one release, keyed by the digest of the inputs."""

    def seal(self, digest: bytes) -> str:
        """Return a hex MAC of ``digest``: the only form in which it may be stored."""


class Mechanism(Protocol):
    """A frozen dataclass. ``calibrate`` returns a new object whose noise is known."""

    @property
    def spec(self) -> PrivacySpec:
        """What was asked; after ``calibrate`` with its delta filled in."""

    @property
    def method(self) -> Literal["tight", "rdp"]:
        """How it is accounted: as tightly as possible, or by the moments accountant."""

    @property
    def norm(self) -> Norm:
        """Norm of the clip."""

    @property
    def sensitivity(self) -> float:
        """Bound on what one client adds to the noised blocks of a sum; inf without a clip."""

    @property
    def scale(self) -> float:
        """Noise parameter / sensitivity (see ``Event.scale``); 0 without noise."""

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise per noised coordinate of the SUM; 0 without noise."""

    @property
    def noised_blocks(self) -> tuple[str, ...]:
        """Names of the blocks that get noise, in the order of the layout."""

    @property
    def noised(self) -> np.ndarray:
        """Mask of the noised coordinates, (d,) bool."""

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy with the noise scale that meets the budget over ``plan``.

        Raises:
            UsageError: E222 the budget cannot be met; E224 delta is not below 1 / N; E225 a
                block is not known; E226 no budget was given.
        """

    def on_client(self, update: np.ndarray) -> np.ndarray:
        """Return ``update`` (d,) float64 with its noised blocks clipped.

        Raises:
            ValueError: the update is not finite.
        """

    def on_server(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Return the sum with noise on the noised blocks."""

    def event(self, plan: ReleasePlan) -> Event | None:
        """Return what an accountant reads, ``None`` without noise."""

    def eps_spent(self, plan: ReleasePlan, releases: int) -> float | None:
        """Return the eps of the first ``releases`` releases at the run's delta.

        ``None`` where there is no finite eps: no noise, or a block in the clear.
        """
