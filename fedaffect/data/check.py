"""What ``fedaffect data check`` looks at, and what it finds, without ever raising for bad data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedaffect.data.people import duplicates
from fedaffect.data.problems import each_problem
from fedaffect.data.schema import UNLABELLED, Dataset, Finding, Recording, Recordings, Signal
from fedaffect.errors import DataError, FedaffectError

FLAT_S = 5.0  # a value that stays the same for longer is flat
_TOO_MUCH = 0.2  # share of a person's samples beyond which they are an error
_SATURATED = 0.01  # share of a person's samples that is normal: a knock ends at the limit
_OUTSIDE_S = 30.0  # labels that go on for so long after the signals are normal


@dataclass(frozen=True)
class Sensor:
    """What is plausible for a channel.

    Args:
        low: Least plausible value.
        high: Largest plausible value.
        unit: Unit of the values.
        saturates: Whether the device cannot go beyond ``low`` and ``high``.
        flat: Share of flat samples that is normal: a resting wrist does not move, and
            temperature is coarse.
    """

    low: float
    high: float
    unit: str
    saturates: bool
    flat: float


SENSORS: Mapping[str, Sensor] = {
    "wrist.acc": Sensor(-128, 128, "1/64 g", True, 0.5),
    "wrist.bvp": Sensor(-np.inf, np.inf, "a.u.", False, 0.05),
    "wrist.eda": Sensor(0, 100, "uS", True, 0.05),
    "wrist.temp": Sensor(15, 45, "deg C", False, 0.5),
    "chest.acc": Sensor(-8, 8, "g", True, 0.5),
    "chest.ecg": Sensor(-1.5, 1.5, "mV", True, 0.05),
    "chest.emg": Sensor(-1.5, 1.5, "mV", True, 0.05),
    "chest.eda": Sensor(0, 100, "uS", True, 0.5),
    "chest.temp": Sensor(15, 45, "deg C", False, 0.5),
    "chest.resp": Sensor(-50, 50, "%", True, 0.5),
}
_ANY_SENSOR = Sensor(-np.inf, np.inf, "", False, 0.05)


def check_dataset(name: str, dataset: Dataset, root: Path | None) -> list[Finding]:
    """Load a data set and return what was found, errors first.

    Every finding has a ``code`` in its details: that of the loader's error, or W130 one-class
    people, W131 values that are not finite, W132 flat channels, W133 saturated channels, W134
    values out of range, W135 differing rates, W136 labelled time without signals.

    Args:
        name: Registered name of the data set.
        dataset: Its loader.
        root: Folder of the data set.
    """
    try:
        data = dataset.load(root)
    except DataError as error:
        return [_of_error(e) for e in each_problem(error)]
    found = [
        *_size(name, data),
        *_rates(data),
        *_labels(data),
        *_signals(data),
        *_copies(data),
        *(Finding("ok", note, {"code": "note"}) for note in data.notes),
    ]
    order = {"error": 0, "warning": 1, "ok": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _of_error(error: FedaffectError) -> Finding:
    return Finding("error", error.message, {"code": error.code, "do": error.do})


def _size(name: str, data: Recordings) -> Iterator[Finding]:
    """Count people, sessions and hours."""
    people = {r.subject for r in data.recordings}
    hours = sum(_end_s(r) for r in data.recordings) / 3600
    kind = "simulated people" if data.synthetic else "people"
    text = f"{name}: {len(people)} {kind}, {len(data.recordings)} sessions, {hours:.1f} h"
    details = {
        "code": "size",
        "people": len(people),
        "sessions": len(data.recordings),
        "hours": round(hours, 3),
        "files": len(data.files),
        "bytes": sum(f.size for f in data.files),
    }
    if people:
        yield Finding("ok", text, details)
    else:
        yield Finding("error", text, {**details, "code": "E352"})


def _rates(data: Recordings) -> Iterator[Finding]:
    """List the rate of each channel; they should not differ between recordings."""
    rates: dict[str, set[float]] = defaultdict(set)
    for recording in data.recordings:
        for channel, signal in recording.signals.items():
            rates[channel].add(signal.rate_hz)
    text = ", ".join(f"{c} {'/'.join(f'{r:g}' for r in sorted(v))}" for c, v in rates.items())
    details = {c: sorted(v) for c, v in rates.items()}
    differ = any(len(v) > 1 for v in rates.values())
    code = {"code": "W135" if differ else "rates"}
    yield Finding("warning" if differ else "ok", f"rates in Hz: {text}", {**code, **details})


def _labels(data: Recordings) -> Iterator[Finding]:
    """Count the seconds of each condition, and look for people with one class only."""
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    classes: dict[str, set[int]] = defaultdict(set)
    outside: dict[str, float] = defaultdict(float)
    for r in data.recordings:
        codes = np.asarray(r.condition.values)
        step_s = 1 / r.condition.rate_hz
        at = r.condition.start_s + np.arange(len(codes)) * step_s
        covered = (at + step_s > _begin_s(r)) & (at < _end_s(r))
        classes[r.subject] |= set()  # a person without any label counts too
        for code, count in zip(*np.unique(codes[covered], return_counts=True), strict=True):
            name = data.conditions.get(int(code), f"code {code}")
            word = "unlabelled" if code == UNLABELLED else name
            seconds[r.subject][word] += float(count) * step_s
            if (stress := data.stress_of.get(int(code))) is not None:
                classes[r.subject].add(stress)
        if lost := float(((codes != UNLABELLED) & ~covered).sum()) * step_s:
            outside[r.subject] += lost
    total: dict[str, float] = defaultdict(float)
    for own in seconds.values():
        for word, amount in own.items():
            total[word] += amount
    text = ", ".join(f"{word} {amount / 60:.1f} min" for word, amount in sorted(total.items()))
    people = {who: dict(own) for who, own in seconds.items()}
    yield Finding("ok", f"conditions: {text}", {"code": "labels", "seconds": people})
    if one := sorted(who for who, own in classes.items() if len(own) < 2):
        level = "error" if len(set().union(*classes.values())) < 2 else "warning"
        text = f"less than two classes of stress: {_some(one)}"
        yield Finding(level, text, {"code": "W130", "people": one})
    outside = {who: s for who, s in outside.items() if s > _OUTSIDE_S}
    if outside:
        text = _some([f"{who} {s:.0f} s" for who, s in outside.items()])
        yield Finding("warning", f"labels without signals: {text}", {"code": "W136", **outside})


def _signals(data: Recordings) -> Iterator[Finding]:
    """Look at the values of every channel of every person."""
    bad: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    samples: dict[tuple[str, str], int] = defaultdict(int)
    for r in data.recordings:
        for channel, signal in r.signals.items():
            samples[channel, r.subject] += len(signal.values)
            for code, count in _count(signal, _sensor(channel)).items():
                bad[code, channel][r.subject] += count
    for (code, channel), people in bad.items():
        sensor = _sensor(channel)
        normal = {"W132": sensor.flat, "W133": _SATURATED}.get(code, 0.0)
        shares = {who: n / max(1, samples[channel, who]) for who, n in people.items()}
        shares = {who: s for who, s in shares.items() if s > normal}
        if not shares:
            continue
        worst = sorted(shares.items(), key=lambda item: -item[1])
        serious = code in ("W131", "W134") and worst[0][1] > _TOO_MUCH
        what = _WORDS[code]
        if code == "W134":
            what += f" {sensor.low:g} to {sensor.high:g} {sensor.unit}"
        yield Finding(
            "error" if serious else "warning",
            f"{channel}: {what}: {_some([f'{who} {share:.2%}' for who, share in worst])}",
            {"code": code, "channel": channel, "share": dict(worst)},
        )


_WORDS = {
    "W131": "not finite",
    "W132": f"the same value for more than {FLAT_S:g} s",
    "W133": "at the end of the device's range",
    "W134": "outside",
}


def _sensor(channel: str) -> Sensor:
    return SENSORS.get(channel.split("_")[0], _ANY_SENSOR)


def _count(signal: Signal, sensor: Sensor) -> dict[str, float]:
    """Return warning code to the number of samples it holds for."""
    values = np.asarray(signal.values)
    if not len(values):
        return {}
    known = values[np.isfinite(values)]
    edges = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [len(values)]])
    lengths = np.diff(edges)
    counts = {
        "W131": len(values) - len(known),
        "W132": lengths[lengths > FLAT_S * signal.rate_hz].sum(),
        "W134": ((known < sensor.low) | (known > sensor.high)).sum(),
    }
    if sensor.saturates:
        top = sensor.high - (1.0 if sensor.unit == "1/64 g" else 0.0)  # 127 is the largest byte
        low = (known <= sensor.low) & (sensor.low < 0)  # zero conductance is no limit
        counts["W133"] = (low | (known >= top)).sum()
    return {code: float(count) for code, count in counts.items()}


def _copies(data: Recordings) -> Iterator[Finding]:
    """Look for the same signal in two recordings."""
    for channel, who in duplicates(data.recordings):
        text = f"{channel} is the same in {' and '.join(who)}"
        yield Finding("error", text, {"code": "E350", "channel": channel, "recordings": who})


def _begin_s(recording: Recording) -> float:
    return max((s.start_s for s in recording.signals.values()), default=0.0)


def _end_s(recording: Recording) -> float:
    return min((s.end_s for s in recording.signals.values()), default=0.0)


def _some(items: list[str]) -> str:
    """Return up to eight items in one line, and how many more there are."""
    more = f" and {len(items) - 8} more" if len(items) > 8 else ""
    return ", ".join(items[:8]) + more
