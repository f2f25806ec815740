"""What all runs on one data set cost together, from its privacy ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fedaffect.privacy.charges import Terms
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.spec import Adjacency, Unit


@dataclass(frozen=True)
class RunCost:
    """One run on the data set.

    Args:
        run: Id of the run.
        terms: What its releases are.
        releases: Number T of the releases that were paid for.
    """

    run: str
    terms: Terms
    releases: int

    def under(self, adjacency: Adjacency) -> RunCost:
        """Return the same releases under ``adjacency``: replacing moves a sum twice as far."""
        if adjacency == self.terms.adjacency:
            return self
        factor = 0.5 if adjacency == "replace_one" else 2.0
        terms = replace(self.terms, z=factor * self.terms.z, adjacency=adjacency)
        return replace(self, terms=terms)

    @property
    def eps(self) -> float:
        """Total eps at the run's own delta; inf where there is no finite one."""
        from fedaffect.privacy.accountants import accountant

        if not self.terms.finite:
            return math.inf
        event = self.terms.event(self.releases)
        return accountant("tight", event).epsilon(event, self.terms.delta)


@dataclass(frozen=True)
class Total:
    """What several runs cost together, for one unit and adjacency.

    Args:
        unit: What is protected.
        adjacency: What neighbours are.
        runs: Their number.
        eps: Total eps at ``delta``: the sum over runs (basic composition), or the exact
            composition of Gaussian noise without sampling where that is less.
        delta: Sum of the runs' deltas.
        mu: Of the composed Gaussian trade-off curve, sqrt(sum T / z^2) (Dong, Roth & Su 2019);
            ``None`` where a run has other noise or sampling.
    """

    unit: Unit
    adjacency: Adjacency
    runs: int
    eps: float
    delta: float
    mu: float | None


@dataclass(frozen=True)
class Spending:
    """What all runs on one data set have spent.

    Args:
        runs: Every run that has paid for a release.
    """

    runs: tuple[RunCost, ...]

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Ids of the runs that have no finite eps: a block left in the clear."""
        return tuple(cost.run for cost in self.runs if not cost.terms.finite)

    @property
    def totals(self) -> tuple[Total, ...]:
        """One total per unit and adjacency, over the runs that have a finite eps."""
        groups: dict[tuple[Unit, Adjacency], list[RunCost]] = {}
        for cost in self.runs:
            if cost.terms.finite:
                groups.setdefault((cost.terms.unit, cost.terms.adjacency), []).append(cost)
        return tuple(_total(*kind, costs) for kind, costs in sorted(groups.items()))

    def eps_of(self, terms: Terms) -> float:
        """Return the total eps so far for the unit and adjacency of ``terms``.

        Every run counts, under that adjacency. A window is a part of one client, whose
        replacement covers whatever happens to the window; but a promise for windows says nothing
        about clients, and a block in the clear nothing about anyone: then it is inf.
        """
        costs = []
        for cost in self.runs:
            if not cost.terms.finite or (terms.unit, cost.terms.unit) == ("client", "window"):
                return math.inf
            part = (terms.unit, cost.terms.unit) == ("window", "client")
            costs.append(cost.under("replace_one" if part else terms.adjacency))
        return _total(terms.unit, terms.adjacency, costs).eps


def spending(ledger: Ledger, except_run: str | None = None) -> Spending:
    """Return what the runs in ``ledger`` have spent.

    Args:
        ledger: The ledger of the data set.
        except_run: Id of a run to leave out.
    """
    return Spending(
        tuple(
            RunCost(run, ledger.terms(run), releases)
            for run, releases in ledger.runs().items()
            if releases and run != except_run
        )
    )


def _total(unit: Unit, adjacency: Adjacency, costs: Sequence[RunCost]) -> Total:
    from fedaffect.privacy.accountants import closed_form
    from fedaffect.privacy.base import Event

    eps = math.fsum(cost.eps for cost in costs)
    delta = math.fsum(cost.terms.delta for cost in costs)
    mu = None
    if costs and all(c.terms.noise == "gaussian" and c.terms.rate == 1 for c in costs):
        mu = math.sqrt(math.fsum(c.terms.event(c.releases).releases / c.terms.z**2 for c in costs))
        if delta < 1:
            eps = min(eps, closed_form.epsilon(Event("gaussian", 1 / mu, 1, 1), delta))
    return Total(unit, adjacency, len(costs), eps, delta, mu)
