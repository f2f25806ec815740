"""A chain of JSON lines: each carries the digest of the one before it, so that an edit shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


class Chain:
    """The lines of a chained file that were read and found whole.

    A line is a JSON object ``{"counter", ..., "previous", "check"}``: its number, the digest of
    the line before it, and the digest of its own text without ``check``, written in one way only.

    Args:
        name: Name of the file, to which the first line is chained.
    """

    def __init__(self, name: str) -> None:
        self.lines: list[str] = []
        self.heads = {digest(f"fedaffect ledger {name}"): 0}  # digest to number of lines before
        self.head = next(iter(self.heads))

    def take(self, line: str) -> dict[str, Any]:
        """Add ``line`` and return its object.

        Raises:
            ValueError: the line was edited, or does not follow.
        """
        entry = read_line(line)
        if entry["counter"] != len(self.lines) or entry["previous"] != self.head:
            raise ValueError("does not follow the line before it")
        self.lines.append(line)
        self.head = digest(line)
        self.heads[self.head] = len(self.lines)
        return entry

    def next_lines(self, contents: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the lines that would add ``contents``; ``take`` adds them."""
        lines, head = [], self.head
        for counter, values in enumerate(contents, len(self.lines)):
            lines.append(_write_line({"counter": counter, **values, "previous": head}))
            head = digest(lines[-1])
        return lines


def read_line(line: str) -> dict[str, Any]:
    """Return the object of one line.

    Raises:
        ValueError: a byte of it was changed.
    """
    try:
        entry: dict[str, Any] = json.loads(line)
        entry.pop("check")
        whole = _write_line(entry) == line and {"counter", "previous"} <= entry.keys()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError("is not as it was written")
    return entry


def digest(line: str) -> str:
    """Return the hex SHA-256 of a line without its newline."""
    return hashlib.sha256(line.encode("utf-8", "replace")).hexdigest()


def _write_line(entry: Mapping[str, Any]) -> str:
    text = json.dumps(entry, allow_nan=False)
    return f'{text[:-1]}, "check": "{digest(text)}"}}'
