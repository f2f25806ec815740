from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import signal, stats

from fedaffect.data.features import ENTROPY_BINS, FEATURES, feature_names, window_features

RATES = {"bvp": (64.0, 700), "acc": (32.0, 350), "eda": (4.0, 43), "ecg": (700.0, 700)}
AT = {name: i for i, name in enumerate(FEATURES)}


def slow(x: np.ndarray, rate_hz: float) -> list[float]:
    """One window, one feature after the other, by SciPy or by a plain loop."""
    hz, power = signal.periodogram(x, rate_hz, window="boxcar", detrend="constant")
    total, reached, median = power.sum(), 0.0, 0.0
    for f, p in zip(hz, power, strict=True):
        reached += p
        if reached >= total / 2:
            median = f
            break
    counts, _ = np.histogram(x, bins=ENTROPY_BINS)
    d1 = [abs(b - a) for a, b in pairwise(x)]
    d2 = [abs(c - 2 * b + a) for a, b, c in zip(x, x[1:], x[2:], strict=False)]
    return [
        x.mean(),
        x.var(),
        np.sqrt((x**2).mean()),
        (hz * power).sum() / total,
        median,
        sum(d1) / len(d1),
        sum(d2) / len(d2),
        stats.skew(x),
        stats.kurtosis(x),
        stats.entropy(counts),
    ]


@pytest.mark.parametrize("channel", RATES)
def test_features_equal_a_slow_loop(channel: str) -> None:
    rate_hz, n = RATES[channel]
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.standard_normal((12, n)), axis=1) + rng.normal(0, 30, (12, 1))
    x += rng.exponential(2.0, (12, n))
    expected = [slow(row, rate_hz) for row in x]
    np.testing.assert_allclose(window_features(x, rate_hz), expected, rtol=1e-9, atol=1e-12)


def test_sine_has_its_closed_form() -> None:
    t = np.arange(640) / 64.0
    f = window_features(5.0 + 3.0 * np.sin(2 * np.pi * 1.2 * t)[None], 64.0)[0]
    assert f[AT["mean"]] == pytest.approx(5.0)
    assert f[AT["variance"]] == pytest.approx(9 / 2)
    assert f[AT["rms"]] == pytest.approx(np.sqrt(25 + 9 / 2))
    assert f[AT["mean_frequency"]] == pytest.approx(1.2)
    assert f[AT["median_frequency"]] == pytest.approx(1.2)
    assert f[AT["skewness"]] == pytest.approx(0.0, abs=1e-9)
    assert f[AT["kurtosis"]] == pytest.approx(-1.5)  # 3/8 A^4 / (A^2/2)^2 - 3


def test_two_equal_sines_have_the_lower_as_median_and_the_middle_as_mean_frequency() -> None:
    t = np.arange(640) / 64.0
    f = window_features((np.sin(2 * np.pi * t) + np.cos(2 * np.pi * 4 * t))[None], 64.0)[0]
    assert f[AT["median_frequency"]] == pytest.approx(1.0)
    assert f[AT["mean_frequency"]] == pytest.approx(2.5)


def test_ramp_has_constant_steps_and_the_largest_entropy() -> None:
    f = window_features(2.0 * np.arange(160.0)[None], 4.0)[0]
    assert f[AT["mean_abs_diff"]] == pytest.approx(2.0)
    assert f[AT["mean_abs_diff2"]] == pytest.approx(0.0)
    assert f[AT["entropy"]] == pytest.approx(np.log(ENTROPY_BINS))


def test_alternating_signs_sit_at_the_nyquist_frequency() -> None:
    f = window_features(np.tile([1.0, -1.0], 50)[None], 32.0)[0]
    assert f[AT["mean_frequency"]] == pytest.approx(16.0)
    assert f[AT["mean_abs_diff2"]] == pytest.approx(4.0)
    assert f[AT["entropy"]] == pytest.approx(np.log(2))


@pytest.mark.parametrize("value", [0.0, 31.23, -7.1e9, 0.1 + 0.2, 1e-300])
def test_constant_window_has_the_documented_values(value: float) -> None:
    f = window_features(np.full((2, 43), value), 4.0)
    expected = [value, 0, abs(value), 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(f, [expected] * 2, rtol=1e-12, atol=1e-160)


def test_rounding_noise_counts_as_constant() -> None:
    x = np.full((1, 50), 33.3)
    x[0, ::2] = np.nextafter(33.3, 34)
    f = window_features(x, 4.0)[0]
    assert f[AT["variance"]] == f[AT["kurtosis"]] == f[AT["entropy"]] == 0.0


@settings(max_examples=150, deadline=None)
@given(arrays(np.float64, (3, 11), elements=st.floats(-1e15, 1e15)))
def test_any_finite_window_gives_finite_features(x: np.ndarray) -> None:
    f = window_features(x, 4.0)
    assert np.isfinite(f).all()
    assert (f[:, [AT["variance"], AT["rms"], AT["mean_abs_diff"], AT["entropy"]]] >= 0).all()
    assert (f[:, AT["mean_frequency"]] <= 2.0 + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-50, 50))
def test_shape_features_ignore_gain_and_offset(seed: int, gain: float, offset: float) -> None:
    x = np.random.default_rng(seed).standard_normal((4, 60))
    a, b = window_features(x, 4.0), window_features(gain * x + offset, 4.0)
    same = [AT[k] for k in ("mean_frequency", "median_frequency", "skewness", "kurtosis")]
    np.testing.assert_allclose(a[:, same], b[:, same], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(b[:, AT["variance"]], gain**2 * a[:, AT["variance"]], rtol=1e-6)
    np.testing.assert_allclose(
        b[:, AT["mean_abs_diff2"]], gain * a[:, AT["mean_abs_diff2"]], rtol=1e-6
    )


def test_input_is_not_changed() -> None:
    x = np.ones((2, 20))
    x[1, 3] = 2.0
    before = x.copy()
    window_features(x, 4.0)
    assert (x == before).all()


def test_names_are_channel_by_channel() -> None:
    names = feature_names(("wrist.bvp", "wrist.eda"))
    assert len(names) == 20
    assert names[:2] == ("wrist.bvp/mean", "wrist.bvp/variance")
    assert names[10] == "wrist.eda/mean"
