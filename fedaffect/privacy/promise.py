"""The figures of a promise: what releases of a calibrated mechanism cost, and to whom."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from fedaffect.privacy import wording
from fedaffect.privacy.accountants import Accountant, Method, accountant, closed_form, rdp
from fedaffect.privacy.base import Event


class Promise:
    """(eps, delta) of one event, with all that is said about it.

    Args:
        event: What was released.
        delta: Delta of every eps here.
        method: How the mechanism is accounted.
    """

    def __init__(self, event: Event, delta: float, method: Method) -> None:
        self.event, self.delta, self.method = event, delta, method

    @cached_property
    def eps(self) -> float:
        """Total eps for one client, to an external observer where draws amplify."""
        return self._counted_by.epsilon(self.event, self.delta)

    @property
    def eps_of_participants(self) -> float:
        """Total eps to those who know who took part: without amplification."""
        event = replace(self.event, rate=1.0)
        counting = accountant(self.method, self.event.noise, 1.0)
        return counting.epsilon(event, self.delta)

    def eps_of_person(self, clients: int) -> float:
        """Total eps for a person whose data ``clients`` clients hold: sensitivity m C."""
        return self._counted_by.epsilon(replace(self.event, group=clients), self.delta)

    @property
    def mu(self) -> float | None:
        """Mu of the Gaussian trade-off curve, where the mechanism has exactly one."""
        exact = self.event.noise == "gaussian" and self.event.rate == 1
        return closed_form.mu(self.event) if exact else None

    @property
    def eps_pure(self) -> float | None:
        """Total eps at delta = 0, for Laplace noise."""
        return rdp.pure_epsilon(self.event) if self.event.noise == "laplace" else None

    @property
    def accountant(self) -> dict[str, Any]:
        """Who counted, and what a second accountant says."""
        other: Method = "tight" if self.method == "rdp" else "rdp"
        second = accountant(other, self.event.noise, self.event.rate)
        return {
            "name": self._counted_by.name,
            "version": self._counted_by.version,
            "cross_check": {
                "name": second.name,
                "version": second.version,
                "eps": second.epsilon(self.event, self.delta),
            },
        }

    @property
    def sentence(self) -> str:
        """The claim, in one sentence."""
        return wording.full(
            self.eps, self.delta, self.event.releases, self.event.noise, self._counted_by.name
        )

    @property
    def _counted_by(self) -> Accountant:
        return accountant(self.method, self.event.noise, self.event.rate)
