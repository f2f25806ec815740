"""The table behind a figure as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

from fedaffect.reports.formats import NBSP
from fedaffect.reports.svg import Drawing

_FORMULA = re.compile(r"\s*[=+\-@]|[ \n]*[\t\r]")  # after white space of any kind, too
_NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?( %)?( \[.*\])?")


def to_csv(drawing: Drawing) -> str:
    """Return header and rows of ``drawing`` as CSV (RFC 4180), every row of the same length.

    A text that a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for row in (drawing.columns, *drawing.rows):
        writer.writerow([_cell(text) for text in row])
    return buffer.getvalue()


def _cell(text: str) -> str:
    plain = text.replace(NBSP, " ").replace("\0", "")
    if _FORMULA.match(plain) and not _NUMBER.fullmatch(plain):
        return f"'{plain}"
    return plain
