"""The figure to quote: the strongest attacker on identity, of the run and of its audit."""

from __future__ import annotations

from fedaffect.audit_record import AttackResult, AuditRecord
from fedaffect.record import Estimate, Figures, RunRecord


def with_strongest(record: RunRecord, audit: AuditRecord | None) -> RunRecord:
    """Return ``record`` with the audit's headline among its attackers, where that is stronger.

    Its figure without DP goes beside it. Every sentence, table and figure that tells of the
    strongest attacker follows.
    """
    found = headline(audit)
    if found is None or not _exceeds(found.figure, record.figures.identity_strongest):
        return record
    name = f"attacker of the audit: {found.name}"
    changes = {"figures": _joined(record.figures, name, found.figure)}
    if record.no_dp is not None and found.reference is not None:
        changes["no_dp"] = _joined(record.no_dp, name, found.reference)
    return record.model_copy(update=changes)


def headline(audit: AuditRecord | None) -> AttackResult | None:
    """Return the audit's result to quote: the attack on identity that it names, if it ran."""
    if audit is None:
        return None
    for result in audit.results:
        named = audit.headline and audit.headline in (result.name, result.id)
        if named and result.family == "identity" and result.status == "done":
            return result
    return None


def _joined(figures: Figures, name: str, figure: Estimate) -> Figures:
    changes: dict[str, object] = {"identity_attacks": {**figures.identity_attacks, name: figure}}
    if _exceeds(figure, figures.identity_strongest):
        changes |= {"identity_strongest": figure, "strongest_attack": name}
    return figures.model_copy(update=changes)


def _exceeds(figure: Estimate, other: Estimate) -> bool:
    if figure.value is None:
        return False
    return other.value is None or figure.value > other.value
