"""Differentially private SGD on every client: the unit is one training window, not a person.

Paper: M. Abadi et al., "Deep Learning with Differential Privacy", CCS 2016.

Departures from the paper: none in the mechanism; steps run on the clients, and the server averages
models that are private already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.privacy.base import ClippedSum, Event, NoiseKey, ReleasePlan
from fedaffect.privacy.mechanisms.gaussian import Gaussian
from fedaffect.privacy.mechanisms.window_noise import local_steps, sampling_rate


@dataclass(frozen=True)
class PerWindow(Gaussian):
    """Per-window gradients clipped to C, plus N(0, (z C)^2) in every local step.

    Why it holds: a step's windows are drawn independently with probability q from the secret key,
    and with one window zeroed the step's sum moves by at most C in L2: a Poisson-sampled Gaussian
    release of multiplier z. Steps and rounds compose adaptively; clients hold disjoint windows,
    so the promise is the largest over clients. Whatever leaves a client is computed from its
    noised steps, so it holds against the server too.
    """

    def calibrate(self, plan: ReleasePlan, layout: Layout) -> Self:
        """Return a copy whose noise keeps the budget, once the clients' windows are counted.

        Without ``plan.local`` only the blocks are known yet, and the noise stays 0.

        Raises:
            UsageError: as ``Gaussian.calibrate``; E232 a block would move without noise.
        """
        ready = super().calibrate(plan, layout)
        if clear := ready.blocks.named("clear"):
            raise UsageError(
                "E232",
                f"--unit window noises every step, but block {clear[0]} would move without noise",
                do="--noise-layers all, with dp.blocks freeze or keep_local for the others",
            )
        return ready

    def _total_scale(self, plan: ReleasePlan) -> float:
        return super()._total_scale(plan) if plan.local is not None else 0.0

    @property
    def noise_at(self) -> Literal["nowhere", "server", "client", "steps"]:
        """Noise is drawn in every local step."""
        return "steps"

    def _shortened(self, values: np.ndarray) -> np.ndarray:
        """Return ``values`` (r,) as they are: their privacy does not rest on their length."""
        return values

    def add_noise(self, total: ClippedSum, key: NoiseKey, release: int) -> ClippedSum:
        """Refuse: the noise is in the contributions already."""
        raise TypeError("per-window noise is drawn in the local steps")

    def _lives(self, plan: ReleasePlan, scale: float) -> tuple[Event, ...]:
        if plan.local is None:
            return ()
        return tuple(
            Event(
                "gaussian",
                scale,
                sampling_rate(smallest, plan.local.batch_size),
                plan.participations
                * local_steps(largest, plan.local.batch_size, plan.local.local_epochs),
                adjacency=self.spec.adjacency,
            )
            for smallest, largest in plan.local.spans
        )


def spans(windows: list[int], folds: int) -> tuple[tuple[int, int], ...]:
    """Return (smallest, largest) numbers of windows of clients that are accounted alike.

    The rate of the smallest and the steps of the largest bound both for everyone between, within
    ten percent. With several folds a window meets clients of any size: one span for all.
    """
    sizes = sorted(set(windows))
    if folds > 1:
        return ((sizes[0], sizes[-1]),)
    made: list[tuple[int, int]] = []
    for size in sizes:
        if made and size <= 1.1 * made[-1][0]:
            made[-1] = (made[-1][0], size)
        else:
            made.append((size, size))
    return tuple(made)
