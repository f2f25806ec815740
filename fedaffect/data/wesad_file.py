"""One subject's file of WESAD: checked against the official structure, cut into channels.

The structure: ``subject``, ``label`` at 700 Hz, and ``signal`` with ``chest`` (700 Hz) and
``wrist`` (an Empatica E4: ACC 32 Hz in 1/64 g, BVP 64 Hz, EDA 4 Hz in microsiemens, TEMP 4 Hz in
deg C), source: the data set's readme. Keys may be spelt in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fedaffect.data.pickle_reader import load_pickle
from fedaffect.data.pickle_stream import kind_of, shown
from fedaffect.data.pickle_values import LazyArray
from fedaffect.errors import DataError

LABEL_HZ = 700.0
LABEL_CODES = tuple(range(8))  # 0 undefined, 1 to 4 conditions, 5 to 7 to be ignored
TOLERANCE_S = 1.0  # signals and labels start together and end together up to this
_XYZ = ("acc_x", "acc_y", "acc_z")
# Device -> name in the file -> (rate in Hz, channels).
DEVICES: dict[str, dict[str, tuple[float, tuple[str, ...]]]] = {
    "wrist": {
        "ACC": (32.0, _XYZ),
        "BVP": (64.0, ("bvp",)),
        "EDA": (4.0, ("eda",)),
        "TEMP": (4.0, ("temp",)),
    },
    "chest": {
        "ACC": (700.0, _XYZ),
        "ECG": (700.0, ("ecg",)),
        "EMG": (700.0, ("emg",)),
        "EDA": (700.0, ("eda",)),
        "Temp": (700.0, ("temp",)),
        "Resp": (700.0, ("resp",)),
    },
}
RATES_HZ = {
    f"{device}.{channel}": rate_hz
    for device, entries in DEVICES.items()
    for rate_hz, channels in entries.values()
    for channel in channels
}


def read_subject(path: Path, subject: str, devices: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the channels of ``devices`` from the file of ``subject``; others are not decoded.

    Args:
        path: ``SX.pkl``.
        subject: The id that the file must state.
        devices: Of ``wrist`` and ``chest``.

    Returns:
        ``label``, the codes 0 to 7, (n,) int8; and every channel, (m,) float32.

    Raises:
        DataError: E310 to E318 see ``load_pickle``; E322 an entry is missing or has the wrong
            form; E323 a label code outside 0 to 7; E324 lengths that do not fit the rates;
            E325 a channel without a single value; E326 another subject.
    """
    name = path.name
    tree = load_pickle(path)
    stated = _entry(tree, "subject", name, "the file")
    if _text(stated) != subject:
        told = f"'{shown(_text(stated))}'" if _text(stated) else kind_of(stated)
        raise DataError(
            "E326", f"{name} in folder {subject} states subject {told}", do="put the file back"
        )
    label = _array(_entry(tree, "label", name, "the file"), f"{name}: label", 1)
    signal = _entry(tree, "signal", name, "the file")
    found = [
        (f"{name}: {device}/{key}", device, rate_hz, channels, array)
        for device in devices
        for key, rate_hz, channels, array in _device(signal, device, name)
    ]
    for where, _, rate_hz, _, array in found:
        _check_length(where, array.shape[0], rate_hz, label.shape[0])
    if "wrist" not in devices and _has(signal, "wrist"):
        for key, rate_hz, _, array in _device(signal, "wrist", name):
            _check_length(f"{name}: wrist/{key}", array.shape[0], rate_hz, label.shape[0])
    out = {"label": _codes(label.read().reshape(-1), name)}
    for where, device, _, channels, array in found:
        values = array.read().reshape(-1, len(channels))  # (m, 1 or 3)
        for i, channel in enumerate(channels):
            with np.errstate(over="ignore", invalid="ignore"):
                column = values[:, i].astype(np.float32)  # (m,)
            if np.isnan(column).all():
                raise DataError(
                    "E325", f"{where} holds no value at all ({channel})", do="leave this person out"
                )
            out[f"{device}.{channel}"] = column
    return out


def _device(
    signal: object, device: str, name: str
) -> Iterator[tuple[str, float, tuple[str, ...], LazyArray]]:
    entries = _entry(signal, device, name, "signal")
    for key, (rate_hz, channels) in DEVICES[device].items():
        value = _entry(entries, key, name, f"signal/{device}")
        yield key, rate_hz, channels, _array(value, f"{name}: {device}/{key}", len(channels))


def _keys(tree: object) -> dict[str, str | bytes]:
    """Return the lower-case spelling of every key to its own.

    Keys are bytes in files that Python 3 saved again after reading them with encoding="bytes".
    """
    keys = tree if isinstance(tree, dict) else {}
    return {_text(key).lower(): key for key in keys if isinstance(key, (str, bytes))}


def _text(value: object) -> str:
    """Return text, or bytes read as Latin-1; anything else is empty."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _has(tree: object, key: str) -> bool:
    return key in _keys(tree)


def _entry(tree: object, key: str, name: str, where: str) -> object:
    if not isinstance(tree, dict):
        raise DataError(
            "E322", f"{name}: {where} is {kind_of(tree)}, not a dict", do="get the original file"
        )
    keys = _keys(tree)
    if key.lower() not in keys:
        there = ", ".join(shown(k) for k in sorted(map(_text, keys.values()))[:12]) or "nothing"
        raise DataError(
            "E322",
            f"{name}: {where} has no {key!r}; it has {there}",
            do="get the original file, or choose another data.modality",
        )
    value: object = tree[keys[key.lower()]]
    return value


def _array(value: object, where: str, columns: int) -> LazyArray:
    if not isinstance(value, LazyArray):
        raise DataError("E322", f"{where} is {kind_of(value)}, not an array")
    shape = value.shape
    fits = shape[1:] == (columns,) or (columns == 1 and len(shape) == 1)
    if not shape or not fits or value.dtype.kind not in "iuf":
        wanted = f"(n, {columns})" if columns > 1 else "(n,) or (n, 1)"
        raise DataError(
            "E322", f"{where} is {value.dtype} of shape {shape}; expected numbers of shape {wanted}"
        )
    return value


def _check_length(where: str, n: int, rate_hz: float, n_labels: int) -> None:
    label_s = n_labels / LABEL_HZ
    if n and n_labels and abs(n / rate_hz - label_s) <= TOLERANCE_S:
        return
    implied = f"{n / label_s:.4g} Hz" if n_labels else "no rate"
    raise DataError(
        "E324",
        f"{where} has {n} samples for {label_s:.1f} s of labels at {LABEL_HZ:g} Hz: "
        f"expected ~{rate_hz:g} Hz, got {implied}",
        do="get the original file: signals and labels must cover the same time",
    )


def _codes(label: np.ndarray, name: str) -> np.ndarray:
    codes, counts = np.unique(label, return_counts=True)
    wrong = ~np.isin(codes, LABEL_CODES)
    if wrong.any():
        found = zip(codes[wrong][:8].tolist(), counts[wrong][:8].tolist(), strict=True)
        more = " and more" if np.count_nonzero(wrong) > 8 else ""
        raise DataError(
            "E323",
            f"{name}: label codes outside 0 to 7: "
            + ", ".join(f"{code:g} ({count} samples)" for code, count in found)
            + more,
            do="get the original file: WESAD knows 0 to 7 only",
        )
    return label.astype(np.int8)
