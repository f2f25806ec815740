"""``fedaffect audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedaffect.audit_record import AuditRecord

HELP = """Attack a finished run: identity, linkage, membership, epsilon.

RUN is the folder of a run, or its id below runs/. Writes audit.json and the report into it. Exit
6 where a lower bound on epsilon lies above the claim with 99.9 % confidence, or --fail-if holds.
"""


def audit(
    run: Annotated[str, typer.Argument()],
    full: Annotated[
        bool, typer.Option("--full", help="Also train shadow models and invert updates: up to 2 h.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="NAME,...",
            help="Run these attacks, see fedaffect list audit. [default: those of the suite]",
        ),
    ] = None,
    fail_if: Annotated[
        str | None,
        typer.Option(
            "--fail-if",
            metavar="EXPR",
            help='Exit 6 where this holds, such as "identity.ci_low>0.3".',
        ),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option("--seed", metavar="INT", help="Seed of the attacks. [default: the run's]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the result only.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour, no animation.")] = False,
) -> None:
    """Attack ``run`` and print what was found."""
    from fedaffect import require
    from fedaffect.cli.view import View

    folder = Path(run) if Path(run).is_dir() else Path("runs") / run
    names = tuple(word.strip() for word in only.split(",")) if only is not None else ()
    number = require.integer("--seed", seed) if seed is not None else None
    view = View(quiet=quiet, no_color=no_color, to_stderr=as_json)
    view.begin()
    from fedaffect.auditing.suite import audit as run_audit

    record = run_audit(folder, full=full, only=names, fail_if=fail_if, seed=number, listener=view)
    if as_json:
        typer.echo(json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False))
    show(record, str(folder), to_stderr=as_json)
    end(record, as_json)


def show(record: AuditRecord, folder: str, *, to_stderr: bool) -> None:
    """Print what the audit of the run in ``folder`` found."""
    from fedaffect.cli.audit_text import audit_lines

    typer.echo("\n".join(audit_lines(record, folder)), err=to_stderr)


def end(record: AuditRecord, as_json: bool) -> None:
    """End the command with code 6 where a gate failed; a printed document says so itself.

    Raises:
        GateError: E601 with the first gate that failed.
    """
    from fedaffect.errors import GateError

    failed = [gate for gate in record.gates if not gate.passed]
    if not failed:
        return
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    error = GateError(
        "E601",
        f"{failed[0].expression}: {failed[0].detail}{more}",
        do="do not rely on what this run promises; audit.json has the figures",
    )
    if not as_json:
        raise error
    typer.echo(f"error {error.code}: {error.message}", err=True)
    raise typer.Exit(error.exit_code)
