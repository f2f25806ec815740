"""A sweep on the terminal: one line a cell, and a bar where there is a terminal."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fedaffect.cli.sweep_text import cell_line
from fedaffect.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from fedaffect.sweep_record import CellRecord

BAR = 36
INDENT = " " * 11


class SweepView:
    """Prints to stdout, or to stderr when stdout carries JSON. Animated on a terminal only."""

    def __init__(self, *, quiet: bool, no_color: bool, to_stderr: bool) -> None:
        self.console = Console(
            stderr=to_stderr, no_color=no_color or None, highlight=False, soft_wrap=True
        )
        self.quiet = quiet
        animated = self.console.is_terminal and not (quiet or no_color)
        self.live = Live(console=self.console, transient=True) if animated else None
        self.started = time.perf_counter()

    def __enter__(self) -> SweepView:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, line: str) -> None:
        """Print one line; a terminal gets a sentence wrapped between words, under its indent."""
        if self.console.is_terminal and line.startswith("!"):
            line = textwrap.fill(
                line, self.console.width, subsequent_indent=INDENT, break_on_hyphens=False
            )
        self.console.print(Text(line))

    def begin(self, folder: Path, jobs: int) -> None:
        """Say where the sweep goes."""
        if not self.quiet:
            self.show(f"fedaffect {__version__}   sweep -> {folder}, {jobs} cell(s) at a time")

    def cell_ended(self, cell: CellRecord, done: int, total: int) -> None:
        """Print a cell that has ended, and how far the sweep is."""
        if not self.quiet:
            self.show(cell_line(cell, done, total))
        if self.live:
            full = BAR * done // total
            left = (time.perf_counter() - self.started) / done * (total - done)
            bar = f" {'=' * full}{'-' * (BAR - full)} {done}/{total}  about {left:.0f} s left"
            self.live.update(Text(bar))
