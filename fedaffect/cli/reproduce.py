"""``fedaffect reproduce``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedaffect.reproduce.cell import Cell
    from fedaffect.reproduce.study import Options

HELP = """Measure a paper's experiments again, and say what agrees.

NAME is a paper, see fedaffect list study. Writes study.html, study.json and a CSV file a figure.
"""


def reproduce(
    name: Annotated[str, typer.Argument()],
    quick: Annotated[
        bool, typer.Option("--quick", help="A part of the cells, shorter: under 5 minutes.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Data set of several people. [default: synthetic]")
    ] = None,
    data_root: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the data set on this disk.")
    ] = None,
    as_printed: Annotated[
        bool, typer.Option("--as-printed", help="Keep the paper's optimizer in every cell.")
    ] = False,
    seeds: Annotated[
        str | None, typer.Option(metavar="INT", help="Figures are means over them. [default: 1]")
    ] = None,
    jobs: Annotated[
        str | None, typer.Option(metavar="INT", help="Cells at a time. [default: CPUs]")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="New folder. [default: studies/<paper>-<name>]"),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="DIR", help="Go on with the study in this folder.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every cell; train nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the result only.")] = False,
) -> None:
    """Carry out the study ``name`` and print its verdicts."""
    from fedaffect import registry
    from fedaffect.errors import StorageError, UsageError

    if name not in registry.STUDIES:
        raise UsageError(
            "E210",
            f"study {name!r} is not known",
            do=registry.did_you_mean(name, registry.STUDIES),
        )
    options = _options(quick, data, data_root, as_printed, seeds)
    if resume is not None and out is not None:
        raise StorageError(
            "E841", "--out and --resume name two folders of one study", do="give one of them"
        )
    from fedaffect.sweeping.sweep import jobs_of

    count = jobs_of(jobs)
    if dry_run:
        _dry_run(name, options, as_json)
        return
    _carry_out(name, options, out, resume, count, as_json, quiet)


def _options(
    quick: bool, data: str | None, data_root: str | None, as_printed: bool, seeds: str | None
) -> Options | None:
    """Return what is asked for; ``None`` where nothing is said."""
    if not (quick or as_printed or data or data_root or seeds):
        return None
    from fedaffect import registry, require
    from fedaffect.reproduce.study import Options

    return Options(
        data=registry.check_name("data", data or "synthetic"),
        root=Path(data_root) if data_root else None,
        quick=quick,
        as_printed=as_printed,
        seeds=require.integer("--seeds", seeds or 1, at_least=1, at_most=100),
    )


def _carry_out(
    name: str,
    options: Options | None,
    out: str | None,
    resume: str | None,
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> None:
    from fedaffect.cli.reproduce_text import result_lines
    from fedaffect.reproduce.run import reproduce as run

    progress = _Progress(quiet)
    try:
        record, folder = run(
            name,
            options,
            out=Path(out) if out else None,
            resume=Path(resume) if resume else None,
            jobs=jobs,
            on_begin=progress.begin,
            on_step=progress.step,
        )
    except BaseException:
        if progress.folder is not None:
            print(
                f"go on with:  fedaffect reproduce {name} --resume {progress.folder}",
                file=sys.stderr,
            )
        raise
    if as_json:
        typer.echo(json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False))
    typer.echo("\n".join(result_lines(record, str(folder))), err=as_json)


class _Progress:
    """One line a training that has ended, on stderr."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.started = quiet, time.perf_counter()
        self.folder: Path | None = None

    def begin(self, folder: Path, cells: int) -> None:
        """Say where the study goes."""
        self.folder = folder
        if not self.quiet:
            typer.echo(f"study -> {folder}, {cells} cells", err=True)

    def step(self, what: str, done: int, total: int, seconds: float) -> None:
        """Say what has ended, and how far it is."""
        if not self.quiet:
            passed = time.perf_counter() - self.started
            typer.echo(
                f" {done:3}/{total}  {what:.52}  {seconds:.0f} s  ({passed:.0f} s)", err=True
            )


def _dry_run(name: str, options: Options | None, as_json: bool) -> None:
    from fedaffect.reproduce.run import planned_cells, study_of
    from fedaffect.reproduce.study import Options

    cells = planned_cells(study_of(name), options or Options())
    if as_json:
        document = [
            {"name": c.name, "what": c.what, "config": c.config.model_dump(mode="json")}
            for c in cells
        ]
        typer.echo(json.dumps({"study": name, "cells": document}, indent=1, allow_nan=False))
        return
    typer.echo("\n".join(_cell_lines(cells)))


def _cell_lines(cells: tuple[Cell, ...]) -> list[str]:
    width = max(len(cell.name) for cell in cells)
    return [*(f"{cell.name:{width}}  {cell.what}" for cell in cells), f"{len(cells)} cells"]
