"""Who and what is held out: splits in which no test window shares raw samples with training.

Stress is tested on people whom the model never saw wherever there are enough of them. Identity
needs people who were seen, so it is tested on blocks of time held out with a gap.
N windows; a block is a run of one condition within one recording (``partition.blocks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.data.holdout import TOUCH_S, HeldOut, hold_out_of, near
from fedaffect.data.schema import WindowTable
from fedaffect.errors import DataError, UsageError
from fedaffect.rng import generator

RANDOM_FOLDS = 5  # Benouis et al. 2023


@dataclass(frozen=True, eq=False)
class Fold:
    """One train/test division; masks are (N,) bool. Windows in a gap are in no mask.

    Args:
        train: Windows that clients train on, for every task.
        stress_test: Windows that stress is tested on.
        identity_test: Windows of seen people that identity is tested on.
        enrol: Windows that an identity attacker may enrol with: the training windows.
        seen_subjects: People with training windows, ascending.
        unseen_subjects: People held out wholly, ascending.
    """

    train: np.ndarray
    stress_test: np.ndarray
    identity_test: np.ndarray
    enrol: np.ndarray
    seen_subjects: tuple[int, ...]
    unseen_subjects: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """All folds and how they were made.

    Args:
        spec: ``unseen``, ``blocks``, ``loso`` or ``random``; never ``auto``.
        folds: One or more divisions of the same table.
        description: One line for terminal and report.
        gap_s: Smallest time between a held-out block and training data of the same recording
            that was kept to, in seconds; 0 for ``random``.
        leaks_overlap: Whether test windows may share raw samples with training windows.
    """

    spec: str
    folds: tuple[Fold, ...]
    description: str
    gap_s: float
    leaks_overlap: bool

    @property
    def seen_subjects(self) -> tuple[tuple[int, ...], ...]:
        """People with training windows, a tuple a fold."""
        return tuple(fold.seen_subjects for fold in self.folds)

    @property
    def unseen_subjects(self) -> tuple[tuple[int, ...], ...]:
        """People held out wholly, a tuple a fold."""
        return tuple(fold.unseen_subjects for fold in self.folds)


def make_split(
    table: WindowTable,
    spec: str,
    *,
    clients: int,
    seed: int,
    gap_s: float = 60.0,
    partition: str = "subject",
) -> Split:
    """Divide ``table`` into training and test windows.

    Args:
        table: Windows of all people.
        spec: ``auto`` (``unseen`` where people can be spared, else ``blocks``); ``unseen`` (some
            people are held out for stress, blocks of the others for identity); ``blocks`` (both
            tasks are tested on held-out blocks of the same people); ``loso`` (as ``unseen``, one
            fold a person); ``random`` (five folds of single windows: leaks overlap).
        clients: Number of clients. Under partition ``subject`` it decides how many people train.
        seed: Master seed; people are drawn from its stream ``split``.
        gap_s: Time to keep free around held-out blocks, at least one window.
        partition: Registered name of the partition.

    Raises:
        UsageError: E221 ``unseen`` asked for, but every person is needed by a client.
        DataError: E360 train and test share samples; E361 nothing left to train; E362 nothing
            left to test; E363 fewer than two people.
    """
    people = np.unique(table.subject)
    if spec == "auto":
        spare = len(people) > clients if partition == "subject" else len(people) > 2
        spec = "unseen" if spare else "blocks"
    if spec == "random":
        return _random(table, seed)
    if spec != "blocks" and len(people) < 2:
        raise DataError(
            "E363",
            f"--eval {spec} holds out people, but {table.dataset} has {len(people)}",
            do="--eval blocks",
        )
    away = _away(people, spec, clients, seed, partition)
    never_seen = set.intersection(*(set(ids) for ids in away))
    held_out = [h for p in people if p not in never_seen for h in hold_out_of(table, int(p), gap_s)]
    gap_used_s = min((gap for _, gap in held_out), default=max(gap_s, table.window_s))
    folds = tuple(_fold(table, held_out, ids) for ids in away)
    split = Split(spec, folds, _describe(spec, folds, gap_used_s), gap_used_s, leaks_overlap=False)
    _assert_testable(split, table)
    assert_no_shared_samples(split, table)
    return split


def assert_no_shared_samples(split: Split, table: WindowTable) -> None:
    """Prove by time intervals that no test window shares a raw sample with a training window.

    Raises:
        DataError: E360 with the first pair of windows that do, or with a person who should be
            unseen and has training windows.
    """
    for number, fold in enumerate(split.folds):
        learned = fold.train | fold.enrol
        unseen = learned & np.isin(table.subject, fold.unseen_subjects)
        if unseen.any():
            name = table.subjects[table.subject[unseen][0]]
            raise DataError("E360", f"fold {number}: {name} is held out, yet has training windows")
        pair = _overlapping_pair(table, learned, fold.stress_test | fold.identity_test)
        if pair is not None:
            a, b = pair
            raise DataError(
                "E360",
                f"fold {number}: training window {a} (from {table.start_s[a]:g} s) and test window "
                f"{b} (from {table.start_s[b]:g} s) of {table.subjects[table.subject[a]]} share "
                "samples",
                do="a larger data.gap_s; please report this",
            )


def _overlapping_pair(
    table: WindowTable, train: np.ndarray, test: np.ndarray
) -> tuple[int, int] | None:
    """Return a window of each mask that overlap in time within one recording, if any do."""
    reach_s = table.window_s - TOUCH_S
    for recording in np.unique(table.recording[test]):
        here = table.recording == recording
        a, b = np.flatnonzero(train & here), np.flatnonzero(test & here)
        a, b = a[np.argsort(table.start_s[a])], b[np.argsort(table.start_s[b])]
        first = np.searchsorted(table.start_s[b], table.start_s[a] - reach_s, side="right")
        after = np.searchsorted(table.start_s[b], table.start_s[a] + reach_s, side="left")
        hits = np.flatnonzero(first < after)
        if len(hits):
            return int(a[hits[0]]), int(b[first[hits[0]]])
    return None


def _away(
    people: np.ndarray, spec: str, clients: int, seed: int, partition: str
) -> list[np.ndarray]:
    """Return the people held out wholly in each fold."""
    if spec == "blocks":
        return [people[:0]]
    if spec == "loso":
        return [people[i : i + 1] for i in range(len(people))]
    count = len(people) - clients if partition == "subject" else max(1, round(len(people) / 5))
    if count < 1:
        raise UsageError(
            "E221",
            f"--clients {clients} leaves none of {len(people)} subjects unseen (--eval unseen)",
            do=f"--clients {max(1, len(people) - 1)}, or --eval blocks",
        )
    return [np.sort(generator(seed, "split").permutation(people)[:count])]


def _fold(table: WindowTable, held_out: list[HeldOut], away: np.ndarray) -> Fold:
    unseen = np.isin(table.subject, away)
    tested = np.zeros(len(table), dtype=bool)
    for block, _ in held_out:
        tested[block] = True
    train = ~unseen & ~near(table, held_out)
    identity_test = ~unseen & tested
    stress_test = unseen if len(away) else identity_test
    seen = np.setdiff1d(np.unique(table.subject), away)
    return Fold(train, stress_test, identity_test, train, _ids(seen), _ids(away))


def _random(table: WindowTable, seed: int) -> Split:
    """Deal windows of each person and class out to five folds at random, as the paper does."""
    rng = generator(seed, "split", "random")
    fold_of = np.empty(len(table), dtype=np.int64)
    at = 0
    for cell in np.unique(np.stack([table.subject, table.stress]), axis=1).T:
        here = np.flatnonzero((table.subject == cell[0]) & (table.stress == cell[1]))
        fold_of[rng.permutation(here)] = (at + np.arange(len(here))) % RANDOM_FOLDS
        at += len(here)
    folds = []
    for number in range(RANDOM_FOLDS):
        test = fold_of == number
        seen = np.unique(table.subject[~test])
        folds.append(Fold(~test, test, test, ~test, _ids(seen), ()))
    split = Split("random", tuple(folds), _describe("random", folds, 0.0), 0.0, leaks_overlap=True)
    _assert_testable(split, table)
    return split


def _assert_testable(split: Split, table: WindowTable) -> None:
    for number, fold in enumerate(split.folds):
        missing = [i for i in fold.seen_subjects if not (fold.train & (table.subject == i)).any()]
        if missing or not fold.train.any():
            name = table.subjects[missing[0]] if missing else "everyone"
            raise DataError("E361", f"fold {number}: {name} keeps no training window")
        for task, test in (("stress", fold.stress_test), ("identity", fold.identity_test)):
            if not test.any():
                raise DataError(
                    "E362",
                    f"fold {number}: no window of {table.dataset} is left to test {task}",
                    do="longer recordings, more people, or shorter windows",
                )


def _describe(spec: str, folds: Sequence[Fold], gap_s: float) -> str:
    first = folds[0]
    blocks = f"held-out blocks, {round(gap_s, 1):g} s gap"
    if spec == "random":
        return (
            f"random windows, {len(folds)} folds: test windows overlap training windows in "
            "time, results are inflated"
        )
    if spec == "blocks":
        return f"stress and identity: {blocks}, of the same {len(first.seen_subjects)} people"
    if spec == "loso":
        return f"stress: one unseen person in each of {len(folds)} folds; identity: {blocks}"
    unseen = len(first.unseen_subjects)
    return f"stress: {unseen} unseen {'person' if unseen == 1 else 'people'}; identity: {blocks}"


def _ids(people: np.ndarray) -> tuple[int, ...]:
    return tuple(int(p) for p in people)
