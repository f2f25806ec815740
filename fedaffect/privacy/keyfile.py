"""The file of the secret noise key: made once, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from fedaffect.atomic_file import fsync_folder
from fedaffect.errors import PrivacyError

KEY_BYTES = 32


def load_or_create(path: Path) -> bytes:
    """Return the 32 bytes of the key at ``path``, from the operating system if there is none.

    Two processes that start together end with the same key: the file appears complete or not
    at all, and the first one stays.

    Raises:
        PrivacyError: E403 not a plain file of 32 bytes, not ours, readable by others, or it
            cannot be read or written.
    """
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise _refused(path, error.strerror or "cannot be used") from error


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    fsync_folder(path.parent)


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise _refused(path, "is not a plain file of this user")
        if status.st_mode & 0o077:
            raise _refused(path, "can be read by other users", do=f"chmod 600 {path}")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise _refused(path, f"does not hold {KEY_BYTES} bytes")
    return key


def _refused(path: Path, why: str, do: str = "") -> PrivacyError:
    remedy = do or "restore the key from a backup, or set FEDAFFECT_HOME to another folder"
    return PrivacyError("E403", f"noise key {path} {why}", do=remedy)
