"""Who is it? Fresh attackers on every layer of the released model, from the input to the heads.

The figure to quote is the strongest fresh attacker on the released embedding, which is all that a
recipient of embeddings holds. Whoever holds the model can compute every layer: the rows are a map
of where people can be told apart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.metrics import estimate
from fedaffect.privacy.attacks.base import IdentityAttack, IdentityAttacker
from fedaffect.privacy.attacks.enrolment import narrowed
from fedaffect.privacy.attacks.evidence import PUBLIC, UNTRAINED, Evidence
from fedaffect.privacy.attacks.identity import ATTACKERS, attack_identity, scored, strongest
from fedaffect.privacy.attacks.naming import (
    NOBODY,
    ClosedSet,
    chance_of,
    closed_set,
    embedding_of,
    found,
    notes_on,
    released_layers,
)
from fedaffect.privacy.attacks.probe_information import information

OWN_HEAD = "own head"
Role = Literal["attack", "baseline"]


@dataclass(frozen=True)
class IdentityByLayer:
    """Closed-set re-identification at every layer (c1).

    Args:
        attackers: Fresh attackers.
        widest: Wider layers are reduced to this many columns.
    """

    id: ClassVar[str] = "c1"
    name: ClassVar[str] = "identity"
    threat: ClassVar[Threat] = "C"
    full: ClassVar[bool] = False
    attackers: tuple[IdentityAttacker, ...] = ATTACKERS
    widest: int = 128

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack every layer; not run where fewer than two people can be named."""
        start = time.perf_counter()
        people = closed_set(evidence.windows)
        if people is None:
            return self._result(status="not_run", reason=NOBODY)
        seed = evidence.seed
        layers = released_layers(evidence, evidence.params, people)
        name = embedding_of(layers)
        attacks: dict[str, list[IdentityAttack]] = {}
        rows: list[AttackRow] = []
        for where, h in layers.items():
            narrow = narrowed(h, people.enrol, self.widest, seed)
            attacks[where] = self._attack(narrow, people, seed)
            of_layer = [_row(attack, where) for attack in attacks[where]]
            of_layer += information(narrow, people, where, seed)
            role: Role = "baseline" if where == "input" else "attack"
            rows += [row.model_copy(update={"role": role}) for row in of_layer]
        best = strongest(attacks[name], seed)
        own = _own_head(evidence, layers, people)
        rows += [] if own is None else [_row(own, "task:identity")]
        untrained = self._at_embedding(evidence, evidence.initial, people)
        rows.append(_row(replace(untrained, name=f"{evidence.before} ({untrained.name})"), name))
        reference = None
        if evidence.reference is not None:
            plain = self._at_embedding(evidence, evidence.reference, people)
            reference = estimate(plain.accuracy, plain.chance)
        chance = chance_of(attacks[name], people.truth, seed)
        return self._result(
            metric="top-1",
            figure=estimate(best.accuracy, best.chance),
            reference=reference,
            smallest_effect=chance.smallest_effect,
            rows=tuple(rows),
            n_members=best.n_test,
            finding=found(best, chance),
            notes=(*notes_on(evidence, chance), *self._notes(evidence, layers, best, own)),
            seconds=time.perf_counter() - start,
        )

    def _attack(self, h: np.ndarray, people: ClosedSet, seed: int) -> list[IdentityAttack]:
        return attack_identity(h, people.subject, people.enrol, people.test, seed, self.attackers)

    def _at_embedding(
        self, evidence: Evidence, params: np.ndarray, people: ClosedSet
    ) -> IdentityAttack:
        """Return the strongest attacker on the embedding that ``params`` (d,) compute."""
        layers = released_layers(evidence, params, people)
        h = narrowed(layers[embedding_of(layers)], people.enrol, self.widest, evidence.seed)
        return strongest(self._attack(h, people, evidence.seed), evidence.seed)

    def _notes(
        self,
        evidence: Evidence,
        layers: Mapping[str, np.ndarray],
        best: IdentityAttack,
        own: IdentityAttack | None,
    ) -> list[str]:
        notes = []
        wide = [where for where, h in layers.items() if h.shape[1] > self.widest]
        if wide:
            notes.append(
                f"layers {', '.join(wide)} are attacked through {self.widest} principal "
                "components of the enrolled windows"
            )
        tasks = [task.name for task in evidence.factory.build().tasks]
        if "identity" in tasks and not evidence.own_head_released:
            notes.append("the identity head never left the clients: nobody can ask it")
        if own is not None and own.accuracy.value > best.accuracy.value:
            notes.append(
                "the model's own identity head names more windows than any new attacker: "
                "whoever holds the model has that figure"
            )
        return notes

    def _result(self, **found: object) -> AttackResult:
        return AttackResult.model_validate(
            {
                "id": self.id,
                "name": self.name,
                "title": "Who is it, from the released embedding?",
                "family": "identity",
                "threat": self.threat,
                "knowledge": "embeddings of other blocks of time with their people's names, "
                "and for the other layers the model",
            }
            | found
        )


def _own_head(
    evidence: Evidence, layers: Mapping[str, np.ndarray], people: ClosedSet
) -> IdentityAttack | None:
    """Return how often the model's own identity head is right; ``None`` without a released one."""
    if "task:identity" not in layers:
        return None
    said = layers["task:identity"][people.test].argmax(axis=1)
    number = evidence.windows.identity[people.rows][people.test]
    answers = np.where(said == number, people.truth, -1)
    return scored(OWN_HEAD, answers, people.truth, people.subject[people.enrol], evidence.seed)


def _row(attack: IdentityAttack, where: str) -> AttackRow:
    figure = estimate(attack.accuracy, attack.chance)
    role: Role = "baseline" if attack.name.startswith((OWN_HEAD, UNTRAINED, PUBLIC)) else "attack"
    return AttackRow(name=attack.name, where=where, metric="top-1", figure=figure, role=role)
