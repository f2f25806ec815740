"""What an attack on identity is, and what it reports.

Shapes: n enrolment windows, m test windows, H embedding dimensions, N people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from fedaffect.metrics import Interval


class IdentityAttacker(Protocol):
    """A closed-set identifier: a frozen dataclass, its fields are its options."""

    name: ClassVar[str]

    def predict(
        self, enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray, seed: int
    ) -> np.ndarray:
        """Learn people from embeddings and name the people of other embeddings.

        Args:
            enrol: Embeddings of known people, (n, H), finite.
            enrol_subject: Whose they are, (n,) int64, at least two people.
            test: Embeddings to name, (m, H), finite.
            seed: Seed of whatever the attacker draws.

        Returns:
            A person of ``enrol_subject`` for each row of ``test``, (m,).
        """


@dataclass(frozen=True)
class IdentityAttack:
    """How often an attacker names the right person, by window.

    Args:
        name: Name of the attacker.
        accuracy: Top-1 accuracy over test windows with its interval over people.
        chance: 1 / number of enrolled people.
        n_people: People who are tested.
        n_enrol: Windows that the attacker learned from.
        n_test: Windows that were tested.
        hits: Right and wrong answers of each person, (P, 2, 2), as of
            ``metrics.hits_per_person``; kept so that attackers can be compared on the same people.
        answers: The person named for each test window, (m,).
    """

    name: str
    accuracy: Interval
    chance: float
    n_people: int
    n_enrol: int
    n_test: int
    hits: np.ndarray = field(repr=False, compare=False)
    answers: np.ndarray = field(repr=False, compare=False)
