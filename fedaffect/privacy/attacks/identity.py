"""Fresh identity attackers: who is it, from the embeddings that a released model computes?

The accuracy of a model's own identity head is no measure of privacy: noise on the head breaks the
head, not the leak. These attackers never see the head, only embeddings; they are trained anew on
enrolment windows and tested on other blocks of time.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.errors import DataError
from fedaffect.metrics import (
    accuracy_of,
    bootstrap_over_people,
    hits_per_person,
    identity_chance,
    interval_of,
    resample_people,
)
from fedaffect.privacy.attacks.base import IdentityAttack, IdentityAttacker
from fedaffect.rng import generator, stream_key

MOST_ENROLLED = 4000  # windows; more cost time and hardly help
_LARGEST = 1e30  # stands in for infinity, whose square would overflow


@dataclass(frozen=True)
class LinearProbe:
    """Multinomial logistic regression on standardised embeddings.

    Args:
        inverse_penalty: C of scikit-learn, the inverse of the L2 penalty.
        max_iter: Most L-BFGS iterations.
    """

    name: ClassVar[str] = "linear"
    inverse_penalty: float = 1.0
    max_iter: int = 200

    def predict(
        self, enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray, seed: int
    ) -> np.ndarray:
        """Return the most likely person for each row of ``test``, (m,)."""
        from sklearn.linear_model import LogisticRegression

        enrol, test = _standardise(enrol, test)
        model = LogisticRegression(C=self.inverse_penalty, max_iter=self.max_iter)
        return _fit_predict(model, enrol, enrol_subject, test)


@dataclass(frozen=True)
class LinearDiscriminant:
    """Nearest person in the metric of the pooled covariance, equal priors (Fisher 1936).

    In closed form, and the best attacker where people differ in the mean of correlated features.

    Args:
        shrinkage: Share of the mean variance that is added to every variance.
    """

    name: ClassVar[str] = "lda"
    shrinkage: float = 0.01

    def predict(
        self, enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray, seed: int
    ) -> np.ndarray:
        """Return the nearest person for each row of ``test``, (m,)."""
        enrol, test = _standardise(enrol, test)
        people, who = np.unique(enrol_subject, return_inverse=True)
        member = np.eye(len(people))[who]  # (n, N)
        means = member.T @ enrol / member.sum(axis=0)[:, None]  # (N, H)
        within = enrol - means[who]  # (n, H)
        covariance = within.T @ within / len(enrol)  # (H, H)
        variance = np.trace(covariance) / len(covariance)
        covariance += np.eye(len(covariance)) * (self.shrinkage * variance + 1e-9)
        weights = np.linalg.solve(covariance, means.T)  # (H, N)
        scores = test @ weights - 0.5 * np.sum(means.T * weights, axis=0)  # (m, N)
        answer: np.ndarray = people[scores.argmax(axis=1)]
        return answer


@dataclass(frozen=True)
class KNearestNeighbours:
    """Majority of the nearest enrolment windows, Euclidean on standardised embeddings."""

    name: ClassVar[str] = "knn"
    k: int = 5

    def predict(
        self, enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray, seed: int
    ) -> np.ndarray:
        """Return the person of most neighbours for each row of ``test``, (m,)."""
        from sklearn.neighbors import KNeighborsClassifier

        enrol, test = _standardise(enrol, test)
        model = KNeighborsClassifier(n_neighbors=min(self.k, len(enrol)), algorithm="brute")
        return _fit_predict(model, enrol, enrol_subject, test)


@dataclass(frozen=True)
class SmallMLP:
    """One hidden ReLU layer trained by Adam on standardised embeddings.

    Args:
        hidden: Width of the hidden layer.
        epochs: Most passes over the enrolment windows.
    """

    name: ClassVar[str] = "mlp"
    hidden: int = 64
    epochs: int = 60

    def predict(
        self, enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray, seed: int
    ) -> np.ndarray:
        """Return the most likely person for each row of ``test``, (m,)."""
        from sklearn.neural_network import MLPClassifier

        enrol, test = _standardise(enrol, test)
        model = MLPClassifier(
            hidden_layer_sizes=(self.hidden,),
            alpha=1e-3,
            batch_size=min(128, len(enrol)),
            learning_rate_init=3e-3,
            max_iter=self.epochs,
            random_state=stream_key(seed, "attack", "mlp") % 2**32,
        )
        return _fit_predict(model, enrol, enrol_subject, test)


ATTACKERS: tuple[IdentityAttacker, ...] = (
    LinearProbe(),
    LinearDiscriminant(),
    KNearestNeighbours(),
    SmallMLP(),
)


def attack_identity(
    embeddings: np.ndarray,
    subject: np.ndarray,
    enrol_mask: np.ndarray,
    test_mask: np.ndarray,
    seed: int,
    attackers: Sequence[IdentityAttacker] = ATTACKERS,
) -> list[IdentityAttack]:
    """Let each attacker learn people from some windows and name the people of others.

    Enrolment and test windows must come from different blocks of time, or the attack measures
    overlap of raw samples (see ``data.splits``). Enrolment is thinned to about 4,000 windows, the
    same share of every person. Values that are not finite count as 0 (NaN) or as very large.

    Args:
        embeddings: What the recipient of the model can compute for each window, (N, H).
        subject: Whose window it is, (N,) int64.
        enrol_mask: Windows that the attacker may learn from, (N,) bool.
        test_mask: Windows that the attacker has to name, (N,) bool.
        seed: Master seed.
        attackers: Which attackers to try.

    Returns:
        One result for each attacker, in their order.

    Raises:
        DataError: E364 fewer than two people are enrolled, or nobody is tested; E365 a person is
            tested but not enrolled; E366 a window is in both masks.
    """
    _check(subject, enrol_mask, test_mask)
    enrol = _thin(np.flatnonzero(enrol_mask), subject, seed)
    x, y = _finite(embeddings[enrol]), subject[enrol]  # (n, H), (n,)
    test, truth = _finite(embeddings[test_mask]), subject[test_mask]  # (m, H), (m,)
    results = []
    for attacker in attackers:
        hits = hits_per_person(truth, attacker.predict(x, y, test, seed), truth)
        interval = bootstrap_over_people(hits, accuracy_of, seed=seed)
        assert interval is not None  # there are test windows
        results.append(
            IdentityAttack(
                name=attacker.name,
                accuracy=interval,
                chance=identity_chance(len(np.unique(y))),
                n_people=len(hits),
                n_enrol=len(y),
                n_test=len(truth),
                hits=hits,
            )
        )
    return results


def strongest(results: Sequence[IdentityAttack], seed: int = 0) -> IdentityAttack:
    """Return the headline: the best attacker, with an interval that pays for choosing the best.

    Every resample of people takes its own maximum over attackers, who are compared on the same
    people. The maximum overstates a single attacker slightly, on the side of caution.

    Args:
        results: Attacks on the same test windows, at least one.
        seed: Master seed of the resamples.
    """
    best = max(results, key=lambda result: result.accuracy.value)
    scores = np.max([accuracy_of(resample_people(r.hits, seed)) for r in results], axis=0)  # (R,)
    interval = interval_of(best.accuracy.value, scores, best.n_people)
    assert interval is not None
    return IdentityAttack(
        best.name, interval, best.chance, best.n_people, best.n_enrol, best.n_test, best.hits
    )


def quick_probe(
    enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray, test_subject: np.ndarray
) -> float:
    """Return the accuracy of :class:`LinearDiscriminant`, in milliseconds, for per-round curves.

    Args:
        enrol: Embeddings of known people, (n, H).
        enrol_subject: Whose they are, (n,).
        test: Embeddings to name, (m, H), m >= 1.
        test_subject: Whose they really are, (m,).
    """
    answer = LinearDiscriminant().predict(_finite(enrol), enrol_subject, _finite(test), seed=0)
    return float(np.mean(answer == test_subject))


def _check(subject: np.ndarray, enrol_mask: np.ndarray, test_mask: np.ndarray) -> None:
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


def _thin(windows: np.ndarray, subject: np.ndarray, seed: int) -> np.ndarray:
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


def _finite(x: np.ndarray) -> np.ndarray:
    """Return ``x`` as float64 without NaN and infinities: a diverged model is attacked too."""
    return np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=_LARGEST, neginf=-_LARGEST)


def _standardise(enrol: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale both to mean 0 and deviation 1 of the enrolment windows; constant columns to 0."""
    mean, deviation = enrol.mean(axis=0), enrol.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0.0)
    return (enrol - mean) * scale, (test - mean) * scale


def _fit_predict(model: object, x: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Fit a scikit-learn classifier and answer; an early stop is no reason to warn."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)  # type: ignore[attr-defined]
        answer: np.ndarray = model.predict(test)  # type: ignore[attr-defined]
    return answer
