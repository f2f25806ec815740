"""Who is it, to an attacker who adapts: it averages windows and learns from averages.

Enrolment goes through the released model itself, so that whatever perturbs embeddings (noise in
training, noise on inputs) perturbs what the attacker learns from alike. Noise on single windows
averages out over windows that are known to belong together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.metrics import estimate
from fedaffect.privacy.attacks.base import IdentityAttack, IdentityAttacker
from fedaffect.privacy.attacks.enrolment import finite, narrowed, thinned
from fedaffect.privacy.attacks.evidence import Evidence
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

PARTS = 3  # of enrolment, for cross-validation
MOST = 10  # windows that an attacker on whole blocks learns from at a time
LARGEST_STEP = 1.5  # windows; a larger step in time ends a block


@dataclass(frozen=True)
class AdaptiveIdentity:
    """Closed-set re-identification from several windows of a block (c3).

    For every number of windows the attacker is chosen within enrolment. The figure is the best of
    them and of every attacker on single windows (c1), with an interval that pays for choosing.

    Args:
        attackers: Fresh attackers.
        averages: How many successive windows of a block are averaged; 0 averages whole blocks.
        widest: Wider embeddings are reduced to this many columns.
    """

    id: ClassVar[str] = "c3"
    name: ClassVar[str] = "identity-adaptive"
    threat: ClassVar[Threat] = "C"
    full: ClassVar[bool] = False
    attackers: tuple[IdentityAttacker, ...] = ATTACKERS
    averages: tuple[int, ...] = (2, 5, 10, 0)
    widest: int = 128

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack the embedding; not run where fewer than two people can be named."""
        start = time.perf_counter()
        people = closed_set(evidence.windows)
        if people is None:
            return self._result(status="not_run", reason=NOBODY)
        seed = evidence.seed
        layers = released_layers(evidence, evidence.params, people)
        name = embedding_of(layers)
        h = narrowed(layers[name], people.enrol, self.widest, seed)
        plain = attack_identity(h, people.subject, people.enrol, people.test, seed, self.attackers)
        chosen = [(self._choice(h, people, n, seed), n) for n in self.averages]
        attacks = [*plain, *(_attack(a, h, people, n, seed) for a, n in chosen)]
        best, chance = strongest(attacks, seed), chance_of(attacks, people.truth, seed)
        options = [*((a, 1) for a in self.attackers), *chosen]
        attacker, n = options[[a.name for a in attacks].index(best.name)]

        def again(params: np.ndarray, where: str = name) -> IdentityAttack:
            """Attack other activations in the way that was strongest."""
            other = released_layers(evidence, params, people)[where]
            return _attack(
                attacker, narrowed(other, people.enrol, self.widest, seed), people, n, seed
            )

        reference = None if evidence.reference is None else again(evidence.reference)
        return self._result(
            metric="top-1",
            figure=estimate(best.accuracy, best.chance),
            reference=reference and estimate(reference.accuracy, reference.chance),
            smallest_effect=chance.smallest_effect,
            rows=(
                *(_row(attack, name) for attack in attacks),
                _row(again(evidence.params, "input"), "input", "raw signal"),
                _row(again(evidence.initial), name, evidence.before),
            ),
            n_members=best.n_test,
            finding=found(best, chance),
            notes=(
                "a window counts as right where the mean of the windows that it is averaged with "
                "is given to the right person",
                *notes_on(evidence, chance),
            ),
            seconds=time.perf_counter() - start,
        )

    def _choice(self, h: np.ndarray, people: ClosedSet, n: int, seed: int) -> IdentityAttacker:
        """Return the attacker that names most enrolled windows, by cross-validation in time."""
        parts = [people.held_out(part, PARTS) for part in range(PARTS)]
        within = [part for part in parts if part is not None]

        def right(attacker: IdentityAttacker) -> float:
            found = [_attack(attacker, h, part, n, seed) for part in within]
            return sum(attack.accuracy.value * attack.n_test for attack in found)

        return max(self.attackers, key=right)

    def _result(self, **found: object) -> AttackResult:
        return AttackResult.model_validate(
            {
                "id": self.id,
                "name": self.name,
                "title": "Who is it, from several windows of one block?",
                "family": "identity",
                "threat": self.threat,
                "knowledge": "embeddings of other blocks of time with their people's names, and "
                "which windows follow one another",
            }
            | found
        )


def _attack(
    attacker: IdentityAttacker, h: np.ndarray, people: ClosedSet, n: int, seed: int
) -> IdentityAttack:
    """Return how an attacker on means of ``n`` windows does, scored by window.

    Whole blocks (0) are named by what was learned from means of ten windows.
    """
    enrol, named, _ = means(h, people, people.enrol, n or MOST)
    test, _, group = means(h, people, people.test, n)
    kept = thinned(np.arange(len(enrol)), named, seed)
    answers = attacker.predict(finite(enrol[kept]), named[kept], finite(test), seed)[group]
    name = attacker.name if n == 1 else f"{attacker.name}, means of {n or 'all'} windows"
    return scored(name, answers, people.truth, people.subject[people.enrol], seed)


def means(
    h: np.ndarray, people: ClosedSet, mask: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average successive windows of a block: a recording of one person without a break.

    Args:
        h: Embeddings, (n, H).
        people: Whose they are, and when.
        mask: Windows to average, (n,) bool.
        n: How many; 0 averages whole blocks. The last group of a block may be smaller.

    Returns:
        Means (G, H), whose they are (G,), and the group of every window of ``mask`` (m,).
    """
    places = np.flatnonzero(mask)
    order = np.lexsort((people.start_s[places], people.recording[places], people.subject[places]))
    at = places[order]
    begins = np.ones(len(at), dtype=bool)
    begins[1:] = (
        (np.diff(people.subject[at]) != 0)
        | (np.diff(people.recording[at]) != 0)
        | (np.diff(people.start_s[at]) > LARGEST_STEP * people.window_s)
    )
    first = np.flatnonzero(begins)
    place = np.arange(len(at)) - first[np.cumsum(begins) - 1]  # in its block
    if n:
        begins |= place % n == 0
    number = np.cumsum(begins) - 1
    sums = np.zeros((number[-1] + 1, h.shape[1]))
    np.add.at(sums, number, finite(h[at]))
    group = np.empty(len(at), dtype=np.int64)
    group[order] = number
    return sums / np.bincount(number)[:, None], people.subject[at][begins], group


def _row(attack: IdentityAttack, where: str, baseline: str = "") -> AttackRow:
    return AttackRow(
        name=f"{baseline} ({attack.name})" if baseline else attack.name,
        where=where,
        metric="top-1",
        figure=estimate(attack.accuracy, attack.chance),
        role="baseline" if baseline else "attack",
    )
