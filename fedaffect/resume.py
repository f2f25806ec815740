"""``--resume RUN``: whether an interrupted run may go on, and from where.

It goes on with its own settings, on the same data, under the same id, from its last whole
checkpoint; only where it is computed may change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedaffect import run_folder
from fedaffect.atomic_file import write_json_atomic
from fedaffect.code_digest import code_digest
from fedaffect.config import RunConfig
from fedaffect.config_sources import resolve
from fedaffect.errors import DataError, StorageError
from fedaffect.ledger_anchor import ANCHOR_NAME
from fedaffect.record import RoundRecord
from fedaffect.server import checkpoint
from fedaffect.server.checkpoint import Checkpoint
from fedaffect.version import __version__

IDENTITY_NAME = "run.json"
WHERE = {"data": {"root"}, "run": {"engine", "workers", "ray_address", "out"}}


@dataclass(frozen=True)
class Start:
    """A run at its beginning, or where it goes on.

    Args:
        run_id: Id of the run.
        folder: Its folder.
        checkpoint: The last whole checkpoint; ``None`` before the first.
        rounds: Records of the finished rounds.
        finished: Whether nothing is left to do.
    """

    run_id: str
    folder: Path
    checkpoint: Checkpoint | None = None
    rounds: tuple[RoundRecord, ...] = ()
    finished: bool = False


def configuration(
    folder: Path, flags: Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[RunConfig, dict[str, str]]:
    """Return the configuration of the run in ``folder`` with what was typed on top, and origins.

    Args:
        folder: The run folder.
        flags: As for ``resolve``.
        overrides: As for ``resolve``.

    Raises:
        StorageError: E805 nothing was begun there.
        UsageError: as ``resolve``.
    """
    file = folder / "config.toml"
    if not file.is_file():
        what = (
            "is no run folder; checkpoints are safetensors only"
            if folder.is_file()
            else ("has no config.toml: no run was begun there")
        )
        raise StorageError("E805", f"--resume {folder} {what}", do="give the folder of a run")
    return resolve(flags, overrides, file)


def begin(folder: Path, run_id: str, config: RunConfig) -> None:
    """Write who the run in ``folder`` is, before it spends or trains anything.

    Raises:
        StorageError: E803 the disk refuses.
    """
    identity = {
        "run_id": run_id,
        "version": __version__,
        "code": code_digest(),
        "settings": settings_digest(config),
    }
    write_json_atomic(folder / IDENTITY_NAME, identity)


def is_begun(folder: Path) -> bool:
    """Return whether the run in ``folder`` can be gone on with."""
    return (folder / IDENTITY_NAME).exists()


def go_on(folder: Path, config: RunConfig, warn: Callable[[str], None]) -> Start:
    """Return where the run in ``folder`` goes on; its record is cut back to there.

    Args:
        folder: The run folder, locked.
        config: What is asked for now, resolved.
        warn: Told of every damaged checkpoint that was passed over.

    Raises:
        StorageError: E805 no checkpoint is whole, or the record lacks rounds; E806 the run was
            begun with other settings, or by another version.
    """
    _refuse_other_settings(folder, config)
    if (folder / run_folder.MANIFEST_NAME).exists():  # written last
        return Start("", folder, finished=True)
    run_folder.remove_leftovers(folder)
    last = checkpoint.latest(folder, warn)
    run_id = _known_id(folder, config, last)
    if last is not None and (last.run, last.settings) != (run_id, settings_digest(config)):
        raise StorageError(
            "E806", f"the checkpoints in {folder} are those of another run", do="restore its own"
        )
    rounds = run_folder.cut_rounds(folder, last.progress.recorded if last else 0)
    return Start(run_id, folder, last, tuple(rounds))


def refuse_other_data(folder: Path, fingerprint: str) -> None:
    """Refuse data that are not those of the run's manifest, where it has one yet.

    Raises:
        DataError: E370 the data changed.
    """
    file = folder / "data_manifest.json"
    if file.exists() and json.loads(file.read_bytes())["fingerprint"] != fingerprint:
        raise DataError(
            "E370",
            f"the data changed since the run in {folder} began: another fingerprint",
            do="restore the data, or start a new run",
        )


def settings_digest(config: RunConfig) -> str:
    """Return a hex SHA-256 of all settings but those that only say where."""
    settings = config.model_dump(mode="json", exclude=WHERE)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def line(folder: Path) -> str:
    """Return how to go on with an interrupted run."""
    return f"go on with:  fedaffect simulate --resume {folder}"


def _said(value: object) -> object:
    return "not set" if value is None else value


def _refuse_other_settings(folder: Path, config: RunConfig) -> None:
    stored, _ = resolve({}, (), folder / "config.toml", {})
    before, now = (c.model_dump(mode="json", exclude=WHERE) for c in (stored, config))
    different = [
        f"{section}.{key} was {_said(value)}, is {_said(now[section][key])}"
        for section, table in before.items()
        if isinstance(table, dict)
        for key, value in table.items()
        if value != now[section][key]
    ]
    if different:
        raise StorageError(
            "E806",
            f"the run in {folder} has other settings: {'; '.join(different)}",
            do="resume with its own settings, or start a new run",
        )


def _known_id(folder: Path, config: RunConfig, last: Checkpoint | None) -> str:
    """Return the id of the run; a new one where it was killed before it was given one."""
    file = folder / IDENTITY_NAME
    if not file.exists() and last is None and not (folder / ANCHOR_NAME).exists():
        return run_folder.new_run_id()
    try:
        identity: dict[str, str] = json.loads(file.read_bytes())
        run_id, version, code, settings = (
            identity[k] for k in ("run_id", "version", "code", "settings")
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "E805",
            f"{file} cannot be read ({type(error).__name__}): it says which run this is",
            do="restore it from a backup",
        ) from error
    if version != __version__:
        raise StorageError(
            "E806",
            f"the run in {folder} was begun by fedaffect {version}, this is {__version__}",
            do=f"go on with fedaffect {version}, or start a new run",
        )
    if code != code_digest():
        raise StorageError(
            "E806",
            f"the code of fedaffect changed since the run in {folder} began: its rounds would be "
            "of two kinds",
            do="go on with the code that began it, or start a new run",
        )
    if settings != settings_digest(config):
        raise StorageError(
            "E806", f"config.toml in {folder} was edited", do="restore it, or start a new run"
        )
    return run_id
