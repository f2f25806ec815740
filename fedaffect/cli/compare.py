"""``fedaffect compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

HELP = """Compare runs: settings, figures, privacy.

RUNS are folders of finished runs, or their ids below runs/; the first is the baseline. The folder
of a sweep stands for its cells.
"""


def compare(
    runs: Annotated[list[str], typer.Argument()],
    out: Annotated[
        str, typer.Option("--out", help="Also write a page to this file.", show_default=False)
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print what differs between ``runs``."""
    from fedaffect.cli.compare_text import comparison_lines
    from fedaffect.sweeping.compare import compare as compared

    named = [Path(run) if Path(run).is_dir() else Path("runs") / run for run in runs]
    comparison = compared(named)
    if out:
        from fedaffect.atomic_file import write_text_atomic
        from fedaffect.reports.compare_page import render_comparison

        write_text_atomic(Path(out), render_comparison(comparison))
    if as_json:
        typer.echo(json.dumps(comparison.model_dump(mode="json"), indent=1, allow_nan=False))
        return
    for line in comparison_lines(comparison):
        typer.echo(line)
    if out:
        typer.echo(f"Page     {out}")
