"""Writes a session in the folder layout of the Empatica E4, for samples and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fedaffect.data.e4_session import CHANNELS, RATES_HZ
from fedaffect.data.schema import Signal

SIMULATED = "SIMULATED.txt"  # its presence in a data root marks simulated people
_DECIMALS = {"ACC": 0, "BVP": 2, "EDA": 6, "TEMP": 2}
_BEAT_S = (0.4, 2.0)  # plausible time between two beats
_HR_AFTER_S = 10  # HR.csv starts so much later than the other files
_INFO = (
    "ACC.csv BVP.csv EDA.csv TEMP.csv HR.csv: row 1 is the unix time (UTC) of the first sample, "
    "row 2 the sampling rate in Hz, then one row a sample.\n"
    "Units: ACC 1/64 g (x, y, z), EDA microsiemens, TEMP degrees Celsius, HR beats per minute.\n"
    "IBI.csv: offset from the start and time between two beats, in seconds.\n"
    "tags: unix times at which the button was pressed.\n"
)


def write_e4_session(
    folder: Path,
    signals: Mapping[str, Signal],
    start_unix: float,
    *,
    tags: Sequence[float] = (),
    tags_name: str = "tags.csv",
) -> np.ndarray:
    """Write one session: ACC, BVP, EDA, TEMP, and HR and IBI taken from the BVP peaks.

    Args:
        folder: Where to, created if needed.
        signals: The six wrist channels at the rates of the E4.
        start_unix: Unix time of second 0 of the signals.
        tags: Unix times of button presses.
        tags_name: Name of the file of button presses.

    Returns:
        The heart rate of ``HR.csv`` in beats per minute, one a second from second 10 on, (n,).

    Raises:
        ValueError: a channel is missing or has another rate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, channels in CHANNELS.items():
        picked = [signals[c] for c in channels if c in signals]
        if len(picked) != len(channels) or {s.rate_hz for s in picked} != {RATES_HZ[name]}:
            raise ValueError(f"{name} needs {', '.join(channels)} at {RATES_HZ[name]:g} Hz")
        begin = start_unix + picked[0].start_s
        _write_table(folder / f"{name}.csv", begin, RATES_HZ[name], picked, _DECIMALS[name])
    bvp = signals["wrist.bvp"]
    beats_s = _beats(bvp)
    rate = _heart_rate(beats_s, bvp.start_s, bvp.end_s)
    heart = Signal(rate, 1.0, bvp.start_s + _HR_AFTER_S)
    _write_table(folder / "HR.csv", start_unix + heart.start_s, 1.0, [heart], 2)
    interval_s = np.diff(beats_s)
    good = (interval_s >= _BEAT_S[0]) & (interval_s <= _BEAT_S[1])
    offset_s = beats_s[1:] - bvp.start_s
    rows = [f"{a:.6f},{b:.6f}\n" for a, b in zip(offset_s[good], interval_s[good], strict=True)]
    _write(folder / "IBI.csv", f"{start_unix + bvp.start_s:.6f}, IBI\n" + "".join(rows))
    _write(folder / tags_name, "".join(f"{tag:.0f}\n" for tag in tags))
    _write(folder / "info.txt", _INFO)
    return rate


def mark_simulated(root: Path) -> None:
    """Leave a file in ``root`` that says: these people are simulated."""
    root.mkdir(parents=True, exist_ok=True)
    _write(root / SIMULATED, "Simulated people, written by fedaffect. No real person is in it.\n")


def is_simulated(root: Path) -> bool:
    """Return whether ``root`` says that its people are simulated."""
    return (root / SIMULATED).is_file()


def _write_table(
    path: Path, start_unix: float, rate_hz: float, columns: Sequence[Signal], decimals: int
) -> None:
    head = "".join(
        ", ".join([f"{value:.6f}"] * len(columns)) + "\n" for value in (start_unix, rate_hz)
    )
    row = ",".join([f"%.{decimals}f"] * len(columns)) + "\n"
    table = np.stack([c.values for c in columns], axis=1).astype(np.float64)  # (n, columns)
    _write(path, head + "".join([row % tuple(values) for values in table.tolist()]))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _beats(bvp: Signal) -> np.ndarray:
    """Return the times of the pulse peaks in seconds, (n,)."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(bvp.values, distance=int(_BEAT_S[0] * bvp.rate_hz), height=0.0)
    return np.asarray(bvp.start_s + peaks / bvp.rate_hz)


def _heart_rate(beats_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Return beats per minute over the 10 s before each second, (n,); 0 without two beats."""
    at = np.arange(start_s + _HR_AFTER_S, end_s, 1.0)
    last = np.searchsorted(beats_s, at, side="right")
    first = np.searchsorted(beats_s, at - _HR_AFTER_S, side="right")
    rate = np.zeros(len(at))
    some = last - first >= 2
    span_s = beats_s[last[some] - 1] - beats_s[first[some]]
    rate[some] = 60.0 * (last - first - 1)[some] / span_s
    return rate.round(2)
