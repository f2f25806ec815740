import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.record import Estimate
from fedaffect.rng import generator
from fedaffect.sweeping.differences import paired, unpaired, untold


def people(values) -> dict[str, float]:
    return {f"S{at:02}": float(v) for at, v in enumerate(values)}


def test_a_constant_shift_is_known_exactly():
    baseline = generator(0, "people").uniform(0.2, 0.6, 12)
    told = paired("B", people(baseline), people(baseline + 0.125))
    assert (told.low, told.value, told.high) == pytest.approx((0.125, 0.125, 0.125))
    assert (told.n_people, told.how) == (12, "paired")


def test_the_paired_interval_is_that_of_a_slow_bootstrap():
    rng = generator(1, "people")
    a, b = rng.uniform(0, 1, 30), rng.uniform(0, 1, 30)
    told = paired("B", people(a), people(b))
    means = []
    for _ in range(4000):
        drawn = rng.integers(0, 30, 30)
        means.append(sum(b[i] - a[i] for i in drawn) / 30)
    low, high = np.quantile(means, [0.025, 0.975])
    assert told.value == pytest.approx(np.mean(b) - np.mean(a))
    assert told.low == pytest.approx(low, abs=0.02)
    assert told.high == pytest.approx(high, abs=0.02)


def test_paired_intervals_cover_a_known_difference_about_95_times_in_100():
    rng, hits, trials = generator(2, "coverage"), 0, 200
    for _ in range(trials):
        easy = rng.normal(0.5, 0.3, 40)  # what makes a person easy cancels
        told = paired("B", people(easy), people(easy + rng.normal(0.05, 0.05, 40)))
        hits += told.low <= 0.05 <= told.high
        assert told.high - told.low < 0.05
    assert 0.88 <= hits / trials <= 0.99  # percentile intervals of 40 people: about .94


def test_one_person_says_nothing_about_others():
    told = paired("B", {"S0": 0.4}, {"S0": 0.5})
    assert (told.low, told.high) == (-1.0, 1.0)
    assert told.value == pytest.approx(0.1)


def estimate(value: float, below: float, above: float) -> Estimate:
    return Estimate(value=value, low=value - below, high=value + above, n_people=9)


@given(
    a=st.floats(0.3, 0.7),
    b=st.floats(0.3, 0.7),
    half=st.floats(0.01, 0.2),
)
def test_equal_intervals_give_root_two_of_one(a, b, half):
    told = unpaired("B", estimate(a, half, half), estimate(b, half, half), "why")
    assert told.value == pytest.approx(b - a)
    assert told.high - told.value == pytest.approx(math.sqrt(2) * half)
    assert told.value - told.low == pytest.approx(math.sqrt(2) * half)
    assert (told.how, told.reason) == ("unpaired", "why")


def test_lopsided_intervals_are_recovered_as_zou_and_donner_write_them():
    told = unpaired("B", estimate(0.5, 0.1, 0.2), estimate(0.6, 0.3, 0.05), "")
    # L = d - sqrt((b - l_b)^2 + (u_a - a)^2), U = d + sqrt((u_b - b)^2 + (a - l_a)^2)
    assert told.low == pytest.approx(0.1 - math.hypot(0.3, 0.2))
    assert told.high == pytest.approx(0.1 + math.hypot(0.05, 0.1))


def test_without_a_figure_or_an_interval_nothing_is_made_up():
    none = Estimate(value=None, note="n/a (one class)")
    assert unpaired("B", none, estimate(0.5, 0.1, 0.1), "").how == "none"
    bare = Estimate(value=0.4)
    told = unpaired("B", bare, estimate(0.5, 0.1, 0.1), "")
    assert (told.low, told.high) == (None, None)
    assert told.value == pytest.approx(0.1)
    assert untold("B", "why").value is None
