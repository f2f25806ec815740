import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from evidence import people
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from fedaffect.privacy.attacks.enrolment import narrowed
from fedaffect.privacy.attacks.identity import LinearProbe, scored
from fedaffect.privacy.attacks.naming import (
    PERMUTATIONS,
    ClosedSet,
    chance_of,
    closed_set,
    permutations,
)
from fedaffect.privacy.attacks.probe_information import information


def answered(answers, truth, count):
    """An attack with these answers, among ``count`` enrolled people."""
    return scored("given", answers, truth, np.arange(count), seed=0)


def by_hand(answers, truth, order):
    return np.mean([said == order[who] for said, who in zip(answers, truth, strict=True)])


def test_chance_is_what_all_permutations_of_few_people_give():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 60)
    said = [np.where(rng.random(60) < 0.3, truth, rng.integers(0, 5, 60)) for _ in range(3)]
    chance = chance_of([answered(a, truth, 5) for a in said], truth, seed=0)
    scores = [max(by_hand(a, truth, o) for a in said) for o in itertools.permutations(range(5))]
    assert len(scores) == 120
    assert chance.mean == pytest.approx(np.mean(scores))
    assert chance.deviation == pytest.approx(np.std(scores))
    assert chance.p_value == pytest.approx(np.mean(np.array(scores) >= scores[0] - 1e-12))


def test_chance_of_one_attacker_has_the_moments_of_a_combinatorial_sum():
    # Hoeffding 1951: mean of all cells times N, variance of the doubly centred cells / (N - 1)
    rng = np.random.default_rng(1)
    truth, answers = rng.integers(0, 12, 4000), rng.integers(0, 12, 4000)
    answers = np.where(rng.random(4000) < 0.4, truth // 2, answers)
    share = np.zeros((12, 12))
    np.add.at(share, (truth, answers), 1 / 4000)
    centred = share - share.mean(0) - share.mean(1)[:, None] + share.mean()
    deviation = np.sqrt((centred**2).sum() / 11)
    chance = chance_of([answered(answers, truth, 12)], truth, seed=0)
    assert chance.mean == pytest.approx(1 / 12, abs=4 * deviation / np.sqrt(PERMUTATIONS))
    assert chance.deviation == pytest.approx(deviation, rel=0.1)
    found = chance.mean + (stats.norm.ppf(0.975) + stats.norm.ppf(0.9)) * chance.deviation
    assert chance.smallest_effect == pytest.approx(found)


def test_windows_of_one_person_count_once():
    truth = np.repeat(np.arange(10), 100)
    mapped = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 3])[truth]  # three people right, by luck or not
    chance = chance_of([answered(mapped, truth, 10)], truth, seed=0)
    # three fixed points or more of ten: about 1 - 5 / (2 e) = 8 % of permutations
    assert chance.p_value == pytest.approx(1 - 2.5 / np.e, abs=0.03)
    assert not chance.detected


@given(st.integers(2, 12), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_permutations_begin_with_the_true_order(count, seed):
    orders = permutations(count, seed)
    assert (orders[0] == np.arange(count)).all()
    assert (np.sort(orders, axis=1) == np.arange(count)).all()
    assert len(orders) == min(math.factorial(count), PERMUTATIONS + 1)
    if count <= 6:  # all of them
        assert len(np.unique(orders, axis=0)) == len(orders)
    assert np.array_equal(orders, permutations(count, seed))


def test_who_can_be_named():
    w = people(seen=3, unseen=2)
    found = closed_set(w)
    assert found is not None
    assert set(found.subject) == {0, 1, 2}
    assert not (found.enrol & found.test).any()
    nobody = np.zeros_like(w.enrol)
    assert closed_set(people(seen=3, unseen=2, identity_test=nobody)) is None
    assert closed_set(people(seen=3, unseen=2, enrol=w.enrol & (w.subject == 1))) is None
    # a person without enrolment is not tested
    part = closed_set(people(seen=3, unseen=2, enrol=w.enrol & (w.subject > 0)))
    assert part is not None and set(part.truth) == {1, 2}


def test_parts_of_enrolment_are_blocks_of_time_apart_from_the_rest():
    w = people(seen=4, unseen=0)
    w = replace(w, start_s=w.start_s / 2)  # half of a window is shared with the next
    whole = closed_set(w)
    tested = np.zeros_like(whole.enrol)
    for part in range(3):
        within = whole.held_out(part, 3)
        assert not (within.enrol & within.test).any()
        assert not ((within.enrol | within.test) & ~whole.enrol).any()
        for i in np.flatnonzero(within.test):
            same = within.enrol & (within.recording == within.recording[i])
            assert (np.abs(within.start_s[same] - within.start_s[i]) >= w.window_s).all()
        assert not (tested & within.test).any()
        tested |= within.test
    assert np.array_equal(tested, whole.enrol)


def gaussian_pair(distance, windows, seed):
    """One-dimensional windows of two people, mixed with noise columns; half is enrolled."""
    rng = np.random.default_rng(seed)
    subject = np.arange(2 * windows) % 2
    x = rng.normal(size=(len(subject), 1)) + distance * (subject[:, None] - 0.5)
    enrol = np.arange(len(subject)) < windows
    start = np.arange(len(subject)) * 60.0
    place = np.arange(len(subject))
    return x, ClosedSet(place, subject, subject, start, 60.0, enrol, ~enrol)


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 4.0])
def test_nats_of_two_gaussians_are_their_mutual_information(distance):
    def mixture(x):
        return (stats.norm.pdf(x - distance / 2) + stats.norm.pdf(x + distance / 2)) / 2

    entropy = integrate.quad(lambda x: -mixture(x) * np.log(mixture(x)), -12, 12)[0]
    exact = entropy - 0.5 * np.log(2 * np.pi * np.e)
    x, two = gaussian_pair(distance, 4000, 0)
    [row] = information(x, two, "input", 0)
    assert (row.metric, row.figure.chance) == ("nats", 0.0)
    assert row.figure.value == pytest.approx(exact, abs=0.03)
    assert row.figure.value <= np.log(2)


def test_an_overfitted_probe_still_knows_what_it_knows():
    x, two = gaussian_pair(2.0, 150, 1)
    wide = np.concatenate([x, np.random.default_rng(0).normal(size=(len(x), 140))], axis=1)
    [row] = information(wide, two, "input", 0)
    log_p = LinearProbe().log_probabilities(wide[two.enrol], two.subject[two.enrol], wide[two.test])
    untempered = np.log(2) + log_p[np.arange(len(log_p)), two.truth].mean()
    assert untempered < 0 < 0.01 < row.figure.value  # the tempered bound is the better one


def test_top_3_counts_the_right_name_among_three():
    rng = np.random.default_rng(2)
    subject = np.repeat(np.arange(6), 40)
    x = 0.8 * rng.normal(size=(6, 5))[subject] + rng.normal(size=(240, 5))
    enrol = np.tile(np.arange(40) < 20, 6)
    six = ClosedSet(
        np.arange(240), subject, subject, np.tile(np.arange(40) * 60.0, 6), 60.0, enrol, ~enrol
    )
    _, row = information(x, six, "input", 0)
    log_p = LinearProbe().log_probabilities(x[enrol], subject[enrol], x[~enrol])
    best = np.argsort(-log_p, axis=1)[:, :3]
    hits = [who in names for who, names in zip(six.truth, best, strict=True)]
    assert (row.metric, row.figure.chance) == ("top-3", 0.5)
    assert row.figure.value == pytest.approx(np.mean(hits))
    assert row.figure.low < row.figure.value < row.figure.high
    everyone = rng.normal(size=(240, 5)) / 100 + np.eye(6, 5)[subject]
    _, row = information(everyone, six, "input", 0)
    assert (row.figure.value, row.figure.high) == (1.0, 1.0)
    assert row.figure.low == pytest.approx(0.025 ** (1 / 6))  # Clopper & Pearson, 6 people


def test_wide_layers_are_narrowed_without_losing_distances():
    rng = np.random.default_rng(3)
    spread = rng.normal(size=(300, 20)) @ rng.normal(size=(20, 500))  # of rank 20
    spread[:, 7] = 3.0  # constant
    enrol = np.arange(300) < 200
    assert narrowed(spread, enrol, 500, 0) is spread
    narrow = narrowed(spread, enrol, 30, 0)
    assert narrow.shape == (300, 30)
    scaled = np.delete(spread, 7, axis=1)
    scaled = (scaled - scaled[enrol].mean(0)) / scaled[enrol].std(0)
    assert narrow @ narrow.T == pytest.approx(scaled @ scaled.T, abs=1e-6)
    deviations = narrow[enrol].std(axis=0)
    assert deviations.max() < 4 * deviations.min()  # no component is much weaker: the rotation
    assert np.array_equal(narrow, narrowed(spread, enrol, 30, 0))
