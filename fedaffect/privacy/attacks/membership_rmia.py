"""Who took part? Windows that the model likes better than models without that person do.

Paper: S. Zarifzadeh, P. Liu, R. Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML
2024 (RMIA), offline: reference models that never saw the person.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.membership import (
    Groups,
    Unfit,
    confidence,
    groups_of,
    judged,
    references_of,
)
from fedaffect.privacy.attacks.membership_loss import BY_PERSON, BY_WINDOW
from fedaffect.privacy.attacks.membership_statistics import MembershipScores

KNOWLEDGE = (
    "the final global model, how it was trained, and windows with stress labels of all people, on "
    "which to train reference models; not who took part"
)


def rmia_scores(
    target: np.ndarray, mean_out: np.ndarray, subject: np.ndarray, a: float, gamma: float
) -> np.ndarray:
    """Return the share of other people's windows that a window beats by ``gamma``, (n,).

    With p(x) = ((1 + a) mean_out(x) + 1 - a) / 2, the offline approximation, the score of x is
    Pr_z[(p(x|model) / p(x)) / (p(z|model) / p(z)) >= gamma].

    Args:
        target: The attacked model's probability of the true class, (n,).
        mean_out: Mean of the same over reference models without the person, (n,).
        subject: Whose windows they are, (n,); z runs over everyone else's, member or not, so that
            both groups are treated alike.
        a: How much seeing a window lifts a low probability; 1 means not at all.
        gamma: Threshold of the ratio.
    """
    ratio = target / (((1 + a) * mean_out + 1 - a) / 2)  # (n,)
    beaten = np.searchsorted(np.sort(ratio), ratio / gamma, side="right")
    people, who = np.unique(subject, return_inverse=True)
    own = np.zeros(len(ratio), dtype=np.int64)
    for person in range(len(people)):
        mine = who == person
        own[mine] = np.searchsorted(np.sort(ratio[mine]), ratio[mine] / gamma, side="right")
    others = len(ratio) - np.bincount(who)[who]
    shares: np.ndarray = (beaten - own) / others
    return shares


@dataclass(frozen=True)
class Rmia:
    """Robust membership inference with few reference models (a2).

    Args:
        models: Reference models, an even number; half of them are without a given person.
        a: Constant of the offline approximation, from the paper (its value for CIFAR-10).
        gamma: Threshold of the likelihood ratio.
    """

    id: ClassVar[str] = "a2"
    name: ClassVar[str] = "membership-rmia"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = True
    models: int = 4
    a: float = 0.3
    gamma: float = 1.0

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; refused where members and non-members are no fair comparison."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Did this window, or this person, take part in training? (RMIA)",
            family="membership",
            threat=self.threat,
            knowledge=KNOWLEDGE,
        )
        groups = groups_of(evidence)
        if isinstance(groups, Unfit):
            return blank.model_copy(update={"status": groups.status, "reason": groups.reason})
        by_window = self.scored(evidence, groups)
        scored = {BY_WINDOW: by_window, BY_PERSON: by_window.by_person()}
        result = judged(blank, scored, "RMIA", notes=self.notes())
        return result.model_copy(update={"seconds": time.perf_counter() - started})

    def scored(self, evidence: Evidence, groups: Groups) -> MembershipScores:
        """Return the RMIA score of each window; trains the reference models."""
        references = references_of(evidence, groups, self.models)
        target = confidence(evidence, evidence.params, groups)
        mean_out = references.mean_out(references.confidence)
        scores = rmia_scores(target, mean_out, groups.subject, self.a, self.gamma)
        return groups.scored(scores, evidence.seed)

    def notes(self) -> tuple[str, ...]:
        """Return what the figure rests on."""
        return (
            f"{self.models} reference models, each trained without DP on half of the people; "
            f"offline constant a = {self.a:g}, gamma = {self.gamma:g}.",
        )
