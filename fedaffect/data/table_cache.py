"""Window tables kept on disk, so that a second run with the same data starts at once.

A table is one safetensors file under ``cache/windows`` of the state folder: arrays as tensors,
everything else as JSON in its header, with a SHA-256 over both. Nothing in it is executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fedaffect.atomic_file import write_bytes_atomic
from fedaffect.code_digest import code_digest
from fedaffect.data.schema import FileEntry, WindowTable
from fedaffect.errors import StorageError
from fedaffect.home import private_folder, state_home

_ARRAYS = ("features", "stress", "subject", "recording", "condition", "start_s")


def cached_table(key: Mapping[str, object], make: Callable[[], WindowTable]) -> WindowTable:
    """Return the table stored under ``key``, or make and store it.

    A file that is damaged, or made by other code of ``fedaffect.data``, is made again. A folder
    that cannot be written only costs the time to make the table again.

    Args:
        key: Everything that decides the table, as JSON values (and paths): data set, its options
            and files, modality, overlap.
        make: Reads the data and cuts the windows.

    Raises:
        StorageError: E810 the state folder cannot be made.
    """
    text = json.dumps([code_digest("data"), dict(key)], sort_keys=True, default=str)
    name = hashlib.sha256(text.encode()).hexdigest()
    folder = private_folder(private_folder(state_home() / "cache") / "windows")
    path = folder / f"{name}.safetensors"
    table = _read(path)
    if table is None:
        table = make()
        with contextlib.suppress(StorageError):
            _write(path, table)
    return table


def _write(path: Path, table: WindowTable) -> None:
    """Write ``table`` to ``path``, whole or not at all."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(getattr(table, name)) for name in _ARRAYS}
    header = {k: v for k, v in vars(table).items() if k not in _ARRAYS}
    header |= {"files": [asdict(f) for f in table.files], "conditions": [*table.conditions.items()]}
    text = json.dumps(header)
    metadata = {"table": text, "sha256": _digest(text, arrays)}
    write_bytes_atomic(path, save(arrays, metadata))


def _read(path: Path) -> WindowTable | None:
    """Return the table in ``path``; ``None`` when there is none or it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        if metadata["sha256"] != _digest(metadata["table"], arrays):
            return None
        header: dict[str, Any] = json.loads(metadata["table"])
        header["conditions"] = {int(code): name for code, name in header["conditions"]}
        header["files"] = tuple(FileEntry(**f) for f in header["files"])
        for name in ("subjects", "feature_names", "notes"):
            header[name] = tuple(header[name])
        return WindowTable(**arrays, **header)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return a hex SHA-256 over the header and every array with its type and shape."""
    digest = hashlib.sha256(text.encode())
    for name in _ARRAYS:
        digest.update(json.dumps([name, arrays[name].dtype.str, arrays[name].shape]).encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
