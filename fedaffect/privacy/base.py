"""Privacy in five frozen pieces: what is asked (spec), what is planned (plan), how it is done
(mechanism), who counts (accountant), what is promised (statement).

Sensitivity travels with the value: ``ClippedSum`` is the only thing that a mechanism may noise.
Symbols as in the field: C clip norm, d parameters of a block, z noise standard deviation / L2
sensitivity, q sampling rate, T releases, n planned clients per round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np

from fedaffect.privacy.spec import Adjacency, PrivacySpec

if TYPE_CHECKING:
    from fedaffect.params import Layout
    from fedaffect.privacy.blocks import BlockPlan
    from fedaffect.privacy.groups import NoiseGroup

Noise = Literal["gaussian", "laplace"]
Norm = Literal["l1", "l2", "linf", "none"]
Method = Literal["tight", "rdp"]


@dataclass(frozen=True)
class LocalSteps:
    """The steps of per-window training, which an accountant of unit ``window`` needs.

    Args:
        spans: (smallest, largest) numbers of training windows of clients accounted alike.
        batch_size: Expected windows in a step.
        local_epochs: Passes over a client's windows in a round.
        windows_per_second: Largest number of windows that share one second of signal.
    """

    spans: tuple[tuple[int, int], ...]
    batch_size: int
    local_epochs: int
    windows_per_second: int


@dataclass(frozen=True)
class ReleasePlan:
    """Public facts about the run that the accountant needs; nothing here depends on labels.

    Args:
        releases: Number T of noised sums that are released: rounds, times folds.
        clients_per_round: Planned (expected) number n of clients in a round: the fixed
            denominator.
        sampling_rate: q, probability that a client takes part in a round.
        sampler: ``full`` (everyone, q = 1), ``fixed`` (n of N, no amplification) or ``poisson``
            (independent draws from the secret key).
        n_units: Number N of units in the population: clients, or windows.
        clients_per_subject: Largest number of clients that hold data of one person.
        subjects_per_client: Largest number of people whose data one client holds.
        participation_cap: Most releases that one client takes part in; ``None``: all.
        local: Steps of per-window training, for unit ``window``.
    """

    releases: int
    clients_per_round: float
    sampling_rate: float
    sampler: Literal["full", "fixed", "poisson"]
    n_units: int
    clients_per_subject: int
    subjects_per_client: int
    participation_cap: int | None = None
    local: LocalSteps | None = None

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

    @property
    def participations(self) -> int:
        """Most releases that one client takes part in."""
        return min(self.releases, self.participation_cap or self.releases)


@dataclass(frozen=True)
class Event:
    """What an accountant reads: ``releases`` noisy sums of the same kind.

    Args:
        noise: Kind of noise.
        scale: Noise parameter / sensitivity under the stated adjacency (zero_out: C,
            replace_one: 2C): z for Gaussian noise, b / sensitivity for Laplace noise.
        rate: q, probability that a unit is in a sum (Poisson); 1 without amplification.
        releases: Number of sums.
        group: Number of units that change together: 1, or the clients of one person.
        adjacency: What neighbours are.
    """

    noise: Noise
    scale: float
    rate: float
    releases: int
    group: int = 1
    adjacency: Adjacency = "zero_out"


@dataclass(frozen=True)
class ClippedSum:
    """A sum of clipped contributions and the bounds within which each of them lies.

    Args:
        total: Sum of the contributions over the released coordinates, float64.
        count: Number of contributions in the sum.
        bounds: Clip norm of every group of blocks that is clipped together.
        norm: The norm in which ``bounds`` are stated, ``none`` when nothing was clipped.
        within: Number of contributions that were within the bound before clipping, where the
            clip adapts.
    """

    total: np.ndarray  # (r,)
    count: int
    bounds: tuple[float, ...]
    norm: Norm
    within: float | None = None


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
    def method(self) -> Method:
        """How it is accounted: as tightly as possible, or by the moments accountant."""

    @property
    def blocks(self) -> BlockPlan:
        """What happens to every block of the model."""

    @property
    def groups(self) -> tuple[NoiseGroup, ...]:
        """The blocks that are clipped together, with their clip and noise; empty without noise."""

    @property
    def scale(self) -> float:
        """Noise parameter / sensitivity of all groups jointly (``Event.scale``); 0 without."""

    @property
    def noise_at(self) -> Literal["nowhere", "server", "client", "steps"]:
        """Where noise is drawn: on the sum, on a contribution, in every local step, or not."""

    @property
    def claims(self) -> bool:
        """Whether differential privacy is claimed at all."""

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy with the noise that meets the budget over ``plan``.

        Raises:
            UsageError: E222 the budget cannot be met; E224 delta is not below 1 / N; E225 a
                block is not known; E226 no budget was given.
        """

    def on_client(self, update: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return a client's contribution, clipped: what leaves it before noise, (r,) float64.

        Args:
            update: What local training changed, (d,).
            start: Global parameters that it started from, (d,).

        Raises:
            ValueError: the contribution is not finite.
        """

    def within(self, update: np.ndarray, start: np.ndarray) -> bool | None:
        """Return whether the contribution needs no clip; ``None`` where the clip is fixed."""

    def add_noise(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Return the sum with noise on the noised blocks."""

    def inputs_digest(self, total: ClippedSum) -> bytes:
        """Return a digest of the sum and of all that shapes its noise. Never store it bare."""

    def after(self, noisy: ClippedSum, planned: float) -> Self:
        """Return the mechanism of the next round; ``planned`` is the expected count n."""

    def at_bounds(self, bounds: Sequence[float]) -> Self:
        """Return a copy with these clip norms, noise in proportion."""

    def events(self, plan: ReleasePlan) -> tuple[Event, ...]:
        """Return what each kind of unit lives through; a promise holds for all of them."""
