"""One session of an Empatica E4 wristband: the folder of CSV files that the maker exports.

Row 1 of a file is the unix time (UTC) of its first sample, row 2 the sampling rate, once per
column; then one row a sample. ACC holds x, y, z in 1/64 g, BVP has no unit, EDA is in
microsiemens, TEMP in degrees Celsius. HR, IBI and tags are derived from them or events, and are
not read.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedaffect.data.problems import Problems
from fedaffect.data.schema import FileEntry, Signal
from fedaffect.errors import DataError

RATES_HZ = {"ACC": 32.0, "BVP": 64.0, "EDA": 4.0, "TEMP": 4.0}
CHANNELS = {
    "ACC": ("wrist.acc_x", "wrist.acc_y", "wrist.acc_z"),
    "BVP": ("wrist.bvp",),
    "EDA": ("wrist.eda",),
    "TEMP": ("wrist.temp",),
}
FILES = tuple(f"{name}.csv" for name in RATES_HZ)
TEMP_RANGE_C = (15.0, 45.0)  # of skin; outside of it at the beginning: start-up values
_MAX_BYTES = 1 << 30  # a week at 64 Hz is a third of it
_TINY = 1e-6  # of a sample


@dataclass(frozen=True)
class Session:
    """What a session folder holds.

    Args:
        signals: Channel name to signal, float32, all cut to their common span.
        start_unix: Time zero of the signals, in unix seconds.
        files: The files that were read.
        dropped: Name of a file to the number of start-up samples that were dropped from it.
        cut_s: How much longer the longest channel was than the common span, in seconds.
    """

    signals: Mapping[str, Signal]
    start_unix: float
    files: tuple[FileEntry, ...]
    dropped: Mapping[str, int]
    cut_s: float

    @property
    def end_s(self) -> float:
        """End of the common span, in seconds from ``start_unix``."""
        return min(signal.end_s for signal in self.signals.values())


def read_session(folder: Path, subject: str, session: str, root: Path | None = None) -> Session:
    """Read ``ACC.csv``, ``BVP.csv``, ``EDA.csv`` and ``TEMP.csv`` of one session.

    A first EDA sample of 0 and leading TEMP samples outside 15 to 45 degrees Celsius are start-up
    values and dropped. Nothing is resampled. Values that are not finite stay.

    Args:
        folder: Where the files lie.
        subject: Id of the person, for messages.
        session: Id of the session, for messages.
        root: Folder that the paths in ``files`` are relative to; default: ``folder``.

    Raises:
        DataError: E341 files are missing; E343 a file cannot be read; E344 a malformed header;
            E345 another sampling rate; E346 a malformed row; E347 implausible values.
    """
    if missing := [name for name in FILES if not os.path.exists(folder / name)]:
        raise DataError(
            "E341",
            f"{subject}, session {session}: {', '.join(missing)} missing in {folder}",
            do=f"an Empatica E4 session folder holds {', '.join(FILES)}",
        )
    values: dict[str, np.ndarray] = {}
    starts: dict[str, float] = {}
    entries = []
    problems = Problems()
    for name in RATES_HZ:
        path = folder / f"{name}.csv"
        with problems.keep():
            raw, entry = read_file(path, root or folder)
            entries.append(entry)
            starts[name], values[name] = _parse(raw, name, path)
            _check_units(name, values[name], path)
    problems.raise_all()
    drop = {"EDA": int(values["EDA"][0, 0] == 0), "TEMP": _start_up(values["TEMP"][:, 0])}
    zero = max(starts.values())
    signals = {
        channel: Signal(
            values[name][drop.get(name, 0) :, column],
            rate,
            starts[name] - zero + drop.get(name, 0) / rate,
        )
        for name, rate in RATES_HZ.items()
        for column, channel in enumerate(CHANNELS[name])
    }
    longest_s = max(s.end_s for s in signals.values())
    signals = _common_span(signals, f"{subject}, session {session}")
    cut_s = longest_s - min(s.end_s for s in signals.values())
    return Session(signals, zero, tuple(entries), {k: n for k, n in drop.items() if n}, cut_s)


def read_file(path: Path, root: Path) -> tuple[bytes, FileEntry]:
    """Return the bytes of a file and its entry, with a path relative to ``root``.

    Raises:
        DataError: E343 the file is missing, too large, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise DataError("E343", f"{path} has {size} bytes, more than any E4 session")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            "E343", f"cannot read {path}: {error.strerror}", do="check the path and its permissions"
        ) from error
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    return raw, FileEntry(name, len(raw), hashlib.sha256(raw).hexdigest())


def list_folder(folder: Path) -> list[Path]:
    """Return what is in ``folder``, by name, without hidden entries.

    Raises:
        DataError: E343 it cannot be read.
    """
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DataError(
            "E343", f"cannot read {folder}: {error.strerror}", do="check its permissions"
        ) from error


def decode(raw: bytes, path: Path) -> str:
    """Return the text of a file with plain line feeds and without a byte order mark.

    Raises:
        DataError: E343 it is not text.
    """
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            "E343",
            f"{path} is not text: byte {error.start} is not UTF-8",
            do="export the session again as CSV files",
        ) from error


def _parse(raw: bytes, name: str, path: Path) -> tuple[float, np.ndarray]:
    """Return the start in unix seconds and the values (n, columns) float32 of one file."""
    columns, rate_hz = len(CHANNELS[name]), RATES_HZ[name]
    first, second, body = [*decode(raw, path).split("\n", 2), "", ""][:3]
    start = _header(first, columns, f"{path} line 1", "the unix time of the first sample")
    found = _header(second, columns, f"{path} line 2", "the sampling rate in Hz")
    if found != rate_hz:
        raise DataError(
            "E345",
            f"{path} has {found:g} Hz, expected {rate_hz:g} Hz",
            do="use the file as the E4 exports it; fedaffect does not resample",
        )
    body = body.strip("\n ")
    if not body:
        raise DataError("E346", f"{path} holds no samples", do="leave this session out")
    try:
        if "\n\n" in body:
            raise ValueError("an empty line")
        table = np.loadtxt(io.StringIO(body), delimiter=",", comments=None, ndmin=2)
        if table.shape[1] != columns:
            raise ValueError("another number of columns")
    except ValueError as error:
        raise _bad_row(body, columns, path) from error
    with np.errstate(over="ignore"):  # beyond float32: infinite, and windows drop it
        return start, table.astype(np.float32)


def _header(line: str, columns: int, where: str, what: str) -> float:
    """Return the number of a header row that repeats it once per column."""
    cells = [cell.strip() for cell in line.split(",")]
    try:
        numbers = {float(cell) for cell in cells}
    except ValueError:
        numbers = set()
    value = min(numbers, default=math.nan)
    if len(numbers) != 1 or len(cells) != columns or not 0 < value < math.inf:
        raise DataError(
            "E344",
            f"{where} is {line[:60]!a}, expected {what}, {columns} time(s)",
            do="the first two rows of an E4 file are its start and its rate",
        )
    return value


def _bad_row(body: str, columns: int, path: Path) -> DataError:
    """Return the error that names the first row that is not ``columns`` numbers."""
    rows = enumerate(body.split("\n"), start=3)
    number, line = next((row for row in rows if not _is_row(row[1], columns)), (3, body))
    return DataError(
        "E346",
        f"{path} line {number} is {line[:60]!a}, expected {columns} number(s)",
        do="the file is damaged or cut off: export the session again",
    )


def _is_row(line: str, columns: int) -> bool:
    cells = line.split(",")
    try:
        return len([float(cell) for cell in cells if "_" not in cell]) == columns == len(cells)
    except ValueError:
        return False


def _start_up(temp: np.ndarray) -> int:
    """Return how many leading samples lie outside the range of skin temperature."""
    return int(np.argmax((temp >= TEMP_RANGE_C[0]) & (temp <= TEMP_RANGE_C[1])))


def _check_units(name: str, table: np.ndarray, path: Path) -> None:
    """Refuse values of another unit: the median must be plausible."""
    low, high, what = {
        "ACC": (16.0, 222.0, "length of the vector in 1/64 g (gravity is 64)"),
        "BVP": (-math.inf, math.inf, "value"),
        "EDA": (0.0, 100.0, "microsiemens"),
        "TEMP": (*TEMP_RANGE_C, "degrees Celsius"),
    }[name]
    amount = np.linalg.norm(table.astype(np.float64), axis=1) if name == "ACC" else table[:, 0]
    finite = amount[np.isfinite(amount)]
    median = float(np.median(finite)) if len(finite) else math.nan
    if not low <= median <= high:
        raise DataError(
            "E347",
            f"{path} has a median of {median:g}, expected {low:g} to {high:g}: {what}",
            do="check the unit, or leave this session out",
        )


def _common_span(signals: Mapping[str, Signal], who: str) -> dict[str, Signal]:
    """Cut all signals to the time that every one of them covers."""
    first_s = max(s.start_s for s in signals.values())
    last_s = min(s.end_s for s in signals.values())
    if last_s - first_s < 1:
        raise DataError(
            "E347",
            f"{who}: the files cover no common time",
            do="check that all files come from one session",
        )
    cut = {}
    for channel, s in signals.items():
        a = math.ceil((first_s - s.start_s) * s.rate_hz - _TINY)
        b = math.floor((last_s - s.start_s) * s.rate_hz + _TINY)
        cut[channel] = Signal(s.values[a:b].copy(), s.rate_hz, s.start_s + a / s.rate_hz)
    return cut
