"""Building blocks of simulated signals: lags, decays, drifts, noise. Slow parts run at 4 Hz."""

from __future__ import annotations

import numpy as np

SLOW_HZ = 4.0  # rate of everything that drives the channels


def drift(rng: np.random.Generator, n: int, tau_s: float) -> np.ndarray:
    """Return a stationary first-order process at 4 Hz, mean 0, variance 1, (n,)."""
    from scipy.signal import lfilter

    a = float(np.exp(-1 / (tau_s * SLOW_HZ)))
    e = rng.standard_normal(n + 1)
    out, _ = lfilter([np.sqrt(1 - a * a)], [1, -a], e[1:], zi=[a * e[0]])
    return np.asarray(out)


def decay(events: np.ndarray, tau_s: float) -> np.ndarray:
    """Return the sum of ``exp(-age / tau_s)`` over past events at 4 Hz, (n,)."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1, -float(np.exp(-1 / (tau_s * SLOW_HZ)))], events))


def lag(x: np.ndarray, tau_s: float) -> np.ndarray:
    """Return ``x`` (n,) followed with time constant ``tau_s`` from 0, at 4 Hz."""
    return np.asarray((1 - np.exp(-1 / (tau_s * SLOW_HZ))) * decay(x, tau_s))


def smooth(noise: np.ndarray, tau: float) -> np.ndarray:
    """Return white noise (n,) low-passed twice with ``tau`` samples, variance 1."""
    from scipy.signal import lfilter

    a = float(np.exp(-1 / tau))
    gain = np.sqrt((1 - a * a) ** 3 / (1 + a * a))  # of the impulse response (k + 1) a^k
    return np.asarray(lfilter([gain], [1, -2 * a, a * a], noise))


def finer(x: np.ndarray, n: int) -> np.ndarray:
    """Return ``x`` (m,) interpolated linearly to ``n`` samples of the same time span."""
    fine: np.ndarray = np.interp(np.arange(n) * (len(x) / n), np.arange(len(x)), x)
    return fine


def rotation(w: np.ndarray) -> np.ndarray:
    """Return the rotation by ``|w|`` radians about the axis ``w`` (3,), (3, 3): Rodrigues."""
    angle = float(np.linalg.norm(w))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = w / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k))
