import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fedaffect.privacy.attacks.pair_scores import PairScores, strongest_eer, unit_rows
from fedaffect.privacy.attacks.statistics import RESAMPLES, equal_error_rate
from fedaffect.rng import generator


def planted(people, attempts, distance, seed):
    """Normal scores of deviation 1; genuine ones are ``distance`` higher."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), attempts)
    scores = rng.normal(size=(len(owner), people))
    scores[np.arange(len(owner)), owner] += distance
    return PairScores("planted", scores, owner)


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 3.0])
def test_equal_error_rate_of_gaussians_is_the_closed_form(distance):
    pair = planted(20, 100, distance, 0)
    exact = stats.norm.cdf(-distance / 2)
    assert pair.eer == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 2000))
    assert pair.d_prime == pytest.approx(distance, abs=0.1)
    figure = strongest_eer([pair], 0)
    assert figure.low <= figure.value <= figure.high
    assert (figure.chance, figure.n_people) == (0.5, 20)
    low, high = pair.d_prime_interval(0)
    assert low <= pair.d_prime <= high


def test_who_is_genuine_by_a_slow_loop():
    pair = planted(5, 7, 1.0, 1)
    genuine = [pair.scores[i, j] for i in range(35) for j in range(5) if pair.owner[i] == j]
    impostor = [pair.scores[i, j] for i in range(35) for j in range(5) if pair.owner[i] != j]
    assert pair.genuine.tolist() == genuine
    assert sorted(pair.impostor.tolist()) == sorted(impostor)
    assert (pair.people, pair.pairs) == (5, 20)


def test_resamples_by_a_slow_loop():
    pair = planted(5, 6, 1.0, 2)
    fast = pair.resampled_eer(3)
    drawn = generator(3, "bootstrap", "pairs", 5).multinomial(5, np.full(5, 0.2), size=RESAMPLES)
    assert fast.shape == (RESAMPLES,)
    for times, rate in list(zip(drawn, fast, strict=True))[:40]:
        people = np.repeat(np.arange(5), times)
        if len(set(people)) == 1:
            assert np.isnan(rate)
            continue
        genuine = np.concatenate([pair.scores[pair.owner == p, p] for p in people])
        impostor = np.concatenate(
            [
                pair.scores[pair.owner == p, q]
                for p, q in itertools.product(people, people)
                if p != q
            ]
        )
        assert rate == pytest.approx(equal_error_rate(genuine, impostor))


def test_permutations_by_a_slow_loop():
    pair = planted(4, 6, 1.0, 4)
    rates = pair.permuted_eer(0)
    assert rates[0] == pytest.approx(pair.eer)
    for order, rate in zip(itertools.permutations(range(4)), rates, strict=True):
        given_to = np.array(order)[pair.owner]
        assert rate == pytest.approx(PairScores("", pair.scores, given_to).eer)


def test_thinned_thresholds_cost_little():
    pair = planted(60, 20, 1.5, 5)  # 72,000 scores
    assert pair.permuted_eer(0)[0] == pytest.approx(pair.eer, abs=0.01)


def test_choosing_between_scores_widens_the_interval_downwards():
    pairs = [planted(8, 20, 1.0, seed) for seed in range(4)]
    best = min(pairs, key=lambda pair: pair.eer)
    alone, chosen = strongest_eer([best], 0), strongest_eer(pairs, 0)
    assert chosen.value == alone.value
    assert chosen.low < alone.low
    by_hand = np.min([pair.resampled_eer(0) for pair in pairs], axis=0)
    assert (chosen.low, chosen.high) == tuple(np.nanquantile(by_hand, [0.025, 0.975]))


def test_no_rate_below_what_pairs_of_people_resolve():
    pair = planted(5, 50, 1.5, 6)
    curve = pair.curve()
    assert curve[0].fpr == 1 / 20 and curve[-1] == type(curve[0])(fpr=1.0, tpr=1.0)
    for point in curve:
        allowed = int(point.fpr * 1000 + 1e-9)  # impostors of 1,000
        cut = np.sort(pair.impostor)[::-1][allowed] if allowed < 1000 else -np.inf
        assert point.tpr == pytest.approx(np.mean(pair.genuine > cut))
    assert [p.tpr for p in curve] == sorted(p.tpr for p in curve)
    at_10 = pair.tpr_at(0.1, 0)
    assert at_10.value == pytest.approx(stats.norm.sf(stats.norm.isf(0.1) - 1.5), abs=0.1)
    assert at_10.low <= at_10.value <= at_10.high
    assert pair.tpr_at(0.01, 0).value is None
    assert "20 pairs" in pair.tpr_at(0.01, 0).note


def test_separated_people_leave_room_for_luck():
    least = 0.025 ** (1 / 5)  # Clopper & Pearson, 5 people
    apart = planted(5, 20, 100.0, 7)
    rate, eer = apart.tpr_at(0.1, 0), strongest_eer([apart], 0)
    assert (rate.value, rate.low, rate.high) == (1.0, pytest.approx(least), 1.0)
    assert (eer.value, eer.low, eer.high) == (0.0, 0.0, pytest.approx(1 - least))
    never = planted(5, 20, -100.0, 7).tpr_at(0.1, 0)
    assert (never.value, never.low, never.high) == (0.0, 0.0, pytest.approx(1 - least))


@given(st.integers(1, 6), st.sampled_from([0.0, 1e-200, 1.0, 1e30]))
@settings(max_examples=20, deadline=None)
def test_unit_rows(count, size):
    x = size * np.random.default_rng(count).normal(size=(count, 3))
    unit = unit_rows(x)
    assert np.linalg.norm(unit, axis=1) == pytest.approx(0.0 if size == 0 else 1.0)


def test_constant_scores_say_nothing():
    same = PairScores("same", np.ones((20, 4)), np.repeat(np.arange(4), 5))
    assert (same.eer, same.d_prime) == (0.5, 0.0)
    assert (same.permuted_eer(0) == 0.5).all()
    assert same.d_prime_interval(0) == (-np.inf, np.inf)
