"""Decoded signals kept on disk, so that a slow source file is read once.

One safetensors file per source file and reader, under ``cache/recordings`` of the state folder.
Its header holds a JSON manifest: path, size and time stamp of the source, SHA-256 of the source
and of the arrays. Nothing in it is executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fedaffect.atomic_file import write_bytes_atomic
from fedaffect.data.schema import FileEntry
from fedaffect.errors import DataError, StorageError
from fedaffect.home import private_folder, state_home

FORMAT = 1
_HASH_CHUNK_BYTES = 1 << 20


def cached_arrays(
    reader: str,
    root: Path,
    relative: str,
    read: Callable[[Path], Mapping[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], FileEntry]:
    """Return what ``read`` makes of a source file, from the cache when the file is unchanged.

    Unchanged means: same path, size and time stamp. A cache file that is damaged is made again;
    a cache that cannot be written only costs the time to read the source again.

    Args:
        reader: What is read and how, such as ``wesad-wrist``; with a version when that changes.
        root: Folder of the data set.
        relative: Path of the source file under ``root``, with forward slashes.
        read: Gets the path of the source file and returns named arrays.

    Returns:
        The arrays, and the source file with its size and SHA-256.

    Raises:
        DataError: E310 the source cannot be read; E319 it changed while it was being read;
            and what ``read`` raises.
        StorageError: E810 the state folder cannot be made.
    """
    source = root / relative
    before = _stat(source)
    text = json.dumps([FORMAT, reader, str(root.resolve()), relative])
    folder = private_folder(private_folder(state_home() / "cache") / "recordings")
    path = folder / f"{reader}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"
    known = {"path": relative, "size": before.st_size, "mtime_ns": before.st_mtime_ns}
    stored = _load(path, known)
    if stored is not None:
        return stored
    arrays = {name: np.ascontiguousarray(values) for name, values in read(source).items()}
    sha256 = _file_sha256(source)
    after = _stat(source)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise DataError(
            "E319", f"{relative} changed while it was being read", do="start again when it rests"
        )
    manifest = json.dumps({**known, "sha256": sha256, "arrays": _digest(arrays)})
    with contextlib.suppress(StorageError):
        _store(path, arrays, {"manifest": manifest})
    return arrays, FileEntry(relative, before.st_size, sha256)


def _stat(source: Path) -> os.stat_result:
    try:
        return source.stat()
    except OSError as error:
        raise _unreadable(source, error) from None


def _unreadable(source: Path, error: OSError) -> DataError:
    return DataError(
        "E310", f"cannot read {source}: {error.strerror}", do="check its path and permissions"
    )


def _file_sha256(source: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(source, "rb") as stream:
            while chunk := stream.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(source, error) from None
    return digest.hexdigest()


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a hex SHA-256 over every array with its name, type and shape."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(json.dumps([name, values.dtype.str, values.shape]).encode())
        digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _store(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write ``path``, whole or not at all."""
    from safetensors.numpy import save

    write_bytes_atomic(path, save(arrays, metadata))


def _load(
    path: Path, known: Mapping[str, object]
) -> tuple[dict[str, np.ndarray], FileEntry] | None:
    """Return what ``path`` holds of the source ``known``; ``None`` if stale, damaged or absent."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            manifest = json.loads((file.metadata() or {})["manifest"])
            if any(manifest[key] != value for key, value in known.items()):
                return None
            names = file.keys()
            arrays = {str(name): file.get_tensor(name) for name in names}
        if manifest["arrays"] != _digest(arrays):
            return None
        return arrays, FileEntry(manifest["path"], manifest["size"], manifest["sha256"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
