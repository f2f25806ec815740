"""Files written so that a crash leaves the old file or the new one, never half."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from fedaffect.errors import StorageError


def write_json_atomic(path: Path, obj: Any) -> None:
    """Write ``obj`` as JSON with sorted keys; readers see the old file or the new, never a part.

    Raises:
        ValueError: a number is NaN or infinite.
        StorageError: E803 the file cannot be written.
    """
    text = json.dumps(obj, sort_keys=True, allow_nan=False, ensure_ascii=True, indent=1)
    write_bytes_atomic(path, text.encode("ascii") + b"\n")


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` (mode 0600), sync it and move it into place.

    Raises:
        StorageError: E803 the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            "E803",
            f"cannot write {path}: {error.strerror or error}",
            do="free some space or choose a folder that you can write",
        ) from error


def write_text_atomic(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, as ``write_bytes_atomic`` does; lone surrogates become ``?``.

    Raises:
        StorageError: E803 the file cannot be written.
    """
    write_bytes_atomic(path, text.encode("utf-8", errors="replace"))


def fsync_folder(folder: Path) -> None:
    """Make the names of new files in ``folder`` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
