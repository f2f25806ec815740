"""Sizes of a model's blocks, remembered so that planning need not load a network."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from fedaffect.atomic_file import write_json_atomic
from fedaffect.code_digest import code_digest
from fedaffect.errors import StorageError
from fedaffect.home import private_folder, state_home


def cached_block_sizes(
    key: Mapping[str, str | int], make: Callable[[], Mapping[str, int]]
) -> dict[str, int]:
    """Return block name to number of parameters: as stored under ``key``, or made and stored.

    What is damaged, or was stored by other code, is made again; a state folder that cannot be
    used only costs the time to make it.

    Args:
        key: Everything that decides the sizes: the model's name and its options.
        make: Builds the network and reads the sizes.
    """
    text = json.dumps([code_digest(), dict(key)], sort_keys=True)
    path: Path | None = None
    with contextlib.suppress(StorageError):
        folder = private_folder(private_folder(state_home() / "cache") / "blocks")
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    sizes = _read(path) if path else None
    if sizes is None:
        sizes = dict(make())
        if path:
            with contextlib.suppress(StorageError):
                write_json_atomic(path, list(sizes.items()))
    return sizes


def _read(path: Path) -> dict[str, int] | None:
    """Return the sizes in ``path``, in their order; ``None`` where there are none that hold."""
    try:
        sizes = dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    sound = all(type(n) is str and type(size) is int and size >= 0 for n, size in sizes.items())
    return sizes if sizes and sound else None
