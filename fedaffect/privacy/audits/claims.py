"""What the statement claims, to the strongest observer that it speaks to, beside a bound."""

from __future__ import annotations

from fedaffect.audit_record import EpsBound
from fedaffect.privacy.attacks.evidence import Claim, Evidence

STRONGEST_FIRST = ("server", "participants", "external")


def claim_of(evidence: Evidence, *observers: str) -> Claim | None:
    """Return the claim with an eps to the strongest observer.

    Args:
        evidence: Its claims are read.
        *observers: Who is asked for; everyone where none is named.
    """
    wanted = observers or STRONGEST_FIRST
    known = [c for c in evidence.claims if c.observer in wanted and c.eps is not None]
    return min(known, key=lambda c: STRONGEST_FIRST.index(c.observer), default=None)


def bound_terms(evidence: Evidence, claim: Claim | None) -> EpsBound:
    """Return a bound that says nothing yet, with the terms of ``claim``.

    Without a claim the terms are those of the mechanism.
    """
    spec = evidence.mechanism.spec
    central = evidence.mechanism.noise_at == "server"
    return EpsBound(
        lower=None,
        confidence=0.95,
        claimed=claim.eps if claim is not None else None,
        delta=delta_of(evidence, claim),
        unit=claim.unit if claim is not None else spec.unit,
        adjacency=claim.adjacency if claim is not None else spec.adjacency,
        observer=claim.observer if claim is not None else "participants" if central else "server",
        horizon="run",
    )


def delta_of(evidence: Evidence, claim: Claim | None) -> float:
    """Return the delta of ``claim``, or that of the mechanism."""
    if claim is not None and claim.delta is not None:
        return claim.delta
    return evidence.mechanism.spec.delta or 0.0


def verdict(bound: EpsBound) -> str:
    """Return in one sentence how the bound and the claim compare."""
    shown = f"eps is at least {bound.lower or 0:.2f} with 95 % confidence"
    if bound.claimed is None:
        return f"{shown}; nothing is claimed that this could contradict."
    gate = bound.lower_gate
    if gate is not None and gate > bound.claimed:
        sure = f"{bound.gate_confidence:.4g}"
        return (
            f"{shown}, and at least {gate:.2f} with confidence {sure}: the claimed eps "
            f"{bound.claimed:.2f} is refuted."
        )
    if (bound.lower or 0) > bound.claimed:
        return (
            f"{shown}, above the claimed eps {bound.claimed:.2f}; 1 correct mechanism in 20 may "
            "show that."
        )
    return f"{shown}; the claimed eps {bound.claimed:.2f} is not contradicted."
