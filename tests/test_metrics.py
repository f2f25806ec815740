import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from fedaffect.metrics import (
    STRESS_SCORES,
    Interval,
    accuracy,
    accuracy_of,
    balanced_accuracy,
    bootstrap_over_people,
    counts_per_person,
    hits_per_person,
    identity_chance,
    macro_f1,
    macro_f1_of,
    resample_people,
    stress_chance,
    stress_scores,
)

answers = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


@settings(deadline=None)
@given(answers)
def test_scores_agree_with_scikit_learn(pairs):
    true, predicted = np.array(pairs).T
    assert accuracy(true, predicted) == pytest.approx(reference.accuracy_score(true, predicted))
    if len(set(true)) == 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f1 = reference.f1_score(true, predicted, average="macro", zero_division=0)
            recall = reference.balanced_accuracy_score(true, predicted)
        assert macro_f1(true, predicted) == pytest.approx(f1)
        assert balanced_accuracy(true, predicted) == pytest.approx(recall)
    else:
        assert macro_f1(true, predicted) is None
        assert balanced_accuracy(true, predicted) is None


def test_nothing_to_score_is_none():
    nothing = np.empty(0, dtype=int)
    assert accuracy(nothing, nothing) is None
    assert set(stress_scores(nothing, nothing, nothing, seed=0).values()) == {None}


def simulated(seed, n_people=12):
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n_people), rng.integers(5, 30, n_people)) * 7 + 3  # any ids
    skill = rng.random(n_people)[(people - 3) // 7]
    true = rng.integers(0, 2, len(people))
    return true, np.where(rng.random(len(people)) < skill, true, 1 - true), people


@pytest.mark.parametrize("name", STRESS_SCORES)
def test_the_interval_agrees_with_a_slow_bootstrap(name):
    true, predicted, people = simulated(1)
    slow_score = {
        "accuracy": reference.accuracy_score,
        "balanced_accuracy": reference.balanced_accuracy_score,
        "macro_f1": lambda t, p: reference.f1_score(t, p, average="macro"),
    }[name]
    rng = np.random.default_rng(5)
    ids, scores = np.unique(people), []
    for _ in range(600):
        rows = np.concatenate([np.flatnonzero(people == i) for i in rng.choice(ids, len(ids))])
        scores.append(slow_score(true[rows], predicted[rows]))
    low, high = np.quantile(scores, [0.025, 0.975])
    interval = stress_scores(true, predicted, people, seed=0)[name]
    assert interval.value == pytest.approx(slow_score(true, predicted))
    assert interval.low == pytest.approx(low, abs=0.02)  # Monte Carlo error of both, about .006
    assert interval.high == pytest.approx(high, abs=0.02)
    assert interval.n_people == 12


def test_resampling_people_is_wider_than_resampling_windows():
    # 10 people, 5 always right and 5 always wrong, 100 windows each. Over people the standard
    # error of the mean is sqrt(.25 / 10) = .158; over windows it would be .016.
    people = np.repeat(np.arange(10), 100)
    hits = hits_per_person(people, np.where(people < 5, people, 0), people)
    interval = bootstrap_over_people(hits, accuracy_of, seed=0)
    assert interval.value == 0.5
    assert (interval.low, interval.high) == (0.2, 0.8)  # binomial(10, .5) quantiles / 10


def test_the_interval_covers_in_about_95_of_100_studies():
    rng = np.random.default_rng(0)
    covered = 0
    for study in range(300):  # 30 people whose skill is uniform on [.4, .8]: expected accuracy .6
        right = rng.binomial(20, rng.uniform(0.4, 0.8, 30))
        hits = np.zeros((30, 2, 2), dtype=int)
        hits[:, 0, 0], hits[:, 0, 1] = right, 20 - right
        interval = bootstrap_over_people(hits, accuracy_of, seed=study, n_resamples=400)
        covered += interval.low <= 0.6 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_resamples_without_a_class_are_left_out():
    true = np.array([0] * 10 + [1] * 10)
    people = true  # each person has one class
    interval = stress_scores(true, true, people, seed=0)["macro_f1"]
    assert (interval.value, interval.high, interval.n_people) == (1.0, 1.0, 2)
    assert interval.low == pytest.approx(0.025 ** (1 / 2))  # Clopper & Pearson, 2 people


def test_one_person_says_nothing_about_others():
    interval = stress_scores(np.array([0, 1, 1]), np.array([0, 1, 0]), np.zeros(3), seed=0)
    assert interval["accuracy"] == Interval(2 / 3, 0.0, 1.0, 1)


def test_the_seed_alone_decides_and_pairs_resamples():
    counts = counts_per_person(*simulated(2))
    assert bootstrap_over_people(counts, macro_f1_of, seed=1) == bootstrap_over_people(
        counts, macro_f1_of, seed=1
    )
    assert bootstrap_over_people(counts, macro_f1_of, seed=1) != bootstrap_over_people(
        counts, macro_f1_of, seed=2
    )
    both = resample_people(np.stack([counts, 2 * counts], axis=1), seed=4)
    assert np.array_equal(2 * both[:, 0], both[:, 1])
    assert np.array_equal(both[:, 0], resample_people(counts, seed=4))


def test_counts_of_each_person():
    true, predicted, people = np.array([[0, 1, 1, 2], [0, 2, 1, 2], [8, 8, 5, 5]])
    counts = counts_per_person(true, predicted, people, classes=3)
    assert counts.tolist() == [
        [[0, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 0, 1], [0, 0, 0]],
    ]
    assert hits_per_person(true, predicted, people)[:, 0].tolist() == [[2, 0], [1, 1]]


def test_chance_is_what_constant_answers_reach():
    true = np.array([0] * 30 + [1] * 10)
    chance = stress_chance(true)
    majority = np.zeros(40, dtype=int)
    assert chance["accuracy"] == accuracy(true, majority) == 0.75
    assert chance["balanced_accuracy"] == balanced_accuracy(true, majority) == 0.5
    assert chance["macro_f1"] == pytest.approx(macro_f1(true, majority))
    assert stress_chance(true[:30]) == {
        "accuracy": 1.0,
        "balanced_accuracy": None,
        "macro_f1": None,
    }
    assert identity_chance(20) == 0.05


def test_a_thousand_resamples_take_less_than_a_tenth_of_a_second():
    counts = counts_per_person(*simulated(3, n_people=35))
    bootstrap_over_people(counts, macro_f1_of, seed=0)
    started = time.process_time()
    bootstrap_over_people(counts, macro_f1_of, seed=0)
    assert time.process_time() - started < 0.1
