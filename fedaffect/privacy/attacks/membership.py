"""What all membership attacks share: who is compared, signals, reference models, the result.

The score of a window is a function of the stress head only. The identity head knows seen people
by name and has no place for others: its confidence would tell them apart without any leak.
Shapes: n windows of members and non-members, P people, S reference models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.membership_statistics import (
    CHANCE,
    LEVEL,
    Headline,
    MembershipScores,
    strongest,
)
from fedaffect.privacy.attacks.statistics import smallest_effect
from fedaffect.rng import generator, stream_key

NOT_DETECTED = "not detected by these attacks"
_SMALLEST_P = 1e-12


@dataclass(frozen=True)
class Groups:
    """Windows of members (trained on) and of non-members (people in no training).

    Args:
        rows: Indices of the windows, ascending, (n,).
        subject: Whose they are, (n,).
        member: Whether the person took part, (n,) bool.
    """

    rows: np.ndarray
    subject: np.ndarray
    member: np.ndarray

    @property
    def people(self) -> np.ndarray:
        """Numbers of the people, ascending, (P,)."""
        return np.unique(self.subject)

    def scored(self, scores: np.ndarray, seed: int) -> MembershipScores:
        """Return scores (n,) to be judged; what is not finite counts as the clearest "out"."""
        finite = np.where(np.isfinite(scores), scores, -1e9)
        return MembershipScores(finite, self.subject, self.member, seed)


@dataclass(frozen=True)
class Unfit:
    """Why members and non-members cannot be compared."""

    status: Literal["not_run", "refused", "not_resolvable"]
    reason: str


def groups_of(evidence: Evidence) -> Groups | Unfit:
    """Return members and non-members, or why they are no fair comparison.

    Both must come from one distribution, or the attack measures how well the model generalises.
    """
    windows = evidence.windows
    if "stress" not in {task.name for task in evidence.factory.build().tasks}:
        return Unfit("not_run", "the model has no stress head, whose losses tell members")
    if windows.leaks_overlap:
        return Unfit(
            "refused",
            "windows of the two groups share raw samples, so their losses say nothing about "
            "membership",
        )
    if not windows.unseen.any():
        return Unfit(
            "refused",
            "everyone took part: training against held-out windows of the same people would show "
            "the generalisation gap, and the generalisation gap is not leakage",
        )
    if not windows.people_drawn_at_random:
        return Unfit(
            "refused",
            "the unseen people were not drawn at random from one population, so a difference "
            "could be between the people: the generalisation gap is not leakage",
        )
    rows = np.flatnonzero(windows.train | windows.unseen)
    groups = Groups(rows, windows.subject[rows], windows.train[rows])
    members = len(np.unique(groups.subject[groups.member]))
    others = len(groups.people) - members
    if min(members, others) < 2 or math.comb(members + others, others) * LEVEL < 1:
        return Unfit(
            "not_resolvable",
            f"{members} people who took part and {others} who did not are too few to tell any "
            "result from luck",
        )
    return groups


def confidence(evidence: Evidence, params: np.ndarray, groups: Groups) -> np.ndarray:
    """Return the model's probability of the true stress class, (n,) float64, above 0."""
    features, stress = evidence.windows.features[groups.rows], evidence.windows.stress[groups.rows]
    p = evidence.network.probabilities(params, features, "stress")  # (n, 2)
    of_class: np.ndarray = p[np.arange(len(stress)), stress]
    clipped: np.ndarray = np.clip(np.nan_to_num(of_class), _SMALLEST_P, 1.0)
    return clipped


@dataclass(frozen=True)
class References:
    """Models that the attacker trained, each without half of the people.

    Args:
        confidence: Probability of the true stress class of each window, (S, n).
        out: Whether a model was trained without that person, (S, n) bool; each person is out of
            half of the models.
    """

    confidence: np.ndarray
    out: np.ndarray

    def mean_out(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of values (S, n) over the models without the person, (n,)."""
        mean: np.ndarray = np.where(self.out, values, 0).sum(axis=0) / self.out.sum(axis=0)
        return mean


def references_of(evidence: Evidence, groups: Groups, models: int) -> References:
    """Train ``models`` (even) reference models on halves of the people, members or not alike.

    Models come in pairs: one on a random half of the people, one on the others. The first models
    are the same for any number of them, so that a trainer that remembers trains them once.
    """
    people = groups.people
    found, out = [], []
    for number in range(models):
        drawn = generator(evidence.seed, "membership", "halves", number // 2).permutation(people)
        half = len(people) // 2
        chosen = drawn[:half] if number % 2 == 0 else drawn[half:]
        inside = np.isin(groups.subject, chosen)
        train = np.zeros(len(evidence.windows.subject), dtype=bool)
        train[groups.rows[inside]] = True
        params = evidence.trainer.model(
            train, stream_key(evidence.seed, "membership", "model", number) % 2**31
        )
        found.append(confidence(evidence, params, groups))
        out.append(~inside)
    return References(np.stack(found), np.stack(out))


def auc_row(
    name: str, where: str, scored: MembershipScores, role: Literal["attack", "baseline"] = "attack"
) -> AttackRow:
    """Return a line with the area under the ROC."""
    return AttackRow(name=name, where=where, metric="AUC", figure=scored.auc(), role=role)


def judged(
    blank: AttackResult,
    scored: Mapping[str, MembershipScores],
    name: str,
    baselines: Sequence[AttackRow] = (),
    notes: Sequence[str] = (),
) -> AttackResult:
    """Return ``blank`` with what the scores show.

    The headline is the strongest of them; ROC and TPR, which need many non-members, are of the
    first.

    Args:
        blank: Who attacked, and what it knew.
        scored: Where a score applies, such as ``by window``, to the scores; finest first.
        name: What the score is.
        baselines: Further rows.
        notes: Further notes.
    """
    head = strongest(list(scored.values()))
    where = list(scored)[head.best]
    finest = next(iter(scored.values()))
    by_person = finest.by_person()
    people = f"{len(by_person.inside)} against {len(by_person.outside)} people"
    return blank.model_copy(
        update={
            "metric": f"AUC {where}",
            "figure": head.figure,
            "smallest_effect": smallest_effect(CHANCE, head.deviation),
            "rows": (*(auc_row(name, w, s) for w, s in scored.items()), *baselines),
            "roc": finest.roc(),
            "n_members": len(finest.inside),
            "n_nonmembers": len(finest.outside),
            "tpr_at_fpr": finest.tpr_at_fpr(),
            "finding": _finding(head, f"{where}, {people}"),
            "notes": tuple(notes),
        }
    )


def _finding(head: Headline, terms: str) -> str:
    """Return in one sentence whether members were told from non-members."""
    low, high = head.figure.low or 0.0, head.figure.high or 0.0
    shown = f"AUC {head.figure.value:.2f} [{low:.2f}, {high:.2f}], chance 0.50, {terms}"
    luck = f"permuted people reach that with probability {head.p_value:.2g}"
    if head.detected:
        return f"Who took part in training shows in the released model: {shown}; {luck}."
    return f"Membership was {NOT_DETECTED}: {shown}; {luck}."
