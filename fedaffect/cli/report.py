"""``fedaffect report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write page, model card and figures of a finished run again.

RUN is the folder of a run, or its id below runs/. An audit of the run is part of it.
"""


def report(
    run: Annotated[str, typer.Argument()],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            help="Where to write the page alone. [default: everything, in the run folder]",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Render the report of ``run``."""
    from fedaffect.atomic_file import write_text_atomic
    from fedaffect.reports.html_page import render_html
    from fedaffect.reports.json_file import load_audit, load_record, write_report

    folder = Path(run) if Path(run).is_dir() else Path("runs") / run
    record = load_record(folder)
    if not out:
        typer.echo(str(write_report(folder, record)))
        return
    path = Path(out)
    write_text_atomic(path, render_html(record, load_audit(folder, record.provenance.run_id)))
    typer.echo(str(path))
