"""Canary clients: an estimate of epsilon from one run.

Paper: G. Andrew et al., "One-shot Empirical Privacy Estimation for Federated Learning", ICLR 2024
(arXiv 2302.03098): random unit directions, scored against the exact null N(0, 1/d) of cosines.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import ClassVar

from fedaffect.audit_record import AttackResult, AttackRow, EpsBound, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.statistics import auc
from fedaffect.privacy.audits.bounds import gdp_eps
from fedaffect.privacy.audits.canary_scores import (
    NO_CANARIES,
    CanaryScores,
    canary_scores,
    interval_of_mean,
)
from fedaffect.privacy.audits.claims import bound_terms, claim_of
from fedaffect.record import Estimate

KNOWLEDGE = (
    "The model before and after training, and each canary's direction; not who took part, nor any "
    "round in between."
)
GAUSSIAN = "Estimate and mu assume a Gaussian trade-off curve; an estimate is no bound."


@dataclass(frozen=True)
class CanaryAudit:
    """How far the included canaries' scores lie from those of canaries that were left out.

    Scores are in units of their deviation under the null, which is known exactly, so the mean of
    the included ones is an estimate of mu.
    """

    id: ClassVar[str] = "e2"
    name: ClassVar[str] = "canary"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = False

    def run(self, evidence: Evidence) -> AttackResult:
        """Estimate mu, and from it eps at the claim's delta."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Canary clients: estimate of epsilon",
            family="bound",
            threat=self.threat,
            knowledge=KNOWLEDGE,
            metric="mu (0: members cannot be told from non-members)",
        )
        if evidence.canaries is None:
            return blank.model_copy(update={"status": "not_run", "reason": NO_CANARIES})
        found = canary_scores(evidence, evidence.canaries)
        inside, outside = found.inside, found.outside
        if min(len(inside), len(outside)) < 2:
            why = f"{len(inside)} canaries took part and {len(outside)} did not: too few to compare"
            return blank.model_copy(update={"status": "not_resolvable", "reason": why})
        mu = float(inside.mean())
        low, high = interval_of_mean(inside)
        one_sided, _ = interval_of_mean(inside, 0.90)  # its lower end holds with 95 %
        bound = _estimated(evidence, mu, one_sided)
        return blank.model_copy(
            update={
                "figure": Estimate(value=mu, low=low, high=high, chance=0.0, note="over canaries"),
                "rows": _rows(found),
                "smallest_effect": (1.96 + 1.2816) / math.sqrt(len(inside)),
                "n_members": len(inside),
                "n_nonmembers": len(outside),
                "bound": bound,
                "finding": _finding(bound, low, high),
                "notes": (GAUSSIAN, "Intervals are over canaries: none of them is a person."),
                "seconds": time.perf_counter() - started,
            }
        )


def _estimated(evidence: Evidence, mu: float, low: float) -> EpsBound:
    terms = bound_terms(evidence, claim_of(evidence, "participants", "external"))
    eps = gdp_eps(max(mu, 0.0), terms.delta) if terms.delta > 0 else None
    return terms.model_copy(update={"estimate": eps, "mu": mu, "mu_low": max(low, 0.0)})


def _rows(found: CanaryScores) -> tuple[AttackRow, ...]:
    inside, outside = found.inside, found.outside
    low, high = interval_of_mean(outside)
    ranked = auc(inside, outside)
    return (
        AttackRow(
            name="canaries left out",
            metric="mean score (0 if the null holds)",
            figure=Estimate(value=float(outside.mean()), low=low, high=high, chance=0.0),
            role="baseline",
        ),
        AttackRow(
            name="canaries left out",
            metric="deviation of the score (1 if the null holds)",
            figure=Estimate(value=float(outside.std(ddof=1)), chance=1.0),
            role="baseline",
        ),
        AttackRow(
            name="canaries that took part",
            metric="deviation of the score",
            figure=Estimate(value=float(inside.std(ddof=1)), chance=1.0),
        ),
        AttackRow(name="canaries", metric="AUC", figure=Estimate(value=ranked, chance=0.5)),
    )


def _finding(bound: EpsBound, low: float, high: float) -> str:
    eps = "" if bound.estimate is None else f", an estimated eps of {bound.estimate:.2f}"
    said = f"mu is estimated as {bound.mu:.2f} ({low:.2f} to {high:.2f}){eps}"
    if low <= 0:
        return f"Who took part was not detected by this attack: {said}."
    beside = "" if bound.claimed is None else f", beside a claimed {bound.claimed:.2f}"
    return f"Canaries leave a trace in the model: {said}{beside}."
