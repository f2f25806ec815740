"""Is it the same person? Verification of people whom the model never saw.

A stranger is enrolled with the embeddings of some recordings; windows of a later recording are
then compared with everybody's enrolment. The model was never trained on any of them, so no
protection of training data speaks for them: what is measured lies in the representation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.naming import (
    FEWEST,
    NOT_DETECTED,
    chance_in,
    embedding_of,
)
from fedaffect.privacy.attacks.pair_scores import PairScores, strongest_eer
from fedaffect.privacy.attacks.strangers import strangers_of
from fedaffect.record import Estimate

FPRS = (0.1, 0.01, 0.001)
ACROSS, WITHIN = "across recordings", "within a recording"


@dataclass(frozen=True)
class Verification:
    """Verification of unseen people by the cosine to an enrolment mean (c2).

    The figure is the equal error rate: the lower, the more the embedding tells; 0.5 is chance.
    """

    id: ClassVar[str] = "c2"
    name: ClassVar[str] = "verification"
    threat: ClassVar[Threat] = "C"
    full: ClassVar[bool] = False

    def run(self, evidence: Evidence) -> AttackResult:
        """Verify; refused without unseen people, not resolvable with fewer than four."""
        start = time.perf_counter()
        w, seed = evidence.windows, evidence.seed
        if not w.unseen.any():
            why = "everybody took part in training, and verification is about people who did not"
            return self._result(status="refused", reason=why)
        people = strangers_of(w)
        if people is None or len(people.people) < FEWEST:
            why = f"fewer than {FEWEST} unseen people can be enrolled and tested"
            return self._result(status="not_resolvable", reason=why)

        def embedded(params: np.ndarray) -> dict[str, np.ndarray]:
            return evidence.network.layers(params, w.features)

        layers = embedded(evidence.params)
        name = embedding_of(layers)
        where = ACROSS if people.across else WITHIN
        attacks = people.scores(layers[name])
        rows = [row for scores in attacks for row in _rows(scores, where, seed)]
        notes = [f"{len(attacks[0].owner)} windows of {len(people.people)} unseen people"]
        if people.across:
            same = people.scores(layers[name], within=True)
            rows += [row for scores in same for row in _rows(scores, WITHIN, seed)]
            notes.append(_drop(attacks, same))
        else:
            notes.append("one recording a person: what is special about it may pass for identity")
        for what, h in (("raw signal", layers["input"]), (evidence.before, None)):
            h = embedded(evidence.initial)[name] if h is None else h
            figure = strongest_eer(people.scores(h), seed)
            rows.append(_row(f"{what}, strongest", where, "EER", figure, "baseline"))
        reference = None
        if evidence.reference is not None:
            reference = strongest_eer(people.scores(embedded(evidence.reference)[name]), seed)
        best = min(attacks, key=lambda scores: scores.eer)
        permuted = np.min([scores.permuted_eer(seed) for scores in attacks], axis=0)
        chance = chance_in(permuted, higher_is_stronger=False)
        notes.append(f"with people permuted, {chance.p_value:.1%} of rates are as low")
        notes += evidence.frozen_embedding
        return self._result(
            metric="EER",
            figure=strongest_eer(attacks, seed),
            reference=reference,
            smallest_effect=chance.smallest_effect,
            rows=tuple(rows),
            roc=best.curve(),
            n_members=best.people,
            n_nonmembers=best.pairs,
            tpr_at_fpr={f"{fpr:g}": best.tpr_at(fpr, seed) for fpr in FPRS},
            finding=f"{best.name} {where} tells strangers apart with an equal error rate of "
            f"{best.eer:.1%} (chance 50 %)."
            if chance.detected
            else f"Telling strangers apart is {NOT_DETECTED}.",
            notes=tuple(notes),
            seconds=time.perf_counter() - start,
        )

    def _result(self, **found: object) -> AttackResult:
        return AttackResult.model_validate(
            {
                "id": self.id,
                "name": self.name,
                "title": "Is it the same person? People whom the model never saw",
                "family": "identity",
                "threat": self.threat,
                "knowledge": "embeddings of earlier recordings of each person, and embeddings of "
                "the people in training with their names",
            }
            | found
        )


def _rows(scores: PairScores, where: str, seed: int) -> list[AttackRow]:
    low, high = scores.d_prime_interval(seed)
    d_prime = Estimate(value=scores.d_prime, low=low, high=high, chance=0.0, n_people=scores.people)
    return [
        _row(scores.name, where, "EER", strongest_eer([scores], seed), "attack"),
        _row(scores.name, where, "d'", d_prime, "attack"),
    ]


def _row(
    name: str, where: str, metric: str, figure: Estimate, role: Literal["attack", "baseline"]
) -> AttackRow:
    return AttackRow(name=name, where=where, metric=metric, figure=figure, role=role)


def _drop(across: Sequence[PairScores], within: Sequence[PairScores]) -> str:
    """Say what a new recording costs the attacker."""
    rates = [min(scores.eer for scores in attacks) for attacks in (within, across)]
    return f"equal error rate {rates[0]:.1%} within a recording, {rates[1]:.1%} across recordings"
