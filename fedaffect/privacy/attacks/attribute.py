"""What do uploads tell about the people who trained? Attributes by shadow clients."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.shadow import shadows_of
from fedaffect.privacy.attacks.shadow_questions import Question, judged

PREVALENCE = "stress prevalence above the median"
TELLS_PREVALENCE = "which clients have a share of stress windows above the median"


@dataclass(frozen=True)
class AttributeInference:
    """Attributes of people from the uploads of their clients, by shadow clients (b2).

    Args:
        shadows: Number of shadow clients.
        rounds: Most rounds whose uploads are looked at.
    """

    id: ClassVar[str] = "b2"
    name: ClassVar[str] = "attribute"
    threat: ClassVar[Threat] = "B"
    full: ClassVar[bool] = True
    shadows: int = 96
    rounds: int = 3

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; not run without uploads, not resolvable with fewer than four clients."""
        start = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="What do uploads tell about the people? Attributes by shadow clients",
            family="attribute",
            threat=self.threat,
            knowledge="uploads with their senders, how clients train, windows of unseen people "
            "and enrolment windows with their labels and attributes",
        )
        shadows = shadows_of(evidence, self.shadows, self.rounds)
        if isinstance(shadows, str):
            return blank.model_copy(update={"status": "not_run", "reason": shadows})
        w, seen = evidence.windows, shadows.real()
        shares = [stress_shares(evidence, held) for held in (shadows.drawn, shadows.targets)]
        questions = [
            Question(PREVALENCE, TELLS_PREVALENCE, seen, *(above_median(share) for share in shares))
        ]
        for name, values in w.attributes.items():
            high = split_in_two(values)
            of_clients = (_shared_by(high, w.subject, h) for h in (shadows.drawn, shadows.targets))
            questions.append(Question(name, f"the {name} of a client's people", seen, *of_clients))
        missing = [name for name in ("sex", "age") if name not in w.attributes]
        notes = tuple(f"The data tell no {name} of people." for name in missing)
        result = judged(blank, questions, shadows, notes)
        return result.model_copy(update={"seconds": time.perf_counter() - start})


def stress_shares(evidence: Evidence, held: Sequence[np.ndarray]) -> np.ndarray:
    """Return the share of stress windows of each client, (n,)."""
    return np.array([np.mean(evidence.windows.stress[rows] == 1) for rows in held])


def above_median(figures: np.ndarray) -> np.ndarray:
    """Return 1 where a figure (n,) is above the median of all, else 0."""
    above: np.ndarray = (figures > np.median(figures)).astype(np.int64)
    return above


def split_in_two(values: np.ndarray) -> np.ndarray:
    """Return 1 for the larger values and 0 for the smaller, as evenly as whole values allow.

    Args:
        values: Values of people, (P,) int64, -1 where unknown; they stay -1, and so does everyone
            where all have the same value.
    """
    known = values[values >= 0]
    cuts = np.unique(known)[1:]
    if not len(cuts):
        return np.full(len(values), -1)
    cut = min(cuts, key=lambda c: abs(np.mean(known >= c) - 0.5))
    return np.where(values < 0, -1, values >= cut)


def _shared_by(high: np.ndarray, subject: np.ndarray, held: Sequence[np.ndarray]) -> np.ndarray:
    """Return the answer (n,) that all people of a client share; -1 where they differ."""
    answers = [np.unique(high[subject[rows]]) for rows in held]
    return np.array([a[0] if len(a) == 1 else -1 for a in answers])
