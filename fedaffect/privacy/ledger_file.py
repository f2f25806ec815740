"""The file under a privacy ledger: append-only, chained, locked, on disk before it returns."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedaffect.atomic_file import fsync_folder
from fedaffect.errors import PrivacyError
from fedaffect.privacy.chain import Chain


class LedgerFile:
    """A chained file that several processes and threads may append to.

    Each process opens its own: a lock that a fork inherits would exclude nobody.

    Args:
        path: The file; its stem is the name of the chain.
        make: Create the file where it is missing.
        on_entry: Called with every whole line, in order. What it raises of ``KeyError``,
            ``TypeError`` and ``ValueError`` makes the file a broken one.

    Raises:
        OSError: the file is missing or cannot be opened.
    """

    def __init__(
        self, path: Path, *, make: bool, on_entry: Callable[[dict[str, Any]], None]
    ) -> None:
        self.path, self.chain = path, Chain(path.stem)
        self._on_entry = on_entry
        self._size = 0  # bytes that were read and found whole
        self._process, self._threads = os.getpid(), threading.Lock()
        flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
        self._handle = os.open(path, flags, 0o600)
        if make:
            fsync_folder(path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the only lock, knowing all that other processes have written.

        Raises:
            PrivacyError: E402 the chain is broken; E404 the file cannot be used.
        """
        if os.getpid() != self._process:
            raise PrivacyError("E404", f"{self.path} was opened by another process: open it anew")
        try:
            with self._threads:
                fcntl.flock(self._handle, fcntl.LOCK_EX)
                try:
                    self._catch_up()
                    yield
                finally:
                    fcntl.flock(self._handle, fcntl.LOCK_UN)
        except OSError as error:
            raise PrivacyError("E404", f"cannot use {self.path}: {error.strerror}") from error

    def append(self, contents: Sequence[Mapping[str, Any]]) -> None:
        """Add lines and wait until the disk has them; all or none. Hold the lock."""
        lines = self.chain.next_lines(contents)
        self._write("".join(line + "\n" for line in lines).encode())
        for line in lines:
            self._take(line)

    def close(self) -> None:
        """Close the file. Closing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def broken(self, why: str) -> PrivacyError:
        """Return the error for a file that is not as it was written."""
        return PrivacyError(
            "E402",
            f"privacy ledger {self.path} {why}",
            do="restore it from a backup; without it the privacy spent on these data is unknown",
        )

    def _catch_up(self) -> None:
        status = os.fstat(self._handle)
        if status.st_mode & 0o077 or status.st_nlink != 1:
            raise self.broken("can be read by other users, was deleted or has a second name")
        if status.st_size < self._size:
            raise self.broken("became shorter")
        news = os.pread(self._handle, status.st_size - self._size, self._size)
        *whole, rest = news.decode(errors="replace").split("\n")
        for line in whole:
            self._take(line)
        self._size += news.rfind(b"\n") + 1
        if rest:
            self._mend(rest)

    def _mend(self, rest: str) -> None:
        """Treat what follows the last newline: a write that power loss cut.

        No noise was drawn after it. A part of a line is dropped; a whole line counts, and
        must be followed by nothing: else its newline was edited.
        """
        try:
            json.JSONDecoder().raw_decode(rest)
        except (ValueError, RecursionError):
            os.ftruncate(self._handle, self._size)
            return
        self._take(rest)
        self._write(rest.encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            if os.pwrite(self._handle, data, self._size) != len(data):
                raise OSError(28, "disk full")
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(data)

    def _take(self, line: str) -> None:
        try:
            self._on_entry(self.chain.take(line))
        except (ValueError, TypeError, KeyError) as error:
            number = len(self.chain.lines)
            raise self.broken(f"was edited at or after line {number}: {error}") from error
