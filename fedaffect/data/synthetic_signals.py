"""A recording of a simulated person with a wristband.

Levels and rates follow the Empatica E4 (BVP in its own unit, EDA in microsiemens, skin temperature
in deg C, acceleration in 1/64 g). Every person differs from the average person (the fingerprint,
what an identity attacker finds), reacts to stress in their own way (what makes unseen people hard)
and wears the device differently in every session (what makes identity harder across sessions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fedaffect.data.schema import Signal
from fedaffect.data.synthetic_parts import SLOW_HZ, decay, drift, finer, lag, rotation, smooth
from fedaffect.data.synthetic_person import Person

ACC_HZ = 32.0
BVP_HZ = 64.0
BASELINE, STRESS, AMUSEMENT = 1, 2, 3
AROUSAL: Mapping[int, float] = {BASELINE: 0.0, STRESS: 1.0, AMUSEMENT: 0.2}

# What a session changes: standard deviation between sessions of one person.
_SESSION = {
    "heart_bpm": 5.0,
    "rsa_log_bpm": 0.25,
    "hrv_log_bpm": 0.25,
    "pulse_log": 0.35,
    "shape_phase": 0.35,
    "shape_log": 0.25,
    "eda_log_us": 0.6,
    "scr_log_per_min": 0.3,
    "skin_c": 1.0,
    "tilt_rad": 0.35,
    "fidget_log_per_min": 0.3,
}


def simulate_session(
    rng: np.random.Generator,
    person: Person,
    conditions: Sequence[tuple[int, float]],
    *,
    session_drift: float = 1.0,
    arousal: Mapping[int, float] = AROUSAL,
) -> tuple[dict[str, Signal], Signal]:
    """Return the six wrist channels of one recording, and its condition codes at 4 Hz.

    Args:
        rng: Stream of this recording.
        person: Who wears the device.
        conditions: (code, duration in seconds) in order of time.
        session_drift: Multiplies what the session changes (strap, skin, day); 0 changes nothing.
        arousal: Code to strength of the stress reaction, 0 (none) to 1; codes not in it get 0.
    """
    codes, push = follow_plan(rng, conditions, arousal)  # (m,), (m,)
    day = {k: session_drift * sd * float(rng.standard_normal()) for k, sd in _SESSION.items()}
    tilt = rotation(session_drift * _SESSION["tilt_rad"] * rng.standard_normal(3))
    t = {k: v + day.get(k, 0.0) for k, v in person.traits.items()}
    r = person.reactions
    fast = lag(push, 6.0)
    moves = _movement(rng, fast, t, r)  # (m,) in 1/64 g
    heart = heart_rate(rng, fast, breath_phase(rng, fast, t), t, r)
    signals = {
        **_acceleration(rng, person.posture @ tilt, moves, fast, t, r),
        "wrist.bvp": _pulse_wave(rng, heart, moves, fast, t, r, day),
        "wrist.eda": _eda(rng, push, fast, t, r),
        "wrist.temp": _temperature(rng, push, t, r),
    }
    return signals, Signal(codes, SLOW_HZ)


def follow_plan(
    rng: np.random.Generator,
    conditions: Sequence[tuple[int, float]],
    arousal: Mapping[int, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return condition code and strength of the push towards stress, both at 4 Hz, (m,)."""
    counts = [round(duration_s * SLOW_HZ) for _, duration_s in conditions]
    codes = np.repeat([code for code, _ in conditions], counts).astype(np.int64)
    # No two stretches of stress are equally hard.
    hard = np.exp(0.15 * rng.standard_normal(len(counts)))
    level = np.array([arousal.get(code, 0.0) for code, _ in conditions])
    return codes, np.repeat(hard * level, counts)


def breath_phase(rng: np.random.Generator, fast: np.ndarray, t: Mapping[str, float]) -> np.ndarray:
    """Return the phase of breathing in radians, (m,)."""
    hz = np.exp(t["breath_log_hz"] + 0.1 * drift(rng, len(fast), 15.0) + 0.15 * fast)
    return np.asarray(2 * np.pi * np.cumsum(hz) / SLOW_HZ)


def heart_rate(
    rng: np.random.Generator,
    fast: np.ndarray,
    breath: np.ndarray,
    t: Mapping[str, float],
    r: Mapping[str, float],
) -> np.ndarray:
    """Return the heart rate in beats per minute, (m,): level, breathing and slow variation."""
    m = len(fast)
    calm = np.exp(r["hrv_log"] * fast)  # (m,)
    rate = (
        t["heart_bpm"]
        + r["heart_bpm"] * fast
        + np.exp(t["rsa_log_bpm"]) * calm * np.sin(breath)
        + np.exp(t["hrv_log_bpm"]) * calm * drift(rng, m, 12.0)
        + 1.5 * drift(rng, m, 90.0)
    )
    return np.asarray(np.clip(rate, 42.0, 180.0))


def _pulse_wave(
    rng: np.random.Generator,
    heart: np.ndarray,
    moves: np.ndarray,
    fast: np.ndarray,
    t: Mapping[str, float],
    r: Mapping[str, float],
    day: Mapping[str, float],
) -> Signal:
    """Return the blood volume pulse: three harmonics of the heart's phase, and motion noise."""
    m = len(heart)
    n = round(m * BVP_HZ / SLOW_HZ)
    phase = finer(2 * np.pi * np.cumsum(heart / 60) / SLOW_HZ, n)
    size = finer(np.exp(t["pulse_log"] + r["pulse_log"] * fast + 0.25 * drift(rng, m, 20.0)), n)
    turn, lift = day["shape_phase"], day["shape_log"]
    wave = (
        np.cos(phase)
        + np.exp(t["second_log"] + lift) * np.cos(2 * phase + t["second_phase"] + turn)
        + np.exp(t["third_log"] + lift) * np.cos(3 * phase + t["third_phase"] + 2 * turn)
    )
    motion = finer(1.0 + 10.0 * moves, n) * smooth(rng.standard_normal(n), 5.0)
    return Signal((size * wave + motion).round(2).astype(np.float32), BVP_HZ)


def _eda(
    rng: np.random.Generator,
    push: np.ndarray,
    fast: np.ndarray,
    t: Mapping[str, float],
    r: Mapping[str, float],
) -> Signal:
    """Return skin conductance in microsiemens: a tonic level with phasic responses on it."""
    m = len(push)
    level = np.exp(t["eda_log_us"] + r["eda_log"] * lag(push, 20.0))
    level *= np.exp(0.06 * drift(rng, m, 60.0))
    per_min = np.exp(t["scr_log_per_min"] + r["scr_log"] * fast)
    size = np.exp(t["scr_log_share"] + 0.7 * rng.standard_normal(m))
    events = (rng.random(m) < per_min / 60 / SLOW_HZ) * size
    response = decay(events, np.exp(t["scr_decay_log_s"])) - decay(events, 0.7)
    eda = level * (1 + 1.5 * response) + 0.0006 * rng.standard_normal(m)
    return Signal(np.clip(eda, 0.01, 60.0).round(4).astype(np.float32), SLOW_HZ)


def _temperature(
    rng: np.random.Generator, push: np.ndarray, t: Mapping[str, float], r: Mapping[str, float]
) -> Signal:
    """Return skin temperature in deg C, in steps of 0.02 as the E4 gives it."""
    m = len(push)
    slow = t["skin_c"] + r["skin_c"] * lag(push, 60.0) + 0.15 * drift(rng, m, 200.0)
    skin = np.clip(slow, 24.0, 37.5) + 0.007 * drift(rng, m, 2.0)
    return Signal(((skin * 50).round() / 50).astype(np.float32), SLOW_HZ)


def _movement(
    rng: np.random.Generator,
    fast: np.ndarray,
    t: Mapping[str, float],
    r: Mapping[str, float],
) -> np.ndarray:
    """Return the size of bursts of movement over time in 1/64 g, (m,)."""
    m = len(fast)
    per_min = np.exp(t["fidget_log_per_min"] + r["fidget_log"] * fast)
    size = np.exp(t["fidget_log_size"] + 0.6 * rng.standard_normal(m))
    return decay((rng.random(m) < per_min / 60 / SLOW_HZ) * size, 1.5)


def _acceleration(
    rng: np.random.Generator,
    posture: np.ndarray,
    moves: np.ndarray,
    fast: np.ndarray,
    t: Mapping[str, float],
    r: Mapping[str, float],
) -> dict[str, Signal]:
    """Return the three axes in 1/64 g: gravity on a wandering posture, tremor, bursts."""
    m = len(moves)
    n = round(m * ACC_HZ / SLOW_HZ)
    tremor = finer(np.exp(t["tremor_log"] + r["tremor_log"] * fast), n)
    burst = finer(moves, n)
    turns = np.stack([drift(rng, m, 40.0) for _ in range(3)], axis=1)  # (m, 3)
    kicks = (moves > 1.0)[:, None] * rng.standard_normal((m, 3)) * 0.06
    held = np.stack([decay(kicks[:, i], 60.0) for i in range(3)], axis=1)
    lean = fast[:, None] * np.array([r["lean_x"], r["lean_y"], 0.0])  # the task moves the arm
    gravity = posture + 0.06 * turns + held + lean
    gravity = 64.0 * gravity / np.linalg.norm(gravity, axis=1, keepdims=True)  # (m, 3)
    signals = {}
    for i, axis in enumerate("xyz"):
        shake = tremor * rng.standard_normal(n) + burst * smooth(rng.standard_normal(n), 4.0)
        values = np.clip(finer(gravity[:, i], n) + shake, -128, 127).round()
        signals[f"wrist.acc_{axis}"] = Signal(values.astype(np.float32), ACC_HZ)
    return signals
