"""Did this person take part? The mean membership score of all windows of a person.

The unit that people care about, and that client-level privacy speaks of where a client is one
person. The score of a window is RMIA's (Zarifzadeh, Liu & Shokri 2024); averaging it over a
person's windows is the subject-level attack of A. Suri et al., "Subject Membership Inference
Attacks in Federated Learning", 2022.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar

from fedaffect.audit_record import AttackResult, EpsBound, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.membership import Unfit, groups_of, judged
from fedaffect.privacy.attacks.membership_loss import BY_PERSON
from fedaffect.privacy.attacks.membership_rmia import KNOWLEDGE, Rmia
from fedaffect.privacy.attacks.membership_statistics import MembershipScores
from fedaffect.privacy.audits.bounds import clopper_pearson_eps
from fedaffect.privacy.audits.claims import bound_terms, claim_of, verdict

THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
_ONE_RUN = (
    "The bound on epsilon takes the guesses about different people as independent, which one run "
    "cannot show: it is beside the claim, and no gate. Canary clients have no such condition."
)


@dataclass(frozen=True)
class SubjectMembership:
    """Membership of a person (a3).

    Args:
        windows: The attack on windows whose scores are averaged.
    """

    id: ClassVar[str] = "a3"
    name: ClassVar[str] = "membership-subject"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = True
    windows: Rmia = field(default_factory=Rmia)

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; not resolvable where too few people are on either side."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Did this person take part in training?",
            family="membership",
            threat=self.threat,
            knowledge=KNOWLEDGE,
        )
        groups = groups_of(evidence)
        if isinstance(groups, Unfit):
            return blank.model_copy(update={"status": groups.status, "reason": groups.reason})
        scored = self.windows.scored(evidence, groups).by_person()
        bound, notes = _bound(evidence, scored)
        result = judged(
            blank, {BY_PERSON: scored}, "mean RMIA score", notes=(*self.windows.notes(), *notes)
        )
        return result.model_copy(update={"bound": bound, "seconds": time.perf_counter() - started})


def eps_by_person(scored: MembershipScores, delta: float, confidence: float = 0.95) -> float:
    """Return a lower bound on eps from guesses about people, if these are independent.

    The attacker says "took part" above one of the ``THRESHOLDS``, which are fixed beforehand;
    each is tested at ``1 - confidence`` over their number.
    """
    inside, outside = scored.inside, scored.outside
    each = 1 - (1 - confidence) / len(THRESHOLDS)
    return max(
        clopper_pearson_eps(
            int((inside > t).sum()),
            len(inside),
            int((outside > t).sum()),
            len(outside),
            delta,
            each,
        )
        for t in THRESHOLDS
    )


def _bound(evidence: Evidence, scored: MembershipScores) -> tuple[EpsBound | None, list[str]]:
    """Return the bound beside the claim to outsiders, where it speaks of a person, and notes."""
    plan = evidence.plan
    terms = bound_terms(evidence, claim_of(evidence, "external"))
    if terms.unit != "client" or max(plan.clients_per_subject, plan.subjects_per_client) > 1:
        return None, ["No bound on epsilon: the unit of the statement is not one person."]
    members, others = len(scored.inside), len(scored.outside)
    each = 1 - (1 - terms.confidence) / len(THRESHOLDS)
    bound = terms.model_copy(
        update={
            "observer": "external",
            "lower": eps_by_person(scored, terms.delta, terms.confidence),
            "best_possible": clopper_pearson_eps(members, members, 0, others, terms.delta, each),
        }
    )
    return bound, [_ONE_RUN, verdict(bound)]
