"""One process at a time in a run folder. A lock whose process was killed is free at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fedaffect.errors import StorageError

LOCK_NAME = ".lock"


class RunLock:
    """The lock of a run folder, held while the context is open.

    The lock is that of the open file, which the system drops however the process ends; the file
    only tells who has it.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME

    def __enter__(self) -> RunLock:
        """Take the lock.

        Raises:
            StorageError: E802 the folder cannot be written; E807 another process has it.
        """
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(
                "E802", f"cannot lock {self._path.parent}: {error.strerror}", do="see its mode"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._handle, 20, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StorageError(
                "E807",
                f"{self._path.parent} is in use by pid {holder or 'unknown'}",
                do="wait until that run has ended, or end it",
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the lock; the file stays, as another process may be waiting at it."""
        os.close(self._handle)
