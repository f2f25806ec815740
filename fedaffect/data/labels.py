"""Labels of a session as stretches of time in a small CSV file: ``start_s,end_s,label``."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from fedaffect.data.e4_session import decode, read_file
from fedaffect.data.schema import UNLABELLED, FileEntry, Signal
from fedaffect.errors import DataError

HEADER = "start_s,end_s,label"
CONDITION_HZ = 4.0
_UNIX_FROM = 1e8  # larger numbers are unix times, not seconds from the start
_NAMES = {"0": "no stress", "1": "stress"}
_NAME = re.compile(r"[\w .+-]{1,64}")
_TINY = 1e-6
EXAMPLE = f"line 1 '{HEADER}', then lines such as '0,300,rest' and '300,480,stress'"


@dataclass(frozen=True)
class Label:
    """A condition that holds from ``start_s`` to ``end_s``, in seconds from the session start."""

    start_s: float
    end_s: float
    name: str


def read_labels(
    path: Path, root: Path, start_unix: float, end_s: float
) -> tuple[tuple[Label, ...], FileEntry]:
    """Read a label file.

    Times are seconds from the start of the session, or unix times. Names are compared in lower
    case; 0 is read as ``no stress`` and 1 as ``stress``.

    Args:
        path: The file.
        root: Folder that the path of the entry is relative to.
        start_unix: Unix time of the start of the session.
        end_s: End of the signals, in seconds from the start.

    Returns:
        The labels in order of time, and the file's entry.

    Raises:
        DataError: E343 unreadable; E348 missing; E349 malformed; E352 no label lies in the
            session.
    """
    if not os.path.exists(path):
        raise DataError("E348", f"label file {path} is missing", do=f"write one: {EXAMPLE}")
    raw, entry = read_file(path, root)
    rows = [[c.strip() for c in row] for row in _rows(decode(raw, path), path)]
    if not rows or ",".join(rows[0]).lower() != HEADER:
        raise _malformed(path, 1, ",".join(rows[0]) if rows else "", f"expected {HEADER}")
    labels: list[Label] = []
    for number, row in enumerate(rows[1:], start=2):
        if any(row):
            labels.append(_label(row, start_unix, path, number))
    labels.sort(key=lambda label: label.start_s)
    for a, b in pairwise(labels):
        if b.start_s < a.end_s - _TINY:
            raise DataError(
                "E349",
                f"{path}: {a.name!r} until {a.end_s:g} s overlaps {b.name!r} from {b.start_s:g} s",
                do="give every moment at most one label",
            )
    if not any(label.start_s < end_s and label.end_s > 0 for label in labels):
        raise DataError(
            "E352",
            f"{path}: none of {len(labels)} labels lies in the session (0 to {end_s:g} s)",
            do="give seconds from the session start, or unix times in UTC",
        )
    return tuple(labels), entry


def condition_codes(names: set[str]) -> dict[str, int]:
    """Return a code for each name, 0 and on in alphabetical order."""
    return {name: code for code, name in enumerate(sorted(names))}


def paint(labels: Sequence[Label], codes: Mapping[str, int], end_s: float) -> Signal:
    """Return the condition code over time, at 4 Hz from second 0 on.

    A sample that a label covers only in part is ``UNLABELLED``.
    """
    condition = np.full(max(0, math.floor(end_s * CONDITION_HZ + _TINY)), UNLABELLED, np.int64)
    for label in labels:
        a = max(0, math.ceil(label.start_s * CONDITION_HZ - _TINY))
        b = max(0, math.floor(label.end_s * CONDITION_HZ + _TINY))
        condition[a:b] = codes[label.name]
    return Signal(condition, CONDITION_HZ)


def write_labels(path: Path, labels: Sequence[Label]) -> None:
    """Write a label file."""
    rows = [f"{label.start_s:g},{label.end_s:g},{label.name}" for label in labels]
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8", newline="\n")


def _rows(text: str, path: Path) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text))
    try:
        return list(reader)
    except csv.Error as error:
        raise _malformed(path, reader.line_num, "", str(error)) from error


def _label(row: list[str], start_unix: float, path: Path, number: int) -> Label:
    try:
        start, end = float(row[0]), float(row[1])
        name = row[2].lower()
    except (ValueError, IndexError) as error:
        raise _malformed(path, number, ",".join(row), f"expected {HEADER}") from error
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise _malformed(path, number, ",".join(row), "expected start_s < end_s")
    if len(row) != 3 or not _NAME.fullmatch(name):
        raise _malformed(path, number, ",".join(row), "expected a plain name as label")
    if start > _UNIX_FROM:
        start, end = start - start_unix, end - start_unix
    return Label(start, end, _NAMES.get(name, name))


def _malformed(path: Path, number: int, line: str, expected: str) -> DataError:
    return DataError("E349", f"{path} line {number} is {line[:60]!a}, {expected}", do=EXAMPLE)
