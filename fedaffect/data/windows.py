"""From recordings to a table of feature windows.

Windows are 700 samples with 50 % overlap, as in Benouis, Can and Andre, section III.A. Channels
have different rates, so a window is meant in seconds: 700 samples of the 64 Hz wrist pulse signal,
or of the 700 Hz chest when the chest is used alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedaffect.data.features import FEATURES, feature_names, window_features
from fedaffect.data.schema import (
    UNLABELLED,
    Recording,
    Recordings,
    Signal,
    WindowTable,
    channels_of,
)
from fedaffect.errors import DataError

WINDOW_S = {"wrist": 700 / 64, "both": 700 / 64, "chest": 1.0}
MAX_DROPPED = 0.2  # share of a person's windows that may be unusable
LARGEST = 1e15  # a value beyond it is as unusable as NaN
VERSION = 1  # of the windows and features; part of the fingerprint
_CHUNK = 1 << 20  # samples turned into features at a time
_TINY = 1e-6  # of a sample or a window: what rounding of times may cost


@dataclass(frozen=True)
class _Cut:
    """Windows of one recording."""

    features: np.ndarray  # (n, F) float32
    start_s: np.ndarray  # (n,)
    condition: np.ndarray  # (n,)
    planned: int  # before unusable windows were dropped


def cut_windows(
    recordings: Recordings, *, modality: str = "wrist", overlap: float = 0.5
) -> WindowTable:
    """Cut every recording into windows and compute their features.

    A window lies inside one run of one condition that is used for stress, and inside the span of
    every channel; windows of a run start at its beginning. In each channel a window takes
    ``floor(window_s * rate_hz)`` samples from its start on, all of them taken in
    ``[start_s, start_s + window_s)``.

    Windows with a value that is not finite are dropped and counted in the notes; a person without
    any window is left out and named in the notes.

    Args:
        recordings: A data set as its loader returned it.
        modality: ``wrist``, ``chest`` or ``both``: the channels.
        overlap: Share of a window that the next one repeats, 0 <= overlap < 1.

    Raises:
        DataError: E330 a channel is missing; E331 too many windows of a person are not finite;
            E332 no window at all; E333 a condition without meaning for stress; E334 a channel
            too slow for the window.
    """
    channels = channels_of(modality)
    window_s = WINDOW_S[modality]
    stride_s = window_s * (1 - overlap)
    people = sorted({r.subject for r in recordings.recordings})
    cuts = [_cut(r, recordings, channels, window_s, stride_s) for r in recordings.recordings]
    notes = list(recordings.notes)
    subjects = []
    for person in people:
        own = [c for c, r in zip(cuts, recordings.recordings, strict=True) if r.subject == person]
        left, planned = sum(len(c.start_s) for c in own), sum(c.planned for c in own)
        _check_dropped(person, planned - left, planned)
        if planned > left:
            notes.append(f"{person}: {planned - left} of {planned} windows dropped: not finite")
        if left:
            subjects.append(person)
        else:
            notes.append(f"{person}: left out, no labelled stretch of {window_s:.4g} s")
    if not subjects:
        raise DataError(
            "E332",
            f"no labelled stretch of {window_s:.4g} s in {len(people)} people",
            do="check the labels: they may not overlap the signals in time",
        )
    place = {person: i for i, person in enumerate(subjects)}
    lengths = [len(c.start_s) for c in cuts]
    condition = np.concatenate([c.condition for c in cuts])
    stress = {code: value for code, value in recordings.stress_of.items() if value is not None}
    return WindowTable(
        dataset=recordings.dataset,
        features=np.concatenate([c.features for c in cuts]),
        stress=np.array([stress[int(code)] for code in condition], dtype=np.int64),
        subject=np.repeat([place.get(r.subject, -1) for r in recordings.recordings], lengths),
        recording=np.repeat(np.arange(len(cuts)), lengths),
        condition=condition,
        start_s=np.concatenate([c.start_s for c in cuts]),
        window_s=window_s,
        subjects=tuple(subjects),
        feature_names=feature_names(channels),
        conditions=dict(recordings.conditions),
        licence=recordings.licence,
        citation=recordings.citation,
        synthetic=recordings.synthetic,
        fingerprint=_fingerprint(recordings, channels, window_s, overlap),
        files=recordings.files,
        notes=tuple(notes),
    )


def _cut(
    recording: Recording,
    recordings: Recordings,
    channels: tuple[str, ...],
    window_s: float,
    stride_s: float,
) -> _Cut:
    """Return the windows of one recording."""
    signals = [_signal(recording, channel) for channel in channels]
    first_s = max(s.start_s for s in signals)
    last_s = min(s.end_s for s in signals)
    starts: list[np.ndarray] = [np.empty(0)]
    codes: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    for code, run_start_s, run_end_s in _runs(recording.condition):
        if code == UNLABELLED or _stress_of(recordings, recording, code) is None:
            continue
        a, b = max(first_s, run_start_s), min(last_s, run_end_s)
        n = int(np.floor((b - a - window_s) / stride_s + _TINY)) + 1 if b > a else 0
        starts.append(a + np.arange(max(n, 0)) * stride_s)
        codes.append(np.full(max(n, 0), code, dtype=np.int64))
    start_s, condition = np.concatenate(starts), np.concatenate(codes)
    usable = np.ones(len(start_s), dtype=bool)
    width = len(FEATURES)
    features = np.zeros((len(start_s), width * len(channels)), dtype=np.float32)
    for i, (channel, signal) in enumerate(zip(channels, signals, strict=True)):
        block = features[:, i * width : (i + 1) * width]
        usable &= _fill(block, signal, start_s, window_s, f"{recording.subject} {channel}")
    return _Cut(features[usable], start_s[usable], condition[usable], len(start_s))


def _fill(
    out: np.ndarray, signal: Signal, start_s: np.ndarray, window_s: float, where: str
) -> np.ndarray:
    """Write the features of one channel into ``out`` (N, 10); return which windows are usable."""
    n = int(np.floor(window_s * signal.rate_hz + _TINY))
    if n < 3:
        raise DataError(
            "E334",
            f"{where}: {signal.rate_hz:g} Hz gives {n} samples in a window of {window_s:.4g} s",
            do="at least 3 are needed: leave this channel's device out (data.modality)",
        )
    usable = np.zeros(len(start_s), dtype=bool)
    if not len(start_s):
        return usable
    # All samples of a window are taken inside it: from the first one at or after its start.
    first = np.ceil((start_s - signal.start_s) * signal.rate_hz - _TINY).astype(np.int64)
    np.clip(first, 0, len(signal.values) - n, out=first)  # rounding of times only
    windows = np.lib.stride_tricks.sliding_window_view(signal.values, n)
    rows = max(1, _CHUNK // n)
    for at in range(0, len(first), rows):
        x = windows[first[at : at + rows]].astype(np.float64)  # (rows, n)
        good = np.abs(x).max(axis=1) < LARGEST  # False for NaN and Inf
        usable[at : at + rows] = good
        out[at : at + rows][good] = window_features(x[good], signal.rate_hz)
    return usable


def _runs(condition: Signal) -> Iterator[tuple[int, float, float]]:
    """Yield (code, start_s, end_s) of every stretch of equal condition."""
    codes = np.asarray(condition.values)
    if not len(codes):
        return
    edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    times = condition.start_s + edges / condition.rate_hz
    for i, at in enumerate(edges[:-1]):
        yield int(codes[at]), float(times[i]), float(times[i + 1])


def _signal(recording: Recording, channel: str) -> Signal:
    if channel in recording.signals and len(recording.signals[channel].values):
        return recording.signals[channel]
    raise DataError(
        "E330",
        f"{recording.subject}, recording {recording.session}: channel {channel} is missing",
        do=f"it offers {', '.join(recording.signals) or 'none'}; choose another data.modality",
    )


def _stress_of(recordings: Recordings, recording: Recording, code: int) -> int | None:
    if code in recordings.stress_of:
        return recordings.stress_of[code]
    raise DataError(
        "E333",
        f"{recording.subject}, recording {recording.session}: condition {code} is not known",
        do=f"known conditions: {', '.join(map(str, sorted(recordings.stress_of)))}",
    )


def _check_dropped(person: str, dropped: int, planned: int) -> None:
    if dropped > MAX_DROPPED * planned:
        raise DataError(
            "E331",
            f"{person}: {dropped} of {planned} windows hold values that are not finite",
            do=f"at most {MAX_DROPPED:.0%} may be dropped: repair or leave out this person",
        )


def _fingerprint(
    recordings: Recordings, channels: tuple[str, ...], window_s: float, overlap: float
) -> str:
    """Return a hex SHA-256 over the signals that were cut and every option that shaped them."""
    digest = hashlib.sha256()
    options = [VERSION, recordings.dataset, channels, window_s, overlap]
    meaning = [sorted(recordings.conditions.items()), sorted(recordings.stress_of.items())]
    digest.update(json.dumps([options, meaning, [f.sha256 for f in recordings.files]]).encode())
    for recording in recordings.recordings:
        used = {"": recording.condition, **{c: recording.signals[c] for c in channels}}
        for name, signal in used.items():
            values = np.ascontiguousarray(signal.values)
            at = [float(signal.rate_hz), float(signal.start_s)]
            head = [recording.subject, recording.session, name, *at, values.dtype.str, len(values)]
            digest.update(json.dumps(head).encode())
            digest.update(values.view(np.uint8).data)
    return digest.hexdigest()
