"""Who took part? Windows that were trained on have a lower loss.

Paper: S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, "Privacy Risk in Machine Learning: Analyzing
the Connection to Overfitting", CSF 2018. Nothing is trained: the attacker asks the model once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.membership import (
    Groups,
    Unfit,
    auc_row,
    confidence,
    groups_of,
    judged,
)
from fedaffect.privacy.attacks.membership_statistics import LEVEL, MembershipScores

BY_WINDOW, BY_PERSON = "by window", "by person"
_STRESS_ONLY = (
    "The stress loss is used alone: the identity head has no place for unseen people, so that its "
    "confidence is no sign of membership."
)


@dataclass(frozen=True)
class LossThreshold:
    """Calls a window a member where its stress loss is low (a1)."""

    id: ClassVar[str] = "a1"
    name: ClassVar[str] = "membership-loss"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = False

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; refused where members and non-members are no fair comparison."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Did this window, or this person, take part in training? (loss)",
            family="membership",
            threat=self.threat,
            knowledge="the final global model and the windows and stress labels of people who may "
            "have taken part",
        )
        groups = groups_of(evidence)
        if isinstance(groups, Unfit):
            return blank.model_copy(update={"status": groups.status, "reason": groups.reason})
        scored = self._scored(evidence, evidence.params, groups)
        untrained = self._scored(evidence, evidence.initial, groups)
        baselines = _rows(evidence.before, untrained)
        plain = None
        if evidence.reference is not None:
            plain = self._scored(evidence, evidence.reference, groups)
            baselines += _rows("same run without DP", plain)
        result = judged(
            blank,
            scored,
            "stress loss",
            baselines,
            (_STRESS_ONLY, *_confounded(untrained, evidence.before)),
        )
        where = result.metric.removeprefix("AUC ")
        return result.model_copy(
            update={
                "reference": plain[where].auc() if plain is not None else None,
                "seconds": time.perf_counter() - started,
            }
        )

    def _scored(
        self, evidence: Evidence, params: np.ndarray, groups: Groups
    ) -> dict[str, MembershipScores]:
        """Return minus the loss of each window, and its mean over each person."""
        log_likelihood = np.log(confidence(evidence, params, groups))
        by_window = groups.scored(log_likelihood, evidence.seed)
        return {BY_WINDOW: by_window, BY_PERSON: by_window.by_person()}


def _rows(name: str, scored: dict[str, MembershipScores]) -> list[AttackRow]:
    return [auc_row(name, where, scores, "baseline") for where, scores in scored.items()]


def _confounded(untrained: dict[str, MembershipScores], name: str) -> list[str]:
    """Say so where a model that never saw anyone tells the groups apart as well."""
    if min(scores.p_value for scores in untrained.values()) * len(untrained) > LEVEL:
        return []
    return [
        f"Before round 1 ({name}) the two groups can be told apart as well: they differ in more "
        "than membership, and this figure shows that too."
    ]
