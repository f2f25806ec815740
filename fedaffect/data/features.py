"""Ten hand-made features of a window, computed the same way for every channel.

The list follows Benouis, Can and Andre, "A Privacy-Preserving Multi-Task Learning Framework for
Emotion and Identity Recognition from Multimodal Physiological Signals", section III.A. The paper
names the features only; the definitions below are ours.
"""

from __future__ import annotations

import numpy as np

FEATURES = (
    "mean",
    "variance",
    "rms",
    "mean_frequency",
    "median_frequency",
    "mean_abs_diff",
    "mean_abs_diff2",
    "skewness",
    "kurtosis",
    "entropy",
)
ENTROPY_BINS = 16
# A window whose values span less than this share of their size is rounding noise: constant.
_FLAT = 1e-12


def feature_names(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return names such as ``wrist.bvp/mean``, channel by channel in the order of ``FEATURES``."""
    return tuple(f"{channel}/{feature}" for channel in channels for feature in FEATURES)


def window_features(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the ten features of every window, (N, 10) float64, in the order of ``FEATURES``.

    - mean, variance (divided by n), rms: of the raw values.
    - mean_frequency, median_frequency in Hz: centre of mass, and first bin at which the cumulated
      power reaches one half, of the one-sided periodogram (no taper) of the window less its mean.
    - mean_abs_diff, mean_abs_diff2: mean absolute first and second difference, per sample step.
    - skewness, kurtosis: standardised third moment; standardised fourth moment less 3.
    - entropy: Shannon, natural logarithm, of the shares of samples in ``ENTROPY_BINS`` bins of
      equal width from the smallest to the largest value of the window.

    A constant window has both frequencies, skewness, kurtosis and entropy 0.

    Args:
        x: Finite values, (N, n) with n >= 3.
        rate_hz: Samples per second.
    """
    x = np.asarray(x, dtype=np.float64)  # (N, n)
    low, high = x.min(axis=1), x.max(axis=1)
    flat = high - low <= _FLAT * np.maximum(np.abs(low), np.abs(high))  # (N,)
    mean = np.where(flat, low, x.mean(axis=1))
    d = x - mean[:, None]
    d[flat] = 0.0
    size = np.where(flat, 1.0, np.maximum(high - mean, mean - low))
    d /= size[:, None]  # now within [-1, 1]: no power of it overflows or vanishes
    square = d * d
    m2 = square.mean(axis=1)
    safe = np.where(flat, 1.0, m2)
    step = np.diff(x, axis=1)
    mean_hz, median_hz = _frequencies(d, rate_hz)
    columns = (
        mean,
        m2 * np.where(flat, 0.0, size) ** 2,
        np.sqrt(np.mean(x * x, axis=1)),
        mean_hz,
        median_hz,
        np.abs(step).mean(axis=1),
        np.abs(np.diff(step, axis=1)).mean(axis=1),
        np.einsum("ij,ij->i", square, d) / x.shape[1] / safe**1.5,
        np.where(flat, 0.0, np.einsum("ij,ij->i", square, square) / x.shape[1] / safe**2 - 3.0),
        _entropy(x, low, high, flat),
    )
    return np.stack(columns, axis=1)


def _frequencies(d: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and median frequency in Hz of windows ``d`` (N, n) without mean, each (N,)."""
    n = d.shape[1]
    spectrum = np.fft.rfft(d, axis=1)[:, 1:]  # (N, n // 2): without the zero frequency
    power = spectrum.real**2 + spectrum.imag**2
    if n % 2 == 0:
        power[:, -1] /= 2  # the Nyquist bin has no mirror image
    hz = np.arange(1, n // 2 + 1) * (rate_hz / n)
    total = power.sum(axis=1)
    some = total > 0
    mean_hz = np.where(some, power @ hz / np.where(some, total, 1.0), 0.0)
    # The tolerance keeps an exact tie of two bins from being decided by rounding.
    reached = np.cumsum(power, axis=1) >= (0.5 - 1e-9) * total[:, None]
    return mean_hz, np.where(some, hz[reached.argmax(axis=1)], 0.0)


def _entropy(x: np.ndarray, low: np.ndarray, high: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Return the entropy in nats of each window's amplitude histogram, (N,)."""
    rows, n = x.shape
    width = np.where(flat, 1.0, high - low)
    bins = ((x - low[:, None]) / width[:, None] * ENTROPY_BINS).astype(np.int64)
    np.clip(bins, 0, ENTROPY_BINS - 1, out=bins)  # the largest value belongs to the last bin
    bins += np.arange(rows)[:, None] * ENTROPY_BINS
    counts = np.bincount(bins.ravel(), minlength=rows * ENTROPY_BINS)
    share = counts.reshape(rows, ENTROPY_BINS) / n
    entropy: np.ndarray = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=1)
    return np.where(flat, 0.0, entropy)
