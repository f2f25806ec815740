"""The figures of a promise: what releases of a calibrated mechanism cost, and to whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from fedaffect.privacy.accountants import Accountant, accountant, closed_form, rdp
from fedaffect.privacy.base import Event, Mechanism, Method, ReleasePlan


class Promise:
    """(eps, delta) of what a unit lives through, with all that is said about it.

    Args:
        events: What each kind of unit lives through; the promise holds for all of them.
        delta: Delta of every eps here.
        method: How the mechanism is accounted.
    """

    def __init__(self, events: Sequence[Event], delta: float, method: Method) -> None:
        self.events, self.delta, self.method = tuple(events), delta, method

    @cached_property
    def eps(self) -> float:
        """Total eps for one unit, to an external observer where draws amplify."""
        return max(self._epsilon(event) for event in self.events)

    @cached_property
    def dominant(self) -> Event:
        """The kind of unit with the largest eps."""
        return max(self.events, key=self._epsilon)

    @property
    def eps_of_participants(self) -> float:
        """Total eps to those who know who took part: without amplification."""
        return max(self._epsilon(replace(event, rate=1.0)) for event in self.events)

    def eps_of_group(self, units: int) -> float:
        """Total eps for ``units`` units that change together: sensitivity m C."""
        return max(self._epsilon(replace(event, group=units)) for event in self.events)

    def eps_of(self, releases: int) -> float:
        """Total eps of the first ``releases`` releases of the dominant event."""
        return self._epsilon(replace(self.dominant, releases=releases)) if releases else 0.0

    @property
    def eps_per_round(self) -> float:
        """Eps of one release alone."""
        return self.eps_of(1)

    @property
    def mu(self) -> float | None:
        """Mu of the Gaussian trade-off curve, where the mechanism has exactly one."""
        event = self.dominant
        exact = event.noise == "gaussian" and event.rate == 1
        return closed_form.mu(event) if exact else None

    @property
    def eps_pure(self) -> float | None:
        """Total eps at delta = 0, for Laplace noise."""
        laplace = self.dominant.noise == "laplace"
        return max(rdp.pure_epsilon(e) for e in self.events) if laplace else None

    @property
    def accountant(self) -> dict[str, Any]:
        """Who counted, and what a second accountant says."""
        other: Method = "tight" if self.method == "rdp" else "rdp"
        first, second = accountant(self.method, self.dominant), accountant(other, self.dominant)
        return {
            "name": first.name,
            "version": first.version,
            "cross_check": {
                "name": second.name,
                "version": second.version,
                "eps": second.epsilon(self.dominant, self.delta),
            },
        }

    def _epsilon(self, event: Event) -> float:
        counting: Accountant = accountant(self.method, event)
        return counting.epsilon(event, self.delta)


def protects(mechanism: Mechanism) -> bool:
    """Return whether every released coordinate is noised: only then is there a finite eps."""
    return bool(mechanism.groups) and not mechanism.blocks.named("clear")


def promise_of(mechanism: Mechanism, plan: ReleasePlan) -> Promise | None:
    """Return what ``plan`` costs under a calibrated ``mechanism``; ``None`` without finite eps."""
    events, delta = mechanism.events(plan), mechanism.spec.delta
    if not events or delta is None or not protects(mechanism) or mechanism.scale <= 0:
        return None
    return Promise(events, delta, mechanism.method)


def spent_after(mechanism: Mechanism, plan: ReleasePlan, releases: int) -> float | None:
    """Return the eps of the first ``releases`` releases of ``plan``; ``None`` without finite eps.

    Where nobody may be in more than ``plan.participations`` releases, later ones cost nothing.
    """
    promise = promise_of(mechanism, plan)
    if promise is None:
        return None
    event = promise.dominant
    steps = event.releases // plan.participations  # noisy sums in a release
    return promise.eps_of(min(releases, plan.participations) * steps)


def affordable(mechanism: Mechanism, plan: ReleasePlan) -> int:
    """Return how many releases of ``plan`` the budget affords one unit: all, unless z was given."""
    spec, promise = mechanism.spec, promise_of(mechanism, plan)
    if spec.eps is None or spec.z is None or promise is None:
        return plan.releases
    event = promise.dominant
    steps = event.releases // plan.participations
    sums = accountant(mechanism.method, event).affordable(event, spec.eps, promise.delta)
    if sums >= event.releases:
        return plan.releases
    return math.floor(sums / steps)
