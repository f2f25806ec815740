"""The command ``fedaffect``. The only package that prints."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from types import FrameType
from typing import Any

import click
import typer

from fedaffect.errors import FedaffectError
from fedaffect.registry import did_you_mean

HELP = """Federated, privacy-audited affect models: simulate, attack, report.

Start here:  fedaffect simulate          (no data needed, under two minutes)
"""
TERMINATED = 143
INTERRUPTED = 130


def build_command() -> click.Command:
    """Return the command line; sub-commands import what they need when they run."""
    from fedaffect.cli import (
        audit,
        certs,
        compare,
        data,
        dp,
        listing,
        pretrain,
        report,
        reproduce,
        simulate,
        sweep,
        verify,
    )
    from fedaffect.cli.plain import PlainCommand

    app = typer.Typer(
        help=HELP,
        rich_markup_mode=None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    app.command(cls=PlainCommand, help=audit.HELP)(audit.audit)
    app.command(cls=PlainCommand, help=report.HELP)(report.report)
    app.command(cls=PlainCommand, help=compare.HELP)(compare.compare)
    app.command(cls=PlainCommand, help=pretrain.HELP)(pretrain.pretrain)
    app.command(cls=PlainCommand, help=reproduce.HELP)(reproduce.reproduce)
    app.command(cls=PlainCommand, help=verify.HELP)(verify.verify)
    app.add_typer(data.app, name="data")
    app.add_typer(dp.app, name="dp")
    app.add_typer(certs.app, name="certs")
    app.command(name="list", cls=PlainCommand, help=listing.HELP)(listing.list_components)
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    group.commands = {"simulate": simulate.command(), "sweep": sweep.command(), **group.commands}
    return group


def _print_version(wanted: bool) -> None:
    if wanted:
        from fedaffect.version import __version__

        typer.echo(f"fedaffect {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version."
    ),
) -> None:
    """Options before any command."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Run the command with ``arguments`` and return its exit code; no traceback without --debug."""
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    _terminated.clear()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = build_command().main(args=arguments, prog_name="fedaffect", standalone_mode=False)
        if result == INTERRUPTED:  # how Typer's main ends after Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except FedaffectError as error:
        if debug:
            traceback.print_exc()
        return _show(error, "--json" in arguments)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    except click.UsageError as error:
        return _show(_usage(error), "--json" in arguments)
    except (KeyboardInterrupt, click.Abort):
        ending, code = ("terminated", TERMINATED) if _terminated else ("interrupted", INTERRUPTED)
        print(f"{ending}; what was finished is in the run folder", file=sys.stderr)
        return code
    except BrokenPipeError:
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        line = f"{type(error).__name__}: {error}"
        return _show(
            FedaffectError("E100", f"unexpected {line}", "run again with --debug and report it"),
            "--json" in arguments,
        )


_terminated: list[int] = []  # SIGTERM, when it has arrived


def _terminate(number: int, frame: FrameType | None) -> None:
    """Unwind as after Ctrl-C: the one exception that Ray's waiting calls let through."""
    _terminated.append(number)
    raise KeyboardInterrupt


def _show(error: FedaffectError, as_json: bool) -> int:
    """Print one line what happened and one line what to do."""
    print(f"error {error.code}: {error.message}", file=sys.stderr)
    if error.do:
        print(f"  do: {error.do}", file=sys.stderr)
    if as_json:
        document: dict[str, Any] = {"code": error.code, "message": error.message, "do": error.do}
        print(json.dumps({"error": document}))
    return error.exit_code


def _usage(error: click.UsageError) -> FedaffectError:
    """Turn click's complaint into ours, with a suggestion for a misspelt option or command."""
    command = error.ctx.command_path if error.ctx else "fedaffect"
    do = f"{command} --help"
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx:
        params = error.ctx.command.params
        known = [o for p in params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")]
        do = did_you_mean(error.option_name, known).split("known:")[0] + do
        message = f"{command} has no option {error.option_name}"
    elif error.ctx and isinstance(error.ctx.command, click.Group) and "No such command" in message:
        name = message.split("'")[1]
        do = did_you_mean(name, list(error.ctx.command.commands))
        message = f"{command} has no command {name!r}"
    return FedaffectError("E200", message.rstrip("."), do)
