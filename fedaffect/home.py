"""The state folder: caches, the privacy ledger and the noise key. Nothing else is kept per user."""

from __future__ import annotations

import os
from pathlib import Path

from fedaffect.errors import StorageError


def state_home() -> Path:
    """Return ``FEDAFFECT_HOME`` (default: the user's state directory), created with mode 0700.

    Raises:
        StorageError: E810 when the folder cannot be made.
    """
    named = os.environ.get("FEDAFFECT_HOME")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    home = Path(named).expanduser() if named else Path(base) / "fedaffect"
    return private_folder(home)


def private_folder(path: Path) -> Path:
    """Create ``path`` (mode 0700) where it is missing and return it.

    Raises:
        StorageError: E810 when the folder cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "E810",
            f"cannot create {path}: {error.strerror}",
            do="set FEDAFFECT_HOME to a folder that you can write",
        ) from error
    return path
