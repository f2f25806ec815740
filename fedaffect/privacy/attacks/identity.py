"""Fresh identity attackers: who is it, from the embeddings that a released model computes?

The accuracy of a model's own identity head is no measure of privacy: noise on the head breaks the
head, not the leak. These attackers never see the head, only embeddings; they are trained anew on
enrolment windows and tested on other blocks of time.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fedaffect.metrics import (
    accuracy_of,
    bootstrap_over_people,
    hits_per_person,
    identity_chance,
    interval_of,
    resample_people,
)
from fedaffect.privacy.attacks.base import IdentityAttack, IdentityAttacker
from fedaffect.privacy.attacks.enrolment import check_enrolment, finite, thinned
from fedaffect.rng import stream_key


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
        answer: np.ndarray = np.unique(enrol_subject)[
            self.log_probabilities(enrol, enrol_subject, test).argmax(axis=1)
        ]
        return answer

    def log_probabilities(
        self, enrol: np.ndarray, enrol_subject: np.ndarray, test: np.ndarray
    ) -> np.ndarray:
        """Return log-probabilities (m, N) of the N enrolled people, ascending."""
        from sklearn.linear_model import LogisticRegression

        enrol, test = _standardise(enrol, test)
        model = LogisticRegression(C=self.inverse_penalty, max_iter=self.max_iter)
        fitted = _fitted(model, enrol, enrol_subject)
        # the smallest float stands in for a probability of 0, whose logarithm is not finite
        answer: np.ndarray = np.log(np.maximum(fitted.predict_proba(test), np.finfo(float).tiny))
        return answer


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
        answer: np.ndarray = _fitted(model, enrol, enrol_subject).predict(test)
        return answer


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
        answer: np.ndarray = _fitted(model, enrol, enrol_subject).predict(test)
        return answer


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
    check_enrolment(subject, enrol_mask, test_mask)
    enrol = thinned(np.flatnonzero(enrol_mask), subject, seed)
    x, y = finite(embeddings[enrol]), subject[enrol]  # (n, H), (n,)
    test, truth = finite(embeddings[test_mask]), subject[test_mask]  # (m, H), (m,)
    results = []
    for attacker in attackers:
        answers = attacker.predict(x, y, test, seed)
        results.append(scored(attacker.name, answers, truth, y, seed))
    return results


def scored(
    name: str, answers: np.ndarray, truth: np.ndarray, enrol_subject: np.ndarray, seed: int
) -> IdentityAttack:
    """Return the accuracy of ``answers`` with its interval over people.

    Args:
        name: Name of the attacker.
        answers: The person named for each test window, (m,), m >= 1.
        truth: Whose they really are, (m,).
        enrol_subject: Whose windows the attacker learned from, (n,).
        seed: Master seed of the resamples.
    """
    hits = hits_per_person(truth, answers, truth)
    interval = bootstrap_over_people(hits, accuracy_of, seed=seed)
    assert interval is not None  # there are test windows
    return IdentityAttack(
        name=name,
        accuracy=interval,
        chance=identity_chance(len(np.unique(enrol_subject))),
        n_people=len(hits),
        n_enrol=len(enrol_subject),
        n_test=len(truth),
        hits=hits,
        answers=answers,
    )


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
    return replace(best, accuracy=interval)


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
    answer = LinearDiscriminant().predict(finite(enrol), enrol_subject, finite(test), seed=0)
    return float(np.mean(answer == test_subject))


def _standardise(enrol: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale both to mean 0 and deviation 1 of the enrolment windows; constant columns to 0."""
    mean, deviation = enrol.mean(axis=0), enrol.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0.0)
    return (enrol - mean) * scale, (test - mean) * scale


def _fitted(model: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """Return a scikit-learn classifier, fitted; an early stop is no reason to warn."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)
