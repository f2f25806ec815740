"""The chest strap of a simulated person: the channels, units and rate of a RespiBAN in WESAD.

ECG and EMG in mV, EDA in microsiemens, temperature in deg C, respiration in % of full stretch,
acceleration in g, everything at 700 Hz. It serves samples of data sets with a chest device and the
public feature scale; it is plainer than the wrist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fedaffect.data.schema import Signal
from fedaffect.data.synthetic_parts import SLOW_HZ, decay, drift, finer, lag, smooth
from fedaffect.data.synthetic_person import Person
from fedaffect.data.synthetic_signals import (
    AROUSAL,
    breath_phase,
    follow_plan,
    heart_rate,
)

CHEST_HZ = 700.0
# Waves of a heartbeat P, Q, R, S, T: place in the beat (R at 0), width (both in beats), mV.
_BEAT = (
    (-0.17, 0.025, 0.12),
    (-0.03, 0.008, -0.12),
    (0.0, 0.010, 1.0),
    (0.03, 0.010, -0.25),
    (0.28, 0.050, 0.25),
)


def simulate_chest(
    rng: np.random.Generator,
    person: Person,
    conditions: Sequence[tuple[int, float]],
    *,
    arousal: Mapping[int, float] = AROUSAL,
) -> tuple[dict[str, Signal], Signal]:
    """Return the eight chest channels of one recording, and its condition codes at 700 Hz.

    Args:
        rng: Stream of this recording.
        person: Who wears the device.
        conditions: (code, duration in seconds) in order of time.
        arousal: Code to strength of the stress reaction, 0 (none) to 1; codes not in it get 0.
    """
    codes, push = follow_plan(rng, conditions, arousal)  # (m,) at 4 Hz
    m = len(codes)
    n = round(m * CHEST_HZ / SLOW_HZ)
    t, r, fast = person.traits, person.reactions, lag(push, 6.0)
    breath = breath_phase(rng, fast, t)
    heart = heart_rate(rng, fast, breath, t, r)
    level = np.exp(1.2 + 0.6 * t["eda_log_us"] + r["eda_log"] * lag(push, 20.0))
    per_min = np.exp(t["scr_log_per_min"] + r["scr_log"] * fast)
    events = (rng.random(m) < per_min / 60 / SLOW_HZ) * np.exp(t["scr_log_share"])
    responses = decay(events, 3.0) - decay(events, 0.7)
    moves = decay((rng.random(m) < 1.5 / 60 / SLOW_HZ) * rng.exponential(0.1, m), 1.5)
    respiration = (3.0 + drift(rng, m, 60.0)) * np.sin(breath) + drift(rng, m, 30.0)
    slow = {
        "chest.eda": level * (1 + responses + 0.03 * drift(rng, m, 60.0)),
        "chest.temp": t["skin_c"] + 1.0 + 0.3 * r["skin_c"] * lag(push, 60.0),
        "chest.resp": respiration,
    }
    noise = {"chest.eda": 0.002, "chest.temp": 0.01, "chest.resp": 0.02}
    noise |= {"chest.ecg": 0.01, "chest.acc_x": 0.003, "chest.acc_y": 0.003, "chest.acc_z": 0.003}
    # Contact with the skin and range of the converter: noise differs between recordings.
    grain = {c: sd * np.exp(0.6 * rng.standard_normal()) for c, sd in noise.items()}
    values = {c: finer(x, n) + grain[c] * rng.standard_normal(n) for c, x in slow.items()}
    tone = np.exp(-4.5 + 0.3 * fast + 0.4 * drift(rng, m, 20.0)) + 0.1 * moves
    values["chest.emg"] = finer(tone, n) * rng.standard_normal(n)
    phase = finer(np.cumsum(heart / 60) / SLOW_HZ, n)  # beats
    size = np.exp(0.5 * (t["pulse_log"] - 3.5))
    values["chest.ecg"] = size * _beats(phase) + grain["chest.ecg"] * rng.standard_normal(n)
    upright = np.array([0.9, 0.0, -0.3]) + 0.1 * (person.posture - [-0.5, 0.0, 0.8])
    upright = upright / np.linalg.norm(upright)
    burst = finer(moves, n)
    for i, axis in enumerate("xyz"):
        sway = upright[i] + 0.02 * drift(rng, m, 30.0) + 0.004 * np.sin(breath)
        channel = f"chest.acc_{axis}"
        shake = burst * smooth(rng.standard_normal(n), 60.0)
        values[channel] = finer(sway, n) + shake + grain[channel] * rng.standard_normal(n)
    signals = {c: Signal(v.astype(np.float32), CHEST_HZ) for c, v in values.items()}
    return signals, Signal(np.repeat(codes, round(CHEST_HZ / SLOW_HZ)), CHEST_HZ)


def _beats(phase: np.ndarray) -> np.ndarray:
    """Return the ECG in mV at heart ``phase`` in beats, (n,)."""
    place = (phase + 0.5) % 1.0 - 0.5  # R at 0
    return np.asarray(sum(mv * np.exp(-0.5 * ((place - at) / w) ** 2) for at, w, mv in _BEAT))
