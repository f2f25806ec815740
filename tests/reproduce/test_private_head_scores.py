"""Scores of people: means, paired differences and regained shares against hand-made figures."""

from __future__ import annotations

import numpy as np
import pytest

from fedaffect.record import Estimate
from fedaffect.reproduce.private_head import people_scores
from fedaffect.study_record import ReleaseFigures

NONE = Estimate(value=None)


def released(stress: list[list[float]], people: str = "abcd") -> ReleaseFigures:
    return ReleaseFigures(
        tested_on="x", people=tuple(people), stress=tuple(map(tuple, stress)), public=(),
        numbers=9, parameters=99, rounds=3, eps=2, delta=1e-5, noise_multiplier=3.0,
        break_even=9.0, simulated_status="FORMAL", attacked_releases=3,
        membership=NONE, left_out=NONE,
    )  # fmt: skip


def test_balanced_accuracy_is_by_person_and_draw() -> None:
    true = np.array([0, 0, 0, 1])
    called = np.array([[0, 0, 1, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(people_scores.of_person(true, called), [(2 / 3 + 1) / 2, 0.5])
    assert np.isnan(people_scores.of_person(np.zeros(3, dtype=int), np.zeros((2, 3)))).all()


def test_people_and_draws_are_apart() -> None:
    few = released([[0.5, 0.7, 0.9, 0.7], [0.7, 0.9, 0.9, 0.9]])
    stress = people_scores.stress(few, 0)
    assert stress.value == pytest.approx(np.mean([0.6, 0.8, 0.9, 0.8]))
    assert stress.chance == 0.5 and stress.n_people == 4
    assert people_scores.over_draws(few) == pytest.approx((0.7, 0.85))
    same = released([[0.6, 0.6, 0.6, 0.6], [0.8, 0.8, 0.8, 0.8]])
    alike = people_scores.stress(same, 0)  # draws differ, people do not
    assert (alike.low, alike.high) == pytest.approx((0.7, 0.7))
    assert people_scores.over_draws(same) == pytest.approx((0.6, 0.8))


def test_an_interval_of_a_rate_has_room_at_1_and_that_of_a_gain_needs_none() -> None:
    perfect = people_scores.stress(released([[1.0] * 4]), 0)
    assert (perfect.value, perfect.high) == (1, 1)
    assert perfect.low == pytest.approx(0.025 ** (1 / 4))  # Clopper & Pearson, 4 of 4
    gain = people_scores.gain(released([[1.0] * 4]), released([[1.0] * 4]), 0)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_a_gain_is_paired_by_person() -> None:
    start = released([[0.5, 0.6, 0.7, 0.9]])
    better = released([[0.95, 0.75, 0.65, 0.55]], "dcba")  # 0.05 more each, in another order
    gain = people_scores.gain(better, start, 0)
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.05, 0.05, 0.05))
    fewer = released([[0.7, 0.8]], "ab")
    assert people_scores.gain(fewer, start, 0).n_people == 2


def test_the_regained_share_is_of_what_is_gained_without_dp() -> None:
    start, open_ = released([[0.5] * 4]), released([[0.7, 0.7, 0.9, 0.9]])
    private = released([[0.66, 0.66, 0.82, 0.82]])  # 80 % of 0.2 and of 0.4
    share = people_scores.regained(private, open_, start, 0)
    assert (share.value, share.low, share.high) == pytest.approx((0.8, 0.8, 0.8))
    nothing = people_scores.regained(private, start, start, 0)
    assert nothing.value is None and "nothing is gained" in nothing.note


def test_windows_of_all_draws_are_pooled_by_person() -> None:
    true = [np.array([0, 1]), np.array([0, 1, 1])]
    called = [np.array([[0, 1], [0, 0]]), np.array([[0, 1, 1], [1, 1, 1]])]
    pooled = people_scores.pooled(true, called, [3, 7], 0)
    # class 0: 3 of 4 right; class 1: 5 of 6 right
    assert pooled["stress_balanced_accuracy"].value == pytest.approx((3 / 4 + 5 / 6) / 2)
    assert pooled["stress_accuracy"].value == pytest.approx(8 / 10)
    assert pooled["stress_accuracy"].n_people == 2
