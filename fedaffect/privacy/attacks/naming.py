"""Closed-set naming: who can be named at all, and how good an attacker looks by luck alone.

Shapes: n windows used, m test windows, N enrolled people, A attackers, R permutations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedaffect.privacy.attacks.base import IdentityAttack
from fedaffect.privacy.attacks.evidence import Evidence, Windows
from fedaffect.privacy.attacks.statistics import smallest_effect
from fedaffect.rng import generator

LEVEL = 0.05  # of the test behind the word "detected"
FEWEST = 4  # people: with three, one permutation in six is the identity
PERMUTATIONS = 999
NOT_DETECTED = "not detected by these attacks"
NOBODY = "naming needs two people with enrolled windows, and held-out windows of one of them"


@dataclass(frozen=True)
class ClosedSet:
    """The windows that a closed-set attack uses: masks over ``rows``, never both.

    Args:
        rows: Indices of the windows, ascending, (n,).
        subject: Whose they are, (n,).
        recording: Recording of the window, (n,).
        start_s: Start of the window in its recording, (n,) seconds.
        window_s: Length of a window in seconds.
        enrol: Which of them the attacker may learn from, (n,) bool.
        test: Which of them have to be named, (n,) bool.
    """

    rows: np.ndarray
    subject: np.ndarray
    recording: np.ndarray
    start_s: np.ndarray
    window_s: float
    enrol: np.ndarray
    test: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """Whose the test windows are, (m,)."""
        truth: np.ndarray = self.subject[self.test]
        return truth

    def held_out(self, part: int, parts: int) -> ClosedSet | None:
        """Return a naming task within enrolment: ``part`` (from 0) of every person's time.

        What shares raw samples with the held-out part is left out. ``None`` where fewer than two
        people are left to enrol.
        """
        order = np.lexsort((self.start_s, self.recording, self.subject))
        order = order[self.enrol[order]]
        _, first, count = np.unique(self.subject[order], return_index=True, return_counts=True)
        rank = np.arange(len(order)) - np.repeat(first, count)
        of = rank * parts // np.repeat(count, count)
        test = np.zeros_like(self.enrol)
        test[order[of == part]] = True
        enrol = self.enrol & ~test
        for r in np.unique(self.recording[test]):
            here = np.flatnonzero(enrol & (self.recording == r))
            apart_s = self.start_s[here, None] - self.start_s[test & (self.recording == r)]
            enrol[here[(np.abs(apart_s) < self.window_s).any(axis=1)]] = False
        left = np.unique(self.subject[enrol])
        test &= np.isin(self.subject, left)
        if len(left) < 2 or not test.any():
            return None
        return replace(self, enrol=enrol, test=test)


def closed_set(windows: Windows) -> ClosedSet | None:
    """Return who can be named among whom; ``None`` with fewer than two people or nobody tested."""
    enrolled = np.unique(windows.subject[windows.enrol])
    test = windows.identity_test & np.isin(windows.subject, enrolled) & ~windows.enrol
    if len(enrolled) < 2 or not test.any():
        return None
    rows = np.flatnonzero(windows.enrol | test)
    return ClosedSet(
        rows,
        windows.subject[rows],
        windows.recording[rows],
        windows.start_s[rows],
        windows.window_s,
        windows.enrol[rows],
        test[rows],
    )


@dataclass(frozen=True)
class Chance:
    """What the strongest of some attackers reaches where nothing leaks.

    Args:
        mean: Mean over permutations of people.
        deviation: Standard deviation over permutations.
        p_value: Share of the permutations in which it is at least as strong as it was.
        smallest_effect: Smallest figure that this design finds in 9 of 10 cases.
    """

    mean: float
    deviation: float
    p_value: float
    smallest_effect: float

    @property
    def detected(self) -> bool:
        """Whether luck explains the figure in at most 5 % of cases."""
        return self.p_value <= LEVEL


def chance_of(attacks: Sequence[IdentityAttack], truth: np.ndarray, seed: int) -> Chance:
    """Return how strong the strongest of ``attacks`` looks when people's names are permuted.

    Permuting whole people's names in enrolment permutes an attacker's answers, so nothing has to
    be trained again. Windows of one person stay together: what they share counts once.

    Args:
        attacks: Attacks on the same test windows, at least one.
        truth: Whose the test windows are, (m,).
        seed: Master seed of the permutations.
    """
    answers = np.stack([attack.answers for attack in attacks])  # (A, m)
    names, coded = np.unique(np.concatenate([truth[None], answers]), return_inverse=True)
    coded = coded.reshape(len(attacks) + 1, -1)
    people = max(len(names), round(1 / attacks[0].chance))
    share = np.zeros((len(attacks), people, people))  # of windows of person i called person j
    for table, said in zip(share, coded[1:], strict=True):
        np.add.at(table, (coded[0], said), 1 / len(truth))
    orders = permutations(people, seed)  # (R, N), the first is the identity
    scores = share[:, np.arange(people), orders].sum(axis=-1).max(axis=0)  # (R,)
    return chance_in(scores, higher_is_stronger=True)


def chance_in(scores: np.ndarray, *, higher_is_stronger: bool) -> Chance:
    """Return what scores over permutations (R,) say; the first is the true order.

    Source: permutation test with the true order counted, Phipson & Smyth 2010.
    """
    strength = scores if higher_is_stronger else 1 - scores
    mean, deviation = float(strength.mean()), float(strength.std())
    found = smallest_effect(mean, deviation)
    return Chance(
        mean=mean if higher_is_stronger else 1 - mean,
        deviation=deviation,
        p_value=float(np.mean(strength >= strength[0] - 1e-12)),
        smallest_effect=found if higher_is_stronger else 1 - found,
    )


def permutations(count: int, seed: int) -> np.ndarray:
    """Return orders of ``count`` people, (R, count): all of them where they are few.

    The first is the identity; of many people, 999 random ones follow it.
    """
    if math.factorial(min(count, 10)) <= PERMUTATIONS:
        return np.array(list(itertools.permutations(range(count))))
    draw = generator(seed, "attack", "permutation", count)
    drawn = [draw.permutation(count) for _ in range(PERMUTATIONS)]
    return np.array([np.arange(count), *drawn])


def found(best: IdentityAttack, chance: Chance) -> str:
    """Return what was found, as one sentence; ``best`` is the strongest attacker."""
    if len(best.hits) < FEWEST:
        return f"{best.n_people} people are too few to tell naming from luck"
    if not chance.detected:
        return f"Naming people is {NOT_DETECTED}."
    return (
        f"{best.name} names the person of {best.accuracy.value:.1%} of windows "
        f"(chance {best.chance:.1%})."
    )


def notes_on(evidence: Evidence, chance: Chance) -> tuple[str, ...]:
    """Return what a reader of a closed-set figure needs to know."""
    luck = f"with people's names permuted, {chance.p_value:.1%} of figures are as large"
    overlap = "test windows may share raw samples with enrolled ones: the figures are too high"
    said = (luck, overlap) if evidence.windows.leaks_overlap else (luck,)
    return said + evidence.frozen_embedding


def released_layers(
    evidence: Evidence, params: np.ndarray, people: ClosedSet
) -> dict[str, np.ndarray]:
    """Return layer name to activations (n, H) of ``people``; without a head that was kept."""
    layers = evidence.network.layers(params, evidence.windows.features[people.rows])
    kept = set() if evidence.own_head_released else {"task:identity"}
    return {name: h for name, h in layers.items() if name not in kept}


def embedding_of(layers: Iterable[str]) -> str:
    """Return the name of the released embedding: the last layer before the heads."""
    return [name for name in layers if not name.startswith("task:")][-1]
