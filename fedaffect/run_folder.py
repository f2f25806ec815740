"""The folder of a run: its name, who may write it, rounds and model in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fedaffect.atomic_file import write_bytes_atomic, write_json_atomic
from fedaffect.errors import StorageError
from fedaffect.params import Layout
from fedaffect.record import RoundRecord
from fedaffect.run_lock import LOCK_NAME

MANIFEST_NAME = "manifest.json"
_LEFTOVER = re.compile(r"\.lock|\.probe|\.[\w.-]+\.[0-9a-f]{8}\.tmp", re.ASCII)
ADJECTIVES = """
    amber brisk calm clear deep eager early even fair fresh gentle glad grand keen kind late light
    lively mellow mild neat open plain prime quick quiet ready rich sharp silver slow smooth soft
    steady still sunny swift tidy true warm
"""
ANIMALS = """
    badger bison crane deer dove eagle egret falcon finch fox gull hare heron ibis jay kestrel lark
    linnet lynx magpie marten mole newt otter owl pike plover quail raven robin seal shrew stoat
    swan tern thrush trout vole wren
"""


def new_run_id() -> str:
    """Return a fresh name such as ``calm-heron-7f3a``."""
    adjective, animal = secrets.choice(ADJECTIVES.split()), secrets.choice(ANIMALS.split())
    return f"{adjective}-{animal}-{secrets.token_hex(2)}"


def prepare(out: Path | None, run_id: str) -> Path:
    """Create the folder of a run (mode 0700) and prove that it can be written.

    Args:
        out: The folder that the user named, or ``None`` for ``runs/<run_id>``.
        run_id: Name of the run.

    Raises:
        StorageError: E801 it exists and is not empty; E802 it cannot be written.
    """
    folder = out if out is not None else Path("runs") / run_id
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise StorageError("E801", f"--out {folder} is not a folder", do="give a new folder")
        if folder.is_dir() and not all(_LEFTOVER.fullmatch(p.name) for p in folder.iterdir()):
            raise StorageError(
                "E801", f"--out {folder} exists and is not empty", do="give a new folder"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        probe = folder / ".probe"
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        raise StorageError(
            "E802", f"cannot write to {folder}: {error.strerror}", do="give another --out"
        ) from error
    return folder


def discard_if_empty(folder: Path) -> None:
    """Remove the folder of a run that ended before it wrote anything."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [LOCK_NAME]:
            (folder / LOCK_NAME).unlink()
        folder.rmdir()


def append_round(folder: Path, record: RoundRecord) -> None:
    """Add one line to ``rounds.jsonl``, for good.

    Raises:
        StorageError: E803 the disk refuses.
    """
    try:
        with open(folder / "rounds.jsonl", "a", encoding="utf-8") as file:
            file.write(record.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            "E803",
            f"cannot write {folder / 'rounds.jsonl'}: {error.strerror}",
            do="free some space",
        ) from error


def cut_rounds(folder: Path, count: int) -> list[RoundRecord]:
    """Cut ``rounds.jsonl`` back to its first ``count`` lines and return them.

    Raises:
        StorageError: E803 the disk refuses; E805 it has fewer whole lines.
    """
    path = folder / "rounds.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[:count] if path.exists() else []
    try:
        records = [RoundRecord.model_validate_json(line) for line in lines]
    except ValueError:
        records = []
    if len(records) != count:
        raise StorageError(
            "E805",
            f"{path} lacks rounds that the checkpoint has seen",
            do="restore it from a backup, or start a new run",
        )
    write_bytes_atomic(path, b"".join(lines))
    return records


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left in a run folder: halves of files, never a whole one."""
    for path in folder.rglob(".*"):
        if _LEFTOVER.fullmatch(path.name) and path.name != LOCK_NAME:
            path.unlink(missing_ok=True)


def save_model(
    folder: Path, params: np.ndarray, layout: Layout, metadata: Mapping[str, str]
) -> None:
    """Write ``model.safetensors``: one tensor a parameter, with ``metadata`` in the header.

    Args:
        folder: Folder of the run.
        params: Parameters (d,).
        layout: Their layout.
        metadata: Strings such as run id, epsilon, delta and unit.
    """
    from safetensors.numpy import save

    tensors = {
        name: np.ascontiguousarray(params[layout.slices[name]].reshape(shape))
        for name, shape in zip(layout.names, layout.shapes, strict=True)
    }
    write_bytes_atomic(folder / "model.safetensors", save(tensors, dict(metadata)))


def write_manifest(folder: Path, run_id: str) -> None:
    """Write ``manifest.json``: the SHA-256 of every other file. Call it last.

    Args:
        folder: Folder of the run.
        run_id: Name of the run.

    Raises:
        StorageError: E803 a file cannot be read, or the disk refuses.
    """
    try:
        files = file_hashes(folder)
    except OSError as error:
        raise StorageError(
            "E803", f"cannot read {error.filename}: {error.strerror}", do="run it again"
        ) from error
    write_json_atomic(folder / MANIFEST_NAME, {"run_id": run_id, "files": files})


def renew_in_manifest(folder: Path, *names: str) -> None:
    """Take the present hashes of the files ``names`` into the manifest, and of no others.

    For files that were made anew from others, such as the report; one that is gone leaves the
    manifest, and without a manifest nothing is done.

    Args:
        folder: Folder of the run.
        *names: Paths below ``folder``.

    Raises:
        StorageError: E803 the manifest cannot be written; E804 it cannot be read.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return
    try:
        manifest = json.loads(path.read_bytes())
        for name in names:
            if (folder / name).exists():
                manifest["files"][name] = _sha256(folder / name)
            else:
                manifest["files"].pop(name, None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            "E804", f"{path} cannot be read ({type(error).__name__})", do="repeat the run"
        ) from error
    write_json_atomic(path, manifest)


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the path below ``folder`` and the hex SHA-256 of every file but the manifest.

    Lock files (``*.lock``) are left out. A link or a device counts as a file without content:
    it is never followed.

    Raises:
        OSError: a file cannot be read.
    """
    return {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(_entries(folder))
        if not path.name.endswith(".lock") and path != folder / MANIFEST_NAME
    }


def _entries(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
            else:
                yield Path(entry.path)


def _sha256(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "not a regular file"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
