"""Checkpoints: where a training stands after a round, in a file that is whole or is not used.

One safetensors file a round under ``RUN/checkpoints``, the last two of them kept. Nothing here is
ever unpickled. A digest over the content shows damage; a damaged file is passed over for the one
before it, and the ledger, which is kept elsewhere, still knows what was spent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fedaffect.atomic_file import write_bytes_atomic
from fedaffect.errors import StorageError
from fedaffect.failpoint import fail_here
from fedaffect.home import private_folder

FOLDER = "checkpoints"
KEPT = 2
_NAME = re.compile(r"fold-(\d{1,9})-round-(\d{1,9})\.safetensors", re.ASCII)


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a round.

    Args:
        fold: Place of the fold among those that are trained, from 0.
        server_round: Number of its last finished round.
        params: Parameters (d,) float64 of every fold up to this one: of those before it the final
            ones.
        bounds: Clip norms of the next round, one a group of blocks.
        recorded: Number of rounds that are finished, over all folds.
    """

    fold: int
    server_round: int
    params: tuple[np.ndarray, ...]
    bounds: tuple[float, ...]
    recorded: int


@dataclass(frozen=True)
class Checkpoint:
    """Progress, and whose it is.

    Args:
        run: Id of the run.
        settings: Digest of the configuration (``fedaffect.resume.settings_digest``).
        progress: Where the training stands.
        ledger_head: Head of the privacy ledger after the round; ``None`` where nothing is charged.
        privacy: What may be said of the parameters (``statement.statement_metadata``).
    """

    run: str
    settings: str
    progress: Progress
    ledger_head: str | None
    privacy: Mapping[str, str] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` below the run folder ``folder``, for good, and drop old ones.

    Raises:
        StorageError: E803 the disk refuses.
    """
    fail_here("checkpoint.before")
    at, place = checkpoint.progress, private_folder(folder / FOLDER)
    write_bytes_atomic(place / _name(at.fold, at.server_round), _encoded(checkpoint))
    fail_here("checkpoint.written")
    for old in _files(place)[KEPT:]:
        old.unlink(missing_ok=True)


def latest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest whole checkpoint below the run folder ``folder``.

    Args:
        folder: The run folder.
        warn: Told of every damaged file that was passed over.

    Returns:
        ``None`` where none was ever written.

    Raises:
        StorageError: E805 none is whole, or a file there is no safetensors file.
    """
    place = folder / FOLDER
    files = _files(place)
    for path in files:
        try:
            return _decoded(path)
        except _DamagedError as damage:
            warn(f"{path.name} is damaged ({damage}): the checkpoint before it is used")
    if files:
        raise StorageError(
            "E805",
            f"no checkpoint in {place} is whole",
            do="restore one from a backup, or start a new run; the privacy ledger is not touched",
        )
    return None


def after(folder: Path, fold: int, server_round: int) -> Checkpoint | None:
    """Return the checkpoint after a round; ``None`` where it was dropped or is not whole."""
    try:
        return _decoded(folder / FOLDER / _name(fold, server_round))
    except _DamagedError:
        return None


class _DamagedError(Exception):
    """A checkpoint that is not as it was written."""


def _name(fold: int, server_round: int) -> str:
    return f"fold-{fold}-round-{server_round}.safetensors"


def _files(place: Path) -> list[Path]:
    """Return the checkpoints in ``place``, newest first."""
    if not place.is_dir():
        return []
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(place.iterdir()):
        if named := _NAME.fullmatch(path.name):
            found[int(named[1]), int(named[2])] = path
        elif not path.name.startswith("."):  # what an interrupted write leaves
            raise StorageError(
                "E805",
                f"{path} is not a checkpoint of fedaffect: safetensors only, nothing is unpickled",
                do="remove the file",
            )
    return [found[at] for at in sorted(found, reverse=True)]


def _encoded(checkpoint: Checkpoint) -> bytes:
    from safetensors.numpy import save as to_bytes

    at = checkpoint.progress
    params = np.stack(at.params).astype(np.float64, copy=False)  # (folds so far, d)
    about = json.dumps(
        {
            "run": checkpoint.run,
            "settings": checkpoint.settings,
            "ledger_head": checkpoint.ledger_head,
            "fold": at.fold,
            "server_round": at.server_round,
            "bounds": list(at.bounds),
            "recorded": at.recorded,
            "privacy": dict(checkpoint.privacy),
        },
        allow_nan=False,
    )
    header = {**checkpoint.privacy, "checkpoint": about, "sha256": _digest(about, params)}
    content: bytes = to_bytes({"params": params}, header)
    return content


def _decoded(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        _DamagedError: a byte of it was changed, or it ends too early.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            header: dict[str, str] = file.metadata() or {}
            params: np.ndarray = file.get_tensor("params")
        about: dict[str, Any] = json.loads(header["checkpoint"])
        if params.dtype != np.float64 or header["sha256"] != _digest(header["checkpoint"], params):
            raise _DamagedError("another SHA-256 than it was written with")
        progress = Progress(
            fold=about["fold"],
            server_round=about["server_round"],
            params=tuple(params),
            bounds=tuple(about["bounds"]),
            recorded=about["recorded"],
        )
        if path.name != _name(progress.fold, progress.server_round):
            raise _DamagedError("the name of another round")
        privacy = about["privacy"]
        if not privacy.items() <= header.items():
            raise _DamagedError("another privacy statement than it was written with")
        return Checkpoint(about["run"], about["settings"], progress, about["ledger_head"], privacy)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _DamagedError(type(error).__name__) from error


def _digest(about: str, params: np.ndarray) -> str:
    digest = hashlib.sha256(f"{about}|{params.shape}|".encode())
    digest.update(np.ascontiguousarray(params, dtype="<f8").tobytes())
    return digest.hexdigest()
