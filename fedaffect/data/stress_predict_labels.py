"""The label file of Stress-Predict: one row a second for each labelled person."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedaffect.data.e4_session import decode, read_file
from fedaffect.data.schema import FileEntry
from fedaffect.errors import DataError

LABEL_FILE = "Processed_data/Improved_All_Combined_hr_rsp_binary.csv"
COLUMNS = ("Participant", "HR", "respr", "Time(sec)", "Label")
_USED = ("Participant", "Time(sec)", "Label")
_DIGITS = re.compile(r"\d{1,12}", re.ASCII)
_MAX_SPAN_S = 7 * 86400


@dataclass(frozen=True)
class PersonLabels:
    """Labels of one person: ``label[i]`` holds from ``time_unix[i]`` for one second."""

    time_unix: np.ndarray  # (n,) int64, increasing
    label: np.ndarray  # (n,) int64: 0, 1

    def edges(self) -> np.ndarray:
        """Return the unix times at which the label changes, (e,)."""
        return np.asarray(self.time_unix[1:][np.diff(self.label) != 0])


def read_label_file(path: Path, root: Path) -> tuple[dict[str, PersonLabels], FileEntry]:
    """Return the labels of each person (``S02`` and on, in order), and the file's entry.

    Columns are found by name; heart and respiration rate are not read.

    Raises:
        DataError: E343 unreadable; E348 missing; E349 malformed, time does not increase, or a
            label is neither 0 nor 1.
    """
    if not os.path.exists(path):
        raise DataError(
            "E348", f"label file {path} is missing", do="unpack the whole archive again"
        )
    raw, entry = read_file(path, root)
    numbers, lines = _rows(decode(raw, path), path)
    if not numbers:
        raise DataError("E349", f"{path} holds no labels", do="unpack the whole archive again")
    table = np.array(numbers, dtype=np.int64)  # (rows, 3)
    if odd := Counter(table[:, 2][table[:, 2] > 1].tolist()):
        counts = ", ".join(f"{code} ({n} times)" for code, n in sorted(odd.items())[:5])
        raise DataError("E349", f"{path} has labels {counts}", do="expected 0 (rest), 1 (stress)")
    people = {}
    for participant in np.unique(table[:, 0]).tolist():
        own = np.flatnonzero(table[:, 0] == participant)
        time_unix = table[own, 1]
        _check_time(time_unix, np.array(lines)[own], path, f"S{participant:02d}")
        people[f"S{participant:02d}"] = PersonLabels(time_unix, table[own, 2])
    return people, entry


def _rows(text: str, path: Path) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return (participant, time, label) of every row, and the line it stands on."""
    reader = csv.reader(io.StringIO(text))
    numbers: list[tuple[int, ...]] = []
    lines: list[int] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if lacking := [name for name in _USED if name not in header]:
            raise DataError(
                "E349",
                f"{path} line 1 has no column {', '.join(lacking)}",
                do=f"expected {','.join(COLUMNS)}",
            )
        places = [header.index(name) for name in _USED]
        for row in filter(None, reader):
            cells = [row[i] for i in places if i < len(row)]
            if len(cells) != len(_USED) or not all(map(_DIGITS.fullmatch, cells)):
                raise csv.Error(f"found {','.join(row)[:60]!a}")
            numbers.append(tuple(map(int, cells)))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            "E349",
            f"{path} line {reader.line_num}: {error}",
            do=f"expected whole numbers in {', '.join(_USED)}",
        ) from error
    return numbers, lines


def _check_time(time_unix: np.ndarray, lines: np.ndarray, path: Path, who: str) -> None:
    if (back := np.flatnonzero(np.diff(time_unix) <= 0)).size:
        raise DataError(
            "E349",
            f"{path} line {lines[back[0] + 1]}: the time of {who} does not increase",
            do="expected one row a second, in order of time",
        )
    if time_unix[-1] - time_unix[0] > _MAX_SPAN_S:
        raise DataError(
            "E349",
            f"{path}: the labels of {who} span more than a week",
            do="expected unix times in seconds of one session",
        )
