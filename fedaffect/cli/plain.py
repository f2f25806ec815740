"""Help of the Typer commands as plain text."""

from __future__ import annotations

import click
from typer.core import TyperCommand


class PlainCommand(TyperCommand):
    """A command whose help keeps its square brackets; its text explains the arguments.

    Typer escapes brackets for Rich even where Rich is switched off; Click's own records do
    not.
    """

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        records = [record for o in options if (record := click.Option.get_help_record(o, ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)
