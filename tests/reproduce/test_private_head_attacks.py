"""Who took part, from released heads: what is planted is found, and no more than is allowed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fedaffect.reproduce.private_head.head_rounds import Rounds
from fedaffect.reproduce.private_head.released_attack import (
    largest_area,
    membership,
    naming,
)

PEOPLE, DRAWS, WIDTH = 6, 400, 3


def planted(added: np.ndarray, sd: float, rounds: int = 2) -> Rounds:
    """Return releases of fixed contributions (P, H): one person left out of each fold."""
    draw = np.random.default_rng(3)
    shape = (rounds, PEOPLE, DRAWS, WIDTH)
    all_of_them = np.broadcast_to(added[None, :, None, None], (rounds, PEOPLE, *shape[1:]))
    sums = added.sum(axis=0) - added  # (F, H): fold f lacks person f
    noisy = sums[None, :, None] + sd * draw.normal(size=shape)
    heads = np.concatenate([np.zeros((1, *shape[1:])), np.cumsum(noisy / (PEOPLE - 1), axis=0)])
    return Rounds(np.arange(PEOPLE), heads, all_of_them, np.full(PEOPLE, PEOPLE - 1.0), sd)


def test_without_noise_everyone_is_named() -> None:
    rounds = planted(np.eye(PEOPLE)[:, :WIDTH] + np.arange(PEOPLE)[:, None], 0.0)
    found = rounds.likelihoods
    for figure in (naming(found, rounds.left_out, 0), membership(found, rounds.left_out, 0)):
        # six people are too few for an interval without width
        assert (figure.value, figure.high) == (1, 1)
        assert figure.low == pytest.approx(0.025 ** (1 / PEOPLE))


def test_equal_contributions_leave_chance() -> None:
    rounds = planted(np.ones((PEOPLE, WIDTH)), 1.0)
    found = rounds.likelihoods
    area, named = membership(found, rounds.left_out, 0), naming(found, rounds.left_out, 0)
    assert area.value == pytest.approx(0.5, abs=1e-9)  # all ties
    assert (area.chance, named.chance) == (0.5, pytest.approx(1 / PEOPLE))
    assert named.value == pytest.approx(1 / PEOPLE)


def test_the_area_is_that_of_two_gaussians_and_within_the_promise() -> None:
    # person 0 adds a vector of length a, the others none: Phi(a sqrt(T) / sd / sqrt 2)
    added = np.zeros((PEOPLE, WIDTH))
    added[0, 0] = 1.0
    rounds = planted(added, 2.0)
    found = rounds.likelihoods
    others = np.delete(found, 0, axis=0)
    ratio = np.logaddexp.reduce(others, axis=0) - found[0]
    inside, outside = ratio[1:].ravel(), ratio[0]
    area = (inside[:, None] > outside).mean()
    expected = norm.cdf(np.sqrt(2) / 2.0 / np.sqrt(2))
    assert area == pytest.approx(expected, abs=0.03)  # 400 absent draws: one sigma 0.015
    assert largest_area(2.0, 2) == pytest.approx(norm.cdf(2 * np.sqrt(2) / 2.0 / np.sqrt(2)))
    opposed = np.zeros((PEOPLE, WIDTH))
    opposed[:, 0] = [1, -1, -1, -1, -1, -1]  # the worst case: clip norm 1, opposite ends
    worst = planted(opposed, 2.0)
    of_all = worst.likelihoods
    apart = np.delete(of_all, 0, axis=0)
    score = np.logaddexp.reduce(apart, axis=0) - of_all[0]
    reached = (score[1:].ravel()[:, None] > score[0]).mean()
    assert reached == pytest.approx(largest_area(2.0, 2), abs=0.03)


def test_steps_of_a_weighted_mean_are_understood() -> None:
    draw = np.random.default_rng(1)
    sizes = np.array([3.0, 1, 2, 5, 4, 2])
    added = draw.normal(size=(PEOPLE, WIDTH)) * sizes[:, None]
    steps = (added.sum(axis=0) - added) / (sizes.sum() - sizes)[:, None]  # (F, H)
    heads = np.stack([np.zeros((PEOPLE, 1, WIDTH)), steps[:, None]])
    whole = np.broadcast_to(added[None, :, None, None], (1, PEOPLE, PEOPLE, 1, WIDTH))
    everyone = np.arange(PEOPLE)
    rounds = Rounds(everyone, heads, whole, sizes.sum() - sizes, 0.0)
    assert naming(rounds.likelihoods, everyone, 0).value == 1
    wrong = Rounds(everyone, heads, whole, np.full(PEOPLE, PEOPLE - 1.0), 0.0)
    assert naming(wrong.likelihoods, everyone, 0).value != 1
