"""Canary clients: a lower bound on epsilon from one run.

Paper: T. Steinke, M. Nasr, M. Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS
2023; the bound on mu is the refinement of S. Mahloujifar, L. Melis, K. Chaudhuri, "Auditing
f-Differential Privacy in One Run", 2024.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.statistics import clopper_pearson
from fedaffect.privacy.audits.bounds import OneRunBound, best_steinke
from fedaffect.privacy.audits.canary import KNOWLEDGE
from fedaffect.privacy.audits.canary_scores import NO_CANARIES, canary_scores
from fedaffect.privacy.audits.claims import bound_terms, claim_of, verdict
from fedaffect.record import Estimate


@dataclass(frozen=True)
class OneRunAudit:
    """Guesses which canaries took part, may abstain, and bounds eps by the right guesses."""

    id: ClassVar[str] = "e3"
    name: ClassVar[str] = "one-run"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = False

    def run(self, evidence: Evidence) -> AttackResult:
        """Bound eps of the run from below, at 95 % and at the confidence of the gate."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Canary clients: lower bound on epsilon from one run",
            family="bound",
            threat=self.threat,
            knowledge=KNOWLEDGE,
            metric="epsilon, lower bound at 95 %",
        )
        if evidence.canaries is None:
            return blank.model_copy(update={"status": "not_run", "reason": NO_CANARIES})
        found = canary_scores(evidence, evidence.canaries)
        terms = bound_terms(evidence, claim_of(evidence, "participants", "external"))
        shown, gated = (
            best_steinke(found.scores, found.included, terms.delta, confidence)
            for confidence in (0.95, evidence.gate_confidence)
        )
        bound = terms.model_copy(
            update={
                "lower": shown.eps,
                "lower_gate": gated.eps,
                "gate_confidence": evidence.gate_confidence,
                "best_possible": shown.best_possible,
                "mu_low": shown.mu,
            }
        )
        return blank.model_copy(
            update={
                "figure": Estimate(value=shown.eps, chance=0.0, note="lower bound, over canaries"),
                "rows": (_guesses(shown),),
                "n_members": len(found.inside),
                "n_nonmembers": len(found.outside),
                "bound": bound,
                "finding": _finding(bound.lower or 0.0, verdict(bound)),
                "notes": _notes(len(found.scores), shown),
                "seconds": time.perf_counter() - started,
            }
        )


def _guesses(shown: OneRunBound) -> AttackRow:
    low, high = clopper_pearson(shown.right, shown.guesses)
    return AttackRow(
        name="guesses",
        where=f"the {shown.guesses} clearest canaries",
        metric="share of guesses that are right",
        figure=Estimate(
            value=shown.right / shown.guesses,
            low=low,
            high=high,
            chance=0.5,
            note=f"{shown.right} of {shown.guesses}",
        ),
    )


def _finding(lower: float, compared: str) -> str:
    if lower > 0:
        return compared[0].upper() + compared[1:]
    return "Who took part was not detected by this attack: it bounds eps by nothing above 0."


def _notes(canaries: int, shown: OneRunBound) -> tuple[str, ...]:
    return (
        f"With {canaries} canaries all guessed right the bound would be "
        f"{shown.best_possible:.2f}: a larger eps cannot be shown by this design.",
        f"{shown.tried} numbers of guesses were tried and paid for (Bonferroni).",
        "The bound on mu assumes a Gaussian trade-off curve.",
    )
