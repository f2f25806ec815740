"""``sweep(grid)``: every cell of a grid as a run of its own, then one trade-off report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from fedaffect import require
from fedaffect.atomic_file import write_text_atomic
from fedaffect.config import RunConfig
from fedaffect.errors import FedaffectError, StorageError
from fedaffect.reports.json_file import load_record
from fedaffect.resume import settings_digest
from fedaffect.run_folder import MANIFEST_NAME
from fedaffect.run_lock import RunLock
from fedaffect.sweep_record import CellRecord, SweepRecord
from fedaffect.sweeping import sweep_folder
from fedaffect.sweeping.cell_run import CellTask, run_cell
from fedaffect.sweeping.cells import plan_cells
from fedaffect.sweeping.csv_file import csv_text
from fedaffect.sweeping.grid import read_grid
from fedaffect.sweeping.spent import spent_by
from fedaffect.sweeping.tradeoff import figures_of, with_tradeoff
from fedaffect.sweeping.workers import carry_out

BUDGET_SPENT = "E401"
OnCell = Callable[[CellRecord, int, int], None]  # the cell that ended, ended cells, all cells


def sweep(
    grid: Sequence[str], *, jobs: int | None = None, on_cell: OnCell | None = None, **options: Any
) -> SweepRecord:
    """Run a grid of settings and write ``sweep.json``, ``sweep.csv`` and ``sweep.html``.

    Args:
        grid: Axes such as ``"eps=1,5,none"`` and ``"seed=0..4"``.
        jobs: Cells at a time (default: CPUs).
        on_cell: Told of every cell that has ended.
        **options: As for ``fedaffect.simulate``; ``out`` is the folder of the sweep.

    Returns:
        The sweep. A cell that failed says so in it; the others are finished.

    Raises:
        FedaffectError: the grid, a cell's plan or the disk gives cause.
    """
    axes = read_grid(grid)
    cells, out = plan_cells(axes, options)
    count = jobs_of(jobs)
    return carry_on(sweep_folder.begin(axes, cells, out), count, on_cell)


def carry_on(folder: Path, jobs: int, on_cell: OnCell | None = None) -> SweepRecord:
    """Run what is left of a sweep: finished cells are kept, interrupted ones gone on with.

    Args:
        folder: The folder of the sweep.
        jobs: Cells at a time.
        on_cell: Told of every cell that has ended.

    Raises:
        StorageError: E802, E803, E807 the folder cannot be used; E830, E831, E832 its record
            cannot.
        PrivacyError: E402, E404 the privacy ledger cannot be read.
    """
    folder = folder.absolute()
    record = sweep_folder.load(folder)
    with RunLock(folder):
        cells = {cell.name: _as_found(folder, cell) for cell in record.cells}
        tasks = [
            CellTask(cell.name, run_of(folder, cell), _config(folder, cell))
            for cell in cells.values()
            if cell.state in ("waiting", "failed")
        ]
        if tasks:
            sweep_folder.refuse_other_code(folder, record)
        with closing(carry_out(run_cell, tasks, jobs)) as outcomes:
            for task, error in outcomes:
                cell = _ended(folder, cells[task.name], error)
                cells[cell.name] = cell
                record = record.model_copy(update={"cells": tuple(cells.values())})
                sweep_folder.write(folder, record)
                if on_cell is not None:
                    left = sum(c.state == "waiting" for c in cells.values())
                    on_cell(cell, len(cells) - left, len(cells))
        record = _finished(record.model_copy(update={"cells": tuple(cells.values())}))
        _write_report(folder, record)
    return record


def run_of(folder: Path, cell: CellRecord) -> Path:
    """Return the run folder of a cell."""
    return folder / sweep_folder.RUNS_NAME / cell.name


def jobs_of(given: object) -> int:
    """Return the number of cells at a time; by default that of the CPUs.

    Raises:
        UsageError: E201, E203 not a number of jobs.
    """
    if given is None:
        return os.cpu_count() or 1
    return require.integer("--jobs", given, at_least=1)


def _as_found(folder: Path, cell: CellRecord) -> CellRecord:
    """Return the state of a cell as its run folder shows it."""
    if (run_of(folder, cell) / MANIFEST_NAME).exists():  # written last
        return _ended(folder, cell, None)
    waiting = {"state": "waiting", "error": None, "figures": None}
    return cell.model_copy(update=waiting)


def _ended(folder: Path, cell: CellRecord, error: FedaffectError | None) -> CellRecord:
    """Return a cell with what it came to; a run that its budget ended early has figures, too."""
    run = run_of(folder, cell)
    try:
        if not (run / MANIFEST_NAME).exists():
            raise error or StorageError("E820", f"{run} is not a finished run")
        ended = load_record(run)
        if settings_digest(RunConfig.model_validate(ended.provenance.config)) != settings_digest(
            _config(folder, cell)
        ):
            raise StorageError(
                "E833", f"{run} holds a run with other settings than its cell", do="remove it"
            )
    except FedaffectError as why:
        told = (why.code, why.message, why.do)
        return cell.model_copy(update={"state": "failed", "error": told, "figures": None})
    stopped = ended.privacy["stopped"]
    if stopped is None:
        state, cause = "finished", None
    else:
        state = "stopped"
        cause = (error.code if error else BUDGET_SPENT, str(stopped), error.do if error else "")
    update = {"state": state, "error": cause, "figures": figures_of(ended)}
    return cell.model_copy(update=update)


def _config(folder: Path, cell: CellRecord) -> RunConfig:
    try:
        return RunConfig.model_validate(cell.config)
    except (ValueError, FedaffectError) as error:
        raise StorageError(
            "E831",
            f"{folder / sweep_folder.SWEEP_NAME}: the settings of {cell.name} cannot be read: "
            f"{str(error).splitlines()[0]}",
            do="restore it, or read it with the version that wrote it",
        ) from None


def _finished(record: SweepRecord) -> SweepRecord:
    done = [cell.figures for cell in record.cells if cell.figures is not None]
    spent = spent_by({f.run_id for f in done}, done[0].data) if done else ()
    ended = record.ended or sweep_folder.now()
    return with_tradeoff(record, spent).model_copy(update={"ended": ended})


def _write_report(folder: Path, record: SweepRecord) -> None:
    from fedaffect.reports.sweep_page import render_sweep

    sweep_folder.write(folder, record)
    write_text_atomic(folder / sweep_folder.CSV_NAME, csv_text(record))
    write_text_atomic(folder / sweep_folder.PAGE_NAME, render_sweep(record))
