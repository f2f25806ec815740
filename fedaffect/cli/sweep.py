"""``fedaffect sweep``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fedaffect.cli.options import HANDLING, SETTINGS, Flag, GroupedCommand, grouped_command

if TYPE_CHECKING:
    from fedaffect.sweep_record import SweepRecord
    from fedaffect.sweeping.cells import Cell
    from fedaffect.sweeping.grid import Axis

HELP = "Run a grid of settings; one trade-off report."
EXAMPLES = """\b
A key is a configuration key (dp.eps), a flag (noise-layers) or the last part of a key. none
takes a value away; for a mechanism or a budget it means a run without DP. 0..4 counts.
Values with commas are parted by ; or quoted. The same grid gives the same runs for any --jobs.
\b
Examples:
  fedaffect sweep --grid dp.eps=1,5,none --grid seed=0..4 --dp gaussian
  fedaffect sweep --grid 'noise-layers=all;shared;task:stress,task:identity' --dp gaussian --eps 5
  fedaffect sweep --resume sweeps/calm-heron-7f3a
"""
GRID = "Sweep"
_OWN = (
    Flag(GRID, "--jobs", "INT", "Cells at a time, a process each [default: CPUs]"),
    Flag(GRID, "--out", "DIR", "Folder of the sweep, new or empty [default: sweeps/<name>]"),
    Flag(GRID, "--resume", "DIR", "Go on with the interrupted sweep in this folder"),
    Flag(
        GRID,
        "--reference/--no-reference",
        "",
        "Also train the references of every cell [default: --no-reference]",
    ),
)
_TAKEN = {flag.name for flag in _OWN} | {"--engine", "--workers", "--ray-address"}
_PLAN = Flag("Running", "--dry-run", "", "Print every cell with its noise; train nothing")
_FLAGS = (
    *_OWN,
    *(flag for flag in SETTINGS if flag.name not in _TAKEN),
    *(_PLAN if flag.name == _PLAN.name else flag for flag in HANDLING if flag.name not in _TAKEN),
)


def command() -> GroupedCommand:
    """Return the command for the command line."""
    made = grouped_command("sweep", _FLAGS, callback=sweep, help=HELP, epilog=EXAMPLES)
    grid = click.Option(
        ["--grid", "grid"], metavar="KEY=V1,V2,...", multiple=True, help="One axis; repeatable"
    )
    made.params.insert(0, grid)
    made.groups[GRID].insert(0, grid)
    return made


def sweep(
    grid: tuple[str, ...],
    config: str | None,
    overrides: tuple[str, ...],
    resume: str | None,
    jobs: str | None,
    dry_run: bool | None,
    quiet: bool | None,
    no_color: bool | None,
    debug: bool | None,
    **flags: Any,
) -> int:
    """Plan all cells, run them, print the trade-off; return the first exit code that is not 0."""
    as_json = bool(flags.pop("json"))
    from fedaffect.cli.sweep_view import SweepView
    from fedaffect.sweeping.sweep import jobs_of

    count = jobs_of(jobs)
    view = SweepView(quiet=bool(quiet), no_color=bool(no_color), to_stderr=as_json)
    if resume is not None:
        _refuse_settings(resume, grid, config, overrides, flags, bool(dry_run))
        from fedaffect.sweeping.sweep_folder import load

        folder = Path(resume)
        load(folder)  # refused before anything is said
    else:
        from fedaffect.sweeping.cells import plan_cells
        from fedaffect.sweeping.grid import read_grid

        axes = read_grid(grid)
        cells, out = plan_cells(axes, flags, overrides, Path(config) if config else None)
        if dry_run:
            _dry_run(axes, cells, min(count, len(cells)), view, as_json)
            return 0
        from fedaffect.sweeping.sweep_folder import begin

        folder = begin(axes, cells, out)
    return _carry_on(folder, count, view, as_json)


def _carry_on(folder: Path, jobs: int, view: Any, as_json: bool) -> int:
    from fedaffect.cli.sweep_text import result_lines
    from fedaffect.sweeping.sweep import carry_on

    view.begin(folder, jobs)
    try:
        with view:
            record = carry_on(folder, jobs, view.cell_ended)
    except BaseException:
        print(f"go on with:  fedaffect sweep --resume {folder}", file=sys.stderr)
        raise
    if as_json:
        _print_json(record.model_dump(mode="json"))
    for line in result_lines(record, str(folder)):
        view.show(line)
    return first_exit_code(record)


def first_exit_code(record: SweepRecord) -> int:
    """Return the exit code of the first cell that ended early, else 0."""
    return next((int(cell.error[0][1]) for cell in record.cells if cell.error), 0)


def _dry_run(
    axes: tuple[Axis, ...], cells: tuple[Cell, ...], jobs: int, view: Any, as_json: bool
) -> None:
    from fedaffect.cli.sweep_text import forecast_lines
    from fedaffect.sweeping.forecasts import forecast_cell

    forecasts = [forecast_cell(cell) for cell in cells]
    for line in forecast_lines(forecasts, jobs):
        view.show(line)
    if as_json:
        _print_json(
            {
                "axes": {axis.key: list(axis.values) for axis in axes},
                "jobs": jobs,
                "cells": [
                    {"values": dict(cell.values), **told.to_dict()}
                    for cell, told in zip(cells, forecasts, strict=True)
                ],
            }
        )


def _refuse_settings(
    resume: str,
    grid: tuple[str, ...],
    config: str | None,
    overrides: tuple[str, ...],
    flags: dict[str, Any],
    dry_run: bool,
) -> None:
    """Refuse to mix a sweep that was begun with other settings."""
    from fedaffect.errors import UsageError

    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value is not None]
    given += (
        ["--grid"] * bool(grid) + ["--config"] * (config is not None) + ["-o"] * bool(overrides)
    )
    given += ["--dry-run"] * dry_run
    if given:
        raise UsageError(
            "E266",
            f"--resume {resume} has settings of its own, {given[0]} does not go with it",
            do="give --jobs at most, or start a new sweep",
        )


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=1, allow_nan=False)
    print()
