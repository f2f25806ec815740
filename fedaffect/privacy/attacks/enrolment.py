"""Which windows an attack on identity learns from, and numbers that any attacker can take."""

from __future__ import annotations

import numpy as np

from fedaffect.errors import DataError
from fedaffect.rng import generator

MOST_ENROLLED = 4000  # windows; more cost time and hardly help
LARGEST = 1e30  # stands in for infinity, whose square would overflow


def check_enrolment(subject: np.ndarray, enrol_mask: np.ndarray, test_mask: np.ndarray) -> None:
    """Raise where a closed-set attack makes no sense: masks (N,) over windows of ``subject``.

    Raises:
        DataError: E364, E365 or E366, as ``attack_identity`` says.
    """
    if (enrol_mask & test_mask).any():
        raise DataError("E366", "identity attack: a window is both enrolled and tested")
    enrolled, tested = np.unique(subject[enrol_mask]), np.unique(subject[test_mask])
    if len(enrolled) < 2 or not len(tested):
        raise DataError(
            "E364",
            f"identity attack: {len(enrolled)} people enrolled, {len(tested)} tested",
            do="at least two people with training windows, and held-out windows of theirs",
        )
    strangers = np.setdiff1d(tested, enrolled)
    if len(strangers):
        raise DataError(
            "E365",
            f"identity attack: person {strangers[0]} is tested but not enrolled",
            do="test only people who were seen in training",
        )


def thinned(windows: np.ndarray, subject: np.ndarray, seed: int) -> np.ndarray:
    """Return at most about 4,000 of ``windows``, the same share of every person, ascending."""
    if len(windows) <= MOST_ENROLLED:
        return windows
    share = MOST_ENROLLED / len(windows)
    rng = generator(seed, "attack", "enrol")
    kept = []
    for person in np.unique(subject[windows]):
        own = windows[subject[windows] == person]
        kept.append(rng.permutation(own)[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(kept))


def finite(x: np.ndarray) -> np.ndarray:
    """Return ``x`` as float64 without NaN and infinities: a diverged model is attacked too."""
    return np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=LARGEST, neginf=-LARGEST)
