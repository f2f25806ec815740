"""From a calibrated mechanism to the terms under which a ledger charges its releases."""

from __future__ import annotations

from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.charges import Terms
from fedaffect.privacy.promise import Promise


def terms_of(mechanism: Mechanism, plan: ReleasePlan) -> Terms:
    """Return the terms of a run: those of the unit that pays most.

    Args:
        mechanism: The calibrated mechanism.
        plan: What it was calibrated for.
    """
    spec, events = mechanism.spec, mechanism.events(plan)
    assert spec.delta is not None and events  # calibrated
    most = Promise(events, spec.delta, mechanism.method).dominant
    return Terms(
        mechanism=spec.mechanism,
        noise=most.noise,
        z=most.scale,
        rate=most.rate,
        adjacency=spec.adjacency,
        unit=spec.unit,
        where="server" if mechanism.noise_at == "server" else "client",
        blocks=mechanism.blocks.named("noise"),
        clear=bool(mechanism.blocks.named("clear")),
        eps=spec.eps,
        delta=spec.delta,
        steps=most.releases // plan.participations,
    )
