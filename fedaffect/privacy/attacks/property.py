"""What do uploads tell about the data of a client? Its class ratio, and properties planted in it.

A missing sensor and a condition that was never recorded are planted: half of the attacked clients
train once more on their own windows, changed so, and half of the shadow clients are changed alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.privacy.attacks.attribute import (
    PREVALENCE,
    TELLS_PREVALENCE,
    above_median,
    stress_shares,
)
from fedaffect.privacy.attacks.channels import channels_of
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.shadow import Change, Seen, Shadows, answers, shadows_of
from fedaffect.privacy.attacks.shadow_questions import Question, judged
from fedaffect.privacy.attacks.statistics import over_people
from fedaffect.record import Estimate
from fedaffect.rng import generator

CONDITION = "no window of the stress condition (planted)"
TELLS_CONDITION = "which clients hold no window of the stress condition (planted)"


@dataclass(frozen=True)
class PropertyInference:
    """Class ratio, missing sensor and missing condition of clients, by shadow clients (b4).

    Args:
        shadows: Number of shadow clients.
        rounds: Most rounds whose uploads are looked at.
    """

    id: ClassVar[str] = "b4"
    name: ClassVar[str] = "property"
    threat: ClassVar[Threat] = "B"
    full: ClassVar[bool] = True
    shadows: int = 64
    rounds: int = 2

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; not run without uploads, not resolvable with fewer than four clients."""
        start = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="What do uploads tell about a client's data? Properties by shadow clients",
            family="attribute",
            threat=self.threat,
            knowledge="uploads with their senders, how clients train, windows of unseen people "
            "and enrolment windows with their labels",
        )
        shadows = shadows_of(evidence, self.shadows, self.rounds)
        if isinstance(shadows, str):
            return blank.model_copy(update={"status": "not_run", "reason": shadows})
        seen = shadows.real()
        shares = [stress_shares(evidence, held) for held in (shadows.drawn, shadows.targets)]
        questions = [
            Question(PREVALENCE, TELLS_PREVALENCE, seen, *(above_median(share) for share in shares))
        ]
        questions.append(_planted(shadows, CONDITION, TELLS_CONDITION, _without_stress(evidence)))
        notes: tuple[str, ...] = ("Planted properties are read from updates made for the audit.",)
        channels = channels_of(evidence.windows)
        if len(channels) > 1:
            name = next(iter(channels))
            change = _without_channel(evidence, channels[name])
            tells = f"which clients lack {name} (planted)"
            questions.append(_planted(shadows, f"no {name} (planted)", tells, change))
        else:
            notes += ("The windows have one channel: none can be missing.",)
        result = judged(blank, questions, shadows, notes)
        if result.status == "done":
            ratio = _class_ratio(shadows, seen, shares[0], shares[1])
            result = result.model_copy(update={"rows": (*result.rows, ratio)})
        return result.model_copy(update={"seconds": time.perf_counter() - start})


def _planted(shadows: Shadows, name: str, tells: str, change: Change) -> Question:
    """Return the question who of shadow and attacked clients was changed."""
    draw = generator(shadows.evidence.seed, "property", name)
    sizes = (len(shadows.drawn), len(shadows.targets))
    changed = [draw.permutation(size) < size // 2 for size in sizes]
    seen = shadows.planted(change, changed[0], changed[1])
    return Question(name, tells, seen, changed[0].astype(np.int64), changed[1].astype(np.int64))


def _without_stress(evidence: Evidence) -> Change:
    def change(rows: np.ndarray) -> tuple[np.ndarray, None]:
        calm = rows[evidence.windows.stress[rows] != 1]
        return (calm if len(calm) else rows), None

    return change


def _without_channel(evidence: Evidence, columns: np.ndarray) -> Change:
    def change(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = evidence.windows.features[rows].copy()
        features[:, columns] = 0.0
        return rows, features

    return change


def _class_ratio(
    shadows: Shadows, seen: list[Seen], of_shadows: np.ndarray, true: np.ndarray
) -> AttackRow:
    """Return how well a regression finds the share of stress windows, over clients."""
    said = answers(seen, of_shadows, shadows.apart(), regress=True)

    def correlation(chosen: np.ndarray) -> float:
        x, y = said[chosen], true[chosen]
        constant = min(np.ptp(x), np.ptp(y)) < 1e-12
        return float("nan") if constant else float(np.corrcoef(x, y)[0, 1])

    value = correlation(np.arange(len(true)))
    metric = "correlation"
    if np.isnan(value):
        figure = Estimate(value=None, chance=0.0, note="all clients have the same share")
    else:
        low, high = over_people(correlation, np.arange(len(true)), seed=shadows.evidence.seed)
        figure = Estimate(value=value, low=low, high=high, chance=0.0, n_people=len(true))
    where = "rounds " + ", ".join(str(round_.server_round) for round_ in shadows.rounds)
    return AttackRow(name="share of stress windows", where=where, metric=metric, figure=figure)
