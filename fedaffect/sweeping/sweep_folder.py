"""The folder of a sweep: ``sweep.json``, a run folder a cell below ``runs``, CSV and page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from fedaffect import run_folder
from fedaffect.atomic_file import write_json_atomic
from fedaffect.code_digest import code_digest
from fedaffect.errors import StorageError
from fedaffect.summary import public_config
from fedaffect.sweep_record import AxisRecord, CellRecord, SweepRecord
from fedaffect.sweeping.cells import Cell, label_of
from fedaffect.sweeping.grid import SEED, Axis
from fedaffect.version import __version__

SWEEP_NAME = "sweep.json"
CSV_NAME = "sweep.csv"
PAGE_NAME = "sweep.html"
RUNS_NAME = "runs"
LARGEST_SWEEP_BYTES = 64 * 2**20


def begin(axes: tuple[Axis, ...], cells: tuple[Cell, ...], out: Path | None) -> Path:
    """Create the folder of a sweep with all cells waiting; return it.

    Args:
        axes: The grid.
        cells: Its cells.
        out: The folder that the user named, or ``None`` for ``sweeps/<name>``.

    Raises:
        StorageError: E801 it exists and is not empty; E802, E803 it cannot be written.
    """
    name = run_folder.new_run_id()
    folder = run_folder.prepare(out if out is not None else Path("sweeps") / name, name)
    (folder / RUNS_NAME).mkdir(mode=0o700)
    record = SweepRecord(
        version=__version__,
        code=code_digest(),
        started=now(),
        axes=tuple(AxisRecord(key=axis.key, values=axis.values) for axis in axes),
        cells=tuple(
            CellRecord(
                name=cell.name,
                setting=label_of(cell.values, without=[SEED]),
                values=dict(cell.values),
                config=public_config(cell.planned.config),
            )
            for cell in cells
        ),
    )
    write(folder, record)
    return folder


def write(folder: Path, record: SweepRecord) -> None:
    """Write ``sweep.json``.

    Raises:
        StorageError: E803 the disk refuses.
    """
    write_json_atomic(folder / SWEEP_NAME, record.model_dump(mode="json"))


def is_sweep(folder: Path) -> bool:
    """Return whether ``folder`` is that of a sweep."""
    return (folder / SWEEP_NAME).is_file()


def load(folder: Path) -> SweepRecord:
    """Read ``sweep.json`` with suspicion.

    Raises:
        StorageError: E830 not the folder of a sweep; E831 it cannot be read.
    """
    path = folder / SWEEP_NAME
    if not path.is_file():
        raise StorageError(
            "E830",
            f"{folder} is not the folder of a sweep: it has no {SWEEP_NAME}",
            do="give the folder that fedaffect sweep wrote",
        )
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_SWEEP_BYTES + 1)
        if len(content) > LARGEST_SWEEP_BYTES:
            raise ValueError(f"larger than {LARGEST_SWEEP_BYTES // 2**20} MiB")
        return SweepRecord.model_validate_json(content)
    except (OSError, ValueError) as error:
        why = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise StorageError(
            "E831",
            f"{path} cannot be read: {why:.200}",
            do="restore it, or read it with the version that wrote it",
        ) from None


def refuse_other_code(folder: Path, record: SweepRecord) -> None:
    """Refuse to go on with cells that other code began: they could not be compared.

    Raises:
        StorageError: E832.
    """
    if (record.version, record.code) != (__version__, code_digest()):
        raise StorageError(
            "E832",
            f"the sweep in {folder} was begun by other code (fedaffect {record.version}): its "
            "cells would be of two kinds",
            do="go on with the code that began it, or start a new sweep",
        )


def now() -> str:
    """Return the time for a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")
