"""``fedaffect verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

HELP = """Recompute hashes and epsilon of a finished run offline.

RUN is the folder of a run, or its id below runs/. Exit 0 only if everything holds: 8 for files
that changed, 4 for a privacy statement that its ledger does not bear out.
"""


def verify(
    run: Annotated[str, typer.Argument()],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print one line a check of ``run``."""
    from fedaffect.home import state_home
    from fedaffect.verification import verify as checks_of

    folder = Path(run) if Path(run).is_dir() else Path("runs") / run
    checks = checks_of(folder, state_home())
    failures = [check.failure for check in checks if check.failure is not None]
    if as_json:
        document = {
            "folder": str(folder),
            "holds": not failures,
            "checks": [
                {
                    "name": check.name,
                    "result": _result(check.failure is not None, check.skipped),
                    "text": check.text,
                    "code": check.failure.code if check.failure else None,
                }
                for check in checks
            ],
        }
        typer.echo(json.dumps(document, indent=1))
        raise typer.Exit(failures[0].exit_code if failures else 0)
    for check in checks:
        result = _result(check.failure is not None, check.skipped)
        typer.echo(f"{result:8} {check.name:10} {check.text}")
    if failures:
        raise failures[0]


def _result(failed: bool, skipped: bool) -> str:
    return "FAILED" if failed else "skipped" if skipped else "ok"
