"""Yes-or-no questions about clients, and how well shadow clients answer them from uploads.

Shapes: S shadow clients, n attacked clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow
from fedaffect.privacy.attacks.attacker_uploads import STEPS_NOTE
from fedaffect.privacy.attacks.membership_statistics import CHANCE, MembershipScores, strongest
from fedaffect.privacy.attacks.naming import FEWEST, NOT_DETECTED
from fedaffect.privacy.attacks.shadow import FEWEST_APART, Seen, Shadows, answers, folds, usable
from fedaffect.privacy.attacks.statistics import smallest_effect
from fedaffect.rng import generator

FEWEST_OF_A_KIND = 2  # attacked clients with either answer
NULL = "shadow labels permuted"
SHARED = "the attacker also learned from other windows of the attacked clients' people"


@dataclass(frozen=True, eq=False)
class Question:
    """A question about every client.

    Args:
        name: What is asked.
        tells: The same after "Uploads tell".
        seen: Uploads of the rounds.
        shadow: Answers for the shadow clients, (S,): 0 or 1, -1 where unknown.
        target: True answers for the attacked clients, (n,): 0 or 1, -1 where unknown.
    """

    name: str
    tells: str
    seen: Sequence[Seen]
    shadow: np.ndarray
    target: np.ndarray

    @property
    def unfit(self) -> str:
        """Why it cannot be answered; empty where it can."""
        for of, asked, fewest in (
            ("clients", self.target, FEWEST_OF_A_KIND),
            ("shadow clients", self.shadow, FEWEST_APART),
        ):
            counts = [int((asked == answer).sum()) for answer in (0, 1)]
            if min(counts) < fewest:
                return f"{self.name}: {counts[1]} {of} with it and {counts[0]} without"
        return ""


def judged(
    blank: AttackResult, questions: Sequence[Question], shadows: Shadows, notes: tuple[str, ...]
) -> AttackResult:
    """Return ``blank`` with the figures of ``questions``; the strongest is the headline.

    Args:
        blank: The attack, without figures.
        questions: What is asked.
        shadows: Shadow clients and attacked clients.
        notes: What else a reader needs to know.
    """
    asked = [q for q in questions if not q.unfit]
    notes += tuple(q.unfit for q in questions if q.unfit)
    if len(shadows.clients) < FEWEST or not asked:
        why = (
            f"fewer than {FEWEST} clients can be told from one another"
            if len(shadows.clients) < FEWEST
            else f"no question has both answers often enough ({'; '.join(notes[-2:])})"
        )
        return blank.model_copy(update={"status": "not_resolvable", "reason": why, "notes": notes})
    apart, seed = shadows.apart(), shadows.evidence.seed
    rows, scored = [], []
    where = "rounds " + ", ".join(str(round_.server_round) for round_ in shadows.rounds)
    for question in asked:
        mixed = generator(seed, "shadow", "null", question.name).permutation(question.shadow)
        true = _scores(question, question.shadow, apart, seed)
        null = _scores(question, mixed, apart, seed)
        scored.append(true)
        rows += [
            AttackRow(name=question.name, where=where, metric="AUC", figure=true.auc()),
            AttackRow(
                name=f"{question.name}, {NULL}",
                where=where,
                metric="AUC",
                figure=null.auc(),
                role="baseline",
            ),
        ]
        strangers = (apart[fold].all(axis=0) for fold in folds(len(apart)))
        if any((usable(question.shadow, own) & ~own).any() for own in strangers):
            notes += (f"{question.name}: {SHARED}.",)
    best = strongest(scored)
    tells, member = asked[best.best].tells, scored[best.best].member
    return blank.model_copy(
        update={
            "metric": "AUC",
            "figure": best.figure,
            "smallest_effect": smallest_effect(CHANCE, best.deviation),
            "rows": tuple(rows),
            "n_members": int(member.sum()),
            "n_nonmembers": int((~member).sum()),
            "finding": f"Uploads tell {tells}: AUC {best.figure.value:.2f} (chance 0.50)."
            if best.detected
            else f"What was asked is {NOT_DETECTED}.",
            "notes": (
                *notes,
                f"{len(shadows.drawn)} shadow clients, trained from the same parameters on windows "
                "of unseen people and enrolment windows, clipped and noised as in the run.",
                f"Intervals are over clients; with the clients' answers permuted, "
                f"{best.p_value:.1%} of figures are as large (all questions counted).",
                *((STEPS_NOTE,) if shadows.evidence.mechanism.noise_at == "steps" else ()),
            ),
        }
    )


def _scores(
    question: Question, truth: np.ndarray, apart: np.ndarray, seed: int
) -> MembershipScores:
    """Return the scores of the clients whose true answer is known."""
    known = np.flatnonzero(question.target >= 0)
    scores = answers(question.seen, truth, apart)[known]
    return MembershipScores(scores, known, question.target[known] == 1, seed)
