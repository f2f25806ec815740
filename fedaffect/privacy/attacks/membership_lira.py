"""Who took part? How unusual a window's confidence is among models without that person.

Paper: N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramer, "Membership Inference Attacks
From First Principles", S&P 2022: the offline likelihood-ratio attack (LiRA).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.membership import (
    References,
    Unfit,
    confidence,
    groups_of,
    judged,
    references_of,
)
from fedaffect.privacy.attacks.membership_loss import BY_PERSON, BY_WINDOW
from fedaffect.privacy.attacks.membership_rmia import KNOWLEDGE

_CLOSEST_TO_ONE = 1 - 1e-12


def logit_scaled(p: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)), which is close to Gaussian over models, for p in (0, 1]."""
    p = np.minimum(p, _CLOSEST_TO_ONE)
    scaled: np.ndarray = np.log(p) - np.log1p(-p)
    return scaled


def lira_scores(target: np.ndarray, references: References, *, one_variance: bool) -> np.ndarray:
    """Return how many deviations the model's logit lies above those of models without it, (n,).

    The paper's score is Pr[N(mu_out, sd_out) <= logit], which rises with this one.

    Args:
        target: The attacked model's probability of the true class, (n,).
        references: The shadow models.
        one_variance: One deviation for all windows, which is better with few shadow models
            (section VI of the paper); otherwise each window has its own.
    """
    logits = logit_scaled(references.confidence)  # (S, n)
    mean = references.mean_out(logits)
    models = references.out.sum(axis=0)
    variance = references.mean_out((logits - mean) ** 2) * models / np.maximum(models - 1, 1)
    if one_variance:
        variance = np.full_like(variance, variance.mean())
    scores: np.ndarray = (logit_scaled(target) - mean) / np.sqrt(np.maximum(variance, 1e-12))
    return scores


@dataclass(frozen=True)
class OfflineLira:
    """Offline likelihood-ratio attack with shadow models (a2).

    Args:
        models: Shadow models, an even number; half of them are without a given person.
        one_variance: Whether all windows share one variance.
    """

    id: ClassVar[str] = "a2"
    name: ClassVar[str] = "membership-lira"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = True
    models: int = 16
    one_variance: bool = True

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; refused where members and non-members are no fair comparison."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Did this window, or this person, take part in training? (LiRA)",
            family="membership",
            threat=self.threat,
            knowledge=KNOWLEDGE,
        )
        groups = groups_of(evidence)
        if isinstance(groups, Unfit):
            return blank.model_copy(update={"status": groups.status, "reason": groups.reason})
        references = references_of(evidence, groups, self.models)
        target = confidence(evidence, evidence.params, groups)
        scores = lira_scores(target, references, one_variance=self.one_variance)
        by_window = groups.scored(scores, evidence.seed)
        scored = {BY_WINDOW: by_window, BY_PERSON: by_window.by_person()}
        spread = "one variance for all windows" if self.one_variance else "a variance a window"
        note = (
            f"{self.models} shadow models, each trained without DP on half of the people; Gaussian "
            f"fit to the models without a person, {spread}."
        )
        result = judged(blank, scored, "LiRA, offline", notes=(note,))
        return result.model_copy(update={"seconds": time.perf_counter() - started})
