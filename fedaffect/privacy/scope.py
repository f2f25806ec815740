"""What an epsilon refers to: the words without which it may not be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedaffect.privacy.base import Mechanism, Noise, ReleasePlan
from fedaffect.privacy.spec import Adjacency, Unit
from fedaffect.privacy.wording import pair_text

UNITS = {"client": "one client", "window": "one training window"}
_ADJACENCY = {
    ("zero_out", "client"): "one client's contribution is replaced by zero, under a fixed "
    "denominator, which has the formulas of adding or removing one client",
    ("zero_out", "window"): "one training window's gradients are replaced by zero, under a fixed "
    "denominator, which has the formulas of adding or removing one window",
    ("replace_one", "client"): "one client's contribution is replaced by any other",
    ("replace_one", "window"): "one training window is replaced by any other",
}


@dataclass(frozen=True)
class Scope:
    """Unit, adjacency and observer of a promise.

    Args:
        unit: What is protected.
        adjacency: What neighbours are.
        noise_at: Where noise is drawn.
        noise: Kind of noise.
        amplified: Whether secret draws of clients are counted.
    """

    unit: Unit
    adjacency: Adjacency
    noise_at: Literal["nowhere", "server", "client", "steps"]
    noise: Noise
    amplified: bool

    @property
    def one(self) -> str:
        """The unit with its number: ``one client``."""
        return UNITS[self.unit]

    @property
    def adjacency_text(self) -> str:
        """The adjacency with its meaning."""
        return f"{self.adjacency}: {_ADJACENCY[self.adjacency, self.unit]}"

    @property
    def change(self) -> str:
        """What neighbours differ in, after "with respect to"."""
        if self.adjacency == "replace_one":
            return f"replacing {self.one}"
        return f"adding or removing {self.one}"

    @property
    def observer(self) -> str:
        """For whom the headline speaks."""
        if self.noise_at == "client":
            return "the server, which receives every contribution, and so everyone else"
        if self.noise_at == "steps":
            return "everyone outside the client, the server included"
        if self.amplified:
            return "an external observer who does not learn who took part"
        return "anyone who sees the global models, participants included"

    def pair(self, eps: float, delta: float, horizon: str, accountant: str) -> str:
        """Return ``(eps=5.00, delta=1e-5)`` with unit, adjacency, observer, horizon, accountant."""
        return (
            f"{pair_text(eps, delta)} for {self.one} ({self.adjacency}; observer: "
            f"{self.observer}; horizon: {horizon}; {accountant} accountant)"
        )


def scope_of(mechanism: Mechanism, plan: ReleasePlan) -> Scope:
    """Return what the promises of a mechanism with noise refer to."""
    spec, events = mechanism.spec, mechanism.events(plan)
    central = mechanism.noise_at == "server"
    return Scope(
        unit=spec.unit,
        adjacency=spec.adjacency,
        noise_at=mechanism.noise_at,
        noise=events[0].noise if events else "gaussian",
        amplified=central and any(event.rate < 1 for event in events),
    )
