"""The lines of one run, as its folder keeps them, checked without key or ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedaffect.errors import PrivacyError
from fedaffect.privacy.chain import Chain, digest, read_line
from fedaffect.privacy.charges import Account, post


@dataclass(frozen=True)
class Excerpt:
    """Lines of one run that are whole and follow each other.

    Args:
        run: Id of the run.
        lines: The lines without newlines.
        account: What the run has paid for.
    """

    run: str
    lines: tuple[str, ...]
    account: Account

    def check_head(self, head: str | None) -> None:
        """Check the ``head`` that a statement names: where a line of the run, then the last.

        Raises:
            PrivacyError: E402 the run has lines after it, or there is none.
        """
        if head is None or head in map(digest, self.lines[:-1]):
            raise _broken(f"excerpt of {self.run}", "does not end with the head of the statement")


def read_excerpt(path: Path) -> Excerpt:
    """Read ``ledger_excerpt.jsonl``; between its lines those of other runs are missing.

    Raises:
        PrivacyError: E402 a line was edited, dropped, added or moved, as far as the lines tell;
            E404 the file cannot be read.
    """
    lines = _lines_of(path)
    accounts: dict[str, Account] = {}
    before, head = -1, ""
    for number, line in enumerate(lines, 1):
        try:
            entry = read_line(line)
            counter = int(entry["counter"])
            adjacent = counter == before + 1
            if number > 1 and (counter <= before or (adjacent and entry["previous"] != head)):
                raise ValueError("does not follow the line before it")
            post(accounts, entry)
        except (ValueError, TypeError, KeyError) as error:
            raise _broken(path, f"was edited at line {number}: {error}") from error
        before, head = counter, digest(line)
    if len(accounts) != 1:
        raise _broken(path, f"holds lines of {len(accounts)} runs, not of one")
    [(run, account)] = accounts.items()
    return Excerpt(run, tuple(lines), account)


def check_in_ledger(excerpt: Excerpt, head: str, path: Path) -> int:
    """Check that the ledger at ``path`` has the lines of a run and no others of it, and ``head``.

    Returns:
        The number of lines of the ledger.

    Raises:
        PrivacyError: E402 the ledger is broken or lacks something; E404 it cannot be read.
    """
    chain, own = Chain(path.stem), []
    for number, line in enumerate(_lines_of(path), 1):
        try:
            if chain.take(line)["run"] == excerpt.run:
                own.append(line)
        except (ValueError, KeyError) as error:
            raise _broken(path, f"was edited at or before line {number}: {error}") from error
    if head not in chain.heads:
        raise _broken(path, f"lacks the head of {excerpt.run}: it was cut, or is of another site")
    if tuple(own) != excerpt.lines:
        raise _broken(path, f"has other lines of {excerpt.run} than its folder")
    return len(chain.lines)


def _lines_of(path: Path) -> Sequence[str]:
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise PrivacyError("E404", f"cannot read {path}: {error.strerror}") from error
    *lines, rest = text.split("\n")
    if rest:
        raise _broken(path, "ends within a line")
    return lines


def _broken(what: Path | str, why: str) -> PrivacyError:
    return PrivacyError(
        "E402", f"{what} {why}", do="do not rely on this run; compare it with a backup"
    )
