"""What a promise comes to for single clients, for people, and for seconds of signal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fedaffect.privacy.base import Event, ReleasePlan
from fedaffect.privacy.promise import Promise
from fedaffect.privacy.scope import Scope
from fedaffect.privacy.wording import times

_QUANTILES = {"min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1.0}


def per_client(
    promise: Promise | None, participations: Mapping[int, int] | None, secret: bool, steps: int
) -> dict[str, Any] | None:
    """Return how often clients took part, and what that cost them; ``None`` before a run.

    Args:
        promise: What the releases cost; ``None`` without a finite eps.
        participations: Client to the releases that it was drawn for.
        secret: Whether it must stay secret who was drawn.
        steps: Noisy sums in a release.
    """
    if secret:
        hidden = "who took part, and how often, stays secret: draws are secret"
        return {"participations": None, "eps": None, "by_client": None, "text": hidden}
    if not participations:
        return None
    counts = sorted(participations.values())
    at = {name: counts[math.ceil(q * (len(counts) - 1))] for name, q in _QUANTILES.items()}
    if at["min"] == at["max"]:
        text = f"each of {times(len(counts), 'client')} took part in {times(at['max'], 'release')}"
    else:
        text = (
            f"{times(len(counts), 'client')} took part in {at['min']} to {at['max']} releases, "
            f"median {at['median']}"
        )
    return {
        "participations": at,
        "eps": {k: promise.eps_of(m * steps) for k, m in at.items()} if promise else None,
        "by_client": {str(client): n for client, n in sorted(participations.items())},
        "text": text,
    }


def eps_of_person(scope: Scope, promise: Promise | None, plan: ReleasePlan) -> float | None:
    """Return what the releases cost a person whose data lie with several clients.

    At the server one person moves a sum by m C. Where clients add the noise themselves, one
    person's m contributions are m releases. A window says nothing about a person.
    """
    if promise is None or scope.unit == "window":
        return None
    m = plan.clients_per_subject
    if scope.noise_at == "client":
        events = [replace(e, releases=m * e.releases) for e in promise.events]
        return Promise(events, promise.delta, promise.method).eps
    return promise.eps_of_group(m)


def group_of_seconds(
    scope: Scope, promise: Promise | None, plan: ReleasePlan, accountant: str
) -> dict[str, Any] | None:
    """Return what one second of signal pays: it lies in several windows that overlap."""
    if promise is None or plan.local is None or scope.unit != "window":
        return None
    units = plan.local.windows_per_second
    eps = promise.eps_of_group(units)
    alone = (
        "one second of signal lies in one window"
        if units == 1
        else (f"one second of signal lies in up to {units} windows, which change together")
    )
    held = scope.pair(eps, promise.delta, "the whole run", accountant)
    together = f"for such a group it is {held}".replace(f"for {scope.one} (", "(")
    return {
        "units": units,
        "eps": eps,
        "delta": promise.delta,
        "text": f"{alone}: {together}" if units > 1 else alone,
    }


def who_pays_most(promise: Promise, plan: ReleasePlan) -> str | None:
    """Return which client's windows have the largest eps, where sizes differ."""
    if plan.local is None or len(promise.events) < 2:
        return None
    at = promise.events.index(promise.dominant)
    smallest, largest = plan.local.spans[at]
    size = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
    return (
        f"Windows of clients with {size} training windows pay most, and the eps above is theirs: "
        "a step draws each of them with the probability batch size / windows."
    )


def under_other_adjacency(promise: Promise, scope: Scope) -> dict[str, Any]:
    """Return the eps of the same noise under the other adjacency (zeroed: z is twice as large)."""
    other = "zero_out" if scope.adjacency == "replace_one" else "replace_one"
    factor = 2.0 if other == "zero_out" else 0.5

    def moved(event: Event) -> Event:
        return replace(event, scale=factor * event.scale, adjacency=other)  # type: ignore[arg-type]

    eps = Promise([moved(e) for e in promise.events], promise.delta, promise.method).eps
    return {"adjacency": other, "eps": eps, "delta": promise.delta}


def composition(promise: Promise, rounds: int) -> list[dict[str, Any]]:
    """Return eps against round, at most eight points: tight, RDP, and the sum over rounds.

    Args:
        promise: What all rounds cost.
        rounds: Rounds that ``promise`` counts.
    """
    event = promise.dominant
    steps = event.releases // rounds
    chosen = sorted({max(1, round(rounds * i / 8)) for i in range(1, 9)})
    tight = Promise([event], promise.delta, "tight")
    rdp = Promise([event], promise.delta, "rdp")
    added = basic(promise, rounds, steps) / rounds
    return [
        {
            "release": n,
            "tight": tight.eps_of(n * steps),
            "rdp": rdp.eps_of(n * steps),
            "basic": n * added,
        }
        for n in chosen
    ]


def basic(promise: Promise, rounds: int, steps: int) -> float:
    """Return the sum of the rounds' eps, each at delta / rounds: basic composition."""
    once = Promise([promise.dominant], promise.delta / rounds, promise.method)
    return rounds * once.eps_of(steps)
