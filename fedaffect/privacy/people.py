"""Where a unit is not one person: the W120 warnings."""

from __future__ import annotations

from typing import Any

from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.scope import Scope
from fedaffect.privacy.wording import pair_text


def person_warnings(
    scope: Scope,
    plan: ReleasePlan,
    eps: float | None,
    delta: float | None,
    accountant: dict[str, Any] | None,
) -> tuple[str, ...]:
    """Return the W120 warnings.

    Args:
        scope: What an eps refers to.
        plan: How people and clients relate.
        eps: What the releases cost one person; ``None`` without a finite value.
        delta: Its delta.
        accountant: Who counted.
    """
    if scope.noise_at == "nowhere":
        return ()
    if scope.unit == "window":
        return (
            "W120: one training window is not a person: a person has many of them, and nothing is "
            "promised for a person as a whole.",
        )
    lines, most = [], plan.clients_per_subject
    if most > 1:
        counted = ""
        if eps is not None and delta is not None and accountant is not None:
            counted = (
                f": for a person it is {pair_text(eps, delta)} over the run ({scope.adjacency}; "
                f"observer: {scope.observer}; {accountant['name']} accountant)"
            )
        lines.append(
            f"W120: one person's data is spread over up to {most} clients, so there is no "
            f"per-person guarantee at the stated eps{counted}."
        )
    if plan.subjects_per_client > 1:
        lines.append(
            f"W120: a client holds data of up to {plan.subjects_per_client} people, so the unit "
            "'client' is a group of people, not one person."
        )
    return tuple(lines)
