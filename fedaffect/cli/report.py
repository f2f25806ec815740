"""``fedaffect report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write report.html again from the record of a finished run.

RUN is the folder of a run, or its id below runs/.
"""


def report(
    run: Annotated[str, typer.Argument()],
    out: Annotated[
        str,
        typer.Option(
            "--out", help="Where to write. [default: in the run folder]", show_default=False
        ),
    ] = "",
) -> None:
    """Render the report of ``run``."""
    from fedaffect.atomic_file import write_text_atomic
    from fedaffect.reports.html_page import render_html
    from fedaffect.reports.json_file import load_record
    from fedaffect.run_folder import renew_in_manifest

    folder = Path(run) if Path(run).is_dir() else Path("runs") / run
    record = load_record(folder)
    path = Path(out) if out else folder / "report.html"
    write_text_atomic(path, render_html(record))
    if not out:
        renew_in_manifest(folder, path.name)
    typer.echo(str(path))
