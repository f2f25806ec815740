"""``fedaffect simulate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedaffect.cli.options import HANDLING, SETTINGS, GroupedCommand, grouped_command

if TYPE_CHECKING:
    from fedaffect.cli.view import View
    from fedaffect.config import RunConfig
    from fedaffect.record import RunRecord

HELP = "Train a model with simulated clients and measure what it leaks."
EXAMPLES = """\b
Examples:
  fedaffect simulate --clients 20 --dp gaussian --eps 5
  fedaffect simulate --data wesad --data-root WESAD --partition dirichlet
  fedaffect simulate --config run.toml -o dp.eps=1 --seed 3 --json > r.json
"""


def command() -> GroupedCommand:
    """Return the command for the command line."""
    return grouped_command(
        "simulate", SETTINGS + HANDLING, callback=simulate, help=HELP, epilog=EXAMPLES
    )


def simulate(
    config: str | None,
    overrides: tuple[str, ...],
    resume: str | None,
    audit: bool | None,
    dry_run: bool | None,
    quiet: bool | None,
    no_color: bool | None,
    debug: bool | None,
    **flags: Any,
) -> None:
    """Collect the flags, run, print the result, attack it where that is asked for."""
    as_json = bool(flags.pop("json"))
    from fedaffect.cli.view import View

    resolved, origins = _configuration(config, overrides, resume, flags)
    view = View(quiet=bool(quiet), no_color=bool(no_color), to_stderr=as_json)
    if dry_run:
        _dry_run(resolved, origins, view, as_json)
        return
    view.begin()
    from fedaffect.simulation import simulate as run

    try:
        with view:
            record = run(resolved, resume=Path(resume) if resume else None, listener=view)
    except BaseException as error:
        if view.record is not None:  # ended early by its budget, with a result
            _show(view.record, view, as_json)
        for note in getattr(error, "__notes__", ()):  # how to go on
            print(note, file=sys.stderr)
        raise
    if audit:
        _audit(record, Path(resume or record.folder or ""), view, as_json)
    else:
        _show(record, view, as_json)


def _audit(record: RunRecord, folder: Path, view: View, as_json: bool) -> None:
    """Attack the run; one document holds both records."""
    from fedaffect.auditing.suite import audit
    from fedaffect.cli.audit import end, show

    view.result(record)
    found = audit(folder, listener=view)
    if as_json:
        _print_json({**record.model_dump(mode="json"), "audit": found.model_dump(mode="json")})
    show(found, str(folder), to_stderr=as_json)
    end(found, as_json)


def _show(record: RunRecord, view: View, as_json: bool) -> None:
    """Print the result, as a document where that was asked for."""
    if as_json:
        _print_json(record.model_dump(mode="json"))
    view.result(record)


def _configuration(
    config: str | None, overrides: tuple[str, ...], resume: str | None, flags: dict[str, Any]
) -> tuple[RunConfig, dict[str, str]]:
    """Return what was asked for, with where every value came from."""
    from fedaffect.config_sources import resolve
    from fedaffect.errors import StorageError

    if resume is None:
        return resolve(flags, overrides, Path(config) if config else None)
    if config is not None:
        raise StorageError(
            "E806",
            f"--resume {resume} has a configuration of its own, --config {config} is another",
            do="drop --config, or start a new run with it",
        )
    from fedaffect.resume import configuration

    return configuration(Path(resume), flags, overrides)


def _dry_run(config: RunConfig, origins: dict[str, str], view: View, as_json: bool) -> None:
    """Print the plan; read no signal."""
    from fedaffect.forecasts import advised_forecast
    from fedaffect.outline import outline

    planned = outline(config)
    forecast = advised_forecast(planned)
    view.planned(planned, forecast, None, None)
    if not as_json:
        view.origins(planned.config, origins)
        return
    _print_json(
        {
            "config": planned.config.model_dump(mode="json"),
            "origins": origins,
            "people": len(planned.subjects),
            "people_unseen": planned.unseen,
            "parameters": planned.factory.layout.size,
            "blocks": planned.factory.layout.block_sizes,
            "forecast": forecast.model_dump(mode="json"),
        }
    )


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=1, allow_nan=False)
    print()
