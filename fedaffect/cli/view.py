"""What a run looks like on the terminal: the plan, one row a round, the result."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fedaffect.cli.plan_text import plan_lines, sized_lines
from fedaffect.cli.result_text import header, result_lines, round_line
from fedaffect.progress import Listener
from fedaffect.version import __version__

if TYPE_CHECKING:
    from fedaffect.build import Experiment
    from fedaffect.config import RunConfig
    from fedaffect.outline import Outline
    from fedaffect.privacy.spending import Spending
    from fedaffect.record import Forecast, RoundRecord, RunRecord

MAIN = "run"  # the training that the others are references of
BAR = 36
ROWS = 8  # rounds shown while animated
WRAP = 11  # column at which the text of a plan line begins
QUIET_ROUNDS = 10  # a reference says a line every so many rounds


class View(Listener):
    """Prints to stdout, or to stderr when stdout carries JSON. Animated on a terminal only."""

    def __init__(self, *, quiet: bool, no_color: bool, to_stderr: bool) -> None:
        self.console = Console(
            stderr=to_stderr, no_color=no_color or None, highlight=False, soft_wrap=True
        )
        self.quiet = quiet
        self.animated = self.console.is_terminal and not (quiet or no_color)
        self.live: Live | None = None
        self.started = time.perf_counter()
        self.name, self.total, self.done = "", 0, 0
        self.text = ""
        self.rows: list[str] = []
        self.clip = False  # whether the clip norm adapts
        self.record: RunRecord | None = None  # once the run is written down
        self.spent: Spending | None = None  # by other runs on the same data

    def __enter__(self) -> View:
        if self.animated:
            self.live = Live(console=self.console, refresh_per_second=4, transient=False)
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.update(Group(*map(Text, self.rows[-ROWS:])))
            self.live.stop()
            self.live = None

    def say(self, line: str = "") -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            self._print(line)

    def _print(self, line: str) -> None:
        """Print ``line``; a terminal gets it wrapped between words, under its own indent."""
        if self.console.is_terminal and len(line) > self.console.width:
            indent = " " * (WRAP if line.startswith((" ", "!")) else 0)
            line = textwrap.fill(
                line, self.console.width, subsequent_indent=indent, break_on_hyphens=False
            )
        self.console.print(Text(line))

    def begin(self) -> None:
        """Say that work has begun, before anything heavy is imported."""
        self.say(f"fedaffect {__version__}   starting")

    def stage(self, text: str) -> None:
        """Name the step that is under way."""
        self.text = text
        if self.live:
            self._draw()
        else:
            self.say(f"  ... {text}")

    def planned(
        self, outline: Outline, forecast: Forecast, folder: str | None, run_id: str | None
    ) -> None:
        """Print the plan and, plainly, whether such a run can learn."""
        from fedaffect.summary import spent_before

        self.clip = outline.mechanism.spec.clip.adaptive is not None
        self.spent = spent_before(outline, run_id)
        for line in plan_lines(outline, forecast, folder, self.spent):
            self.say(line)

    def ready(self, experiment: Experiment) -> None:
        """Print what the data turned out to be."""
        e, split, data = experiment, experiment.split, experiment.table
        mark = (
            "SYNTHETIC people, not for claims about real ones" if data.synthetic else data.licence
        )
        sizes = [len(rows) for rows in e.folds[0].partition.clients]
        self.say(f"  data     {data.dataset}: {len(data.subjects)} people, {len(data):,} windows")
        self.say(f"           {mark}")
        self.say(
            f"  split    {e.config.data.partition}: {len(sizes)} clients with {min(sizes)} to "
            f"{max(sizes)} windows; people per client up to {e.plan.subjects_per_client}, "
            f"clients per person up to {e.plan.clients_per_subject}"
        )
        self.say(f"  eval     {split.description}")
        self.say(f"  scaling  {e.normalisation}")
        for note in data.notes:
            self.say(f"  note     {note}")
        for line in sized_lines(experiment, self.spent):
            self.say(line)

    def training(self, name: str, rounds: int) -> None:
        """Begin a table of rounds, or one line for a reference."""
        self.name, self.total, self.done = name, rounds, 0
        self.started = time.perf_counter()
        self.text = name
        if name == MAIN:
            self.say()
            self.rows = [] if self.animated else self.rows
            if not self.live:
                self.say(header(self.clip))
        elif not self.live:
            self.say(f"  ... {name}, {rounds} rounds")

    def round_done(self, record: RoundRecord) -> None:
        """Show one round."""
        self.done += 1
        if self.name == MAIN:
            line = round_line(record, self.clip)
            self.rows.append(line)
            if not self.live:
                self.say(line)
        elif not self.live and self.done % QUIET_ROUNDS == 0:
            self.say(f"      {self.name}: round {self.done}/{self.total}")
        for trouble in record.rejected:
            self._print(f"! round {record.round}: {trouble}")
        if self.live:
            self._draw()

    def finished(self, record: RunRecord) -> None:
        """Keep the record, to be shown when the table of rounds is closed."""
        self.record = record

    def origins(self, config: RunConfig, origins: dict[str, str]) -> None:
        """Print every value with where it came from."""
        self.say()
        values = config.model_dump(mode="json")
        for key, origin in origins.items():
            section, _, name = key.partition(".")
            value = values[section][name]
            if value is not None:
                self.say(f"  {key + ' = ' + str(value):44} {origin}")

    def result(self, record: RunRecord) -> None:
        """Print the result of a finished run."""
        for line in result_lines(record):
            self._print(line)

    def _draw(self) -> None:
        """Redraw the last rounds and the bar."""
        assert self.live is not None
        shown = [header(self.clip), *self.rows[-ROWS:]] if self.rows else []
        if self.done < self.total:
            full = BAR * self.done // self.total
            elapsed = time.perf_counter() - self.started
            left = (
                f"  {elapsed / self.done * (self.total - self.done):.0f} s left"
                if self.done
                else ""
            )
            bar = f" {'=' * full}{'-' * (BAR - full)} {self.done}/{self.total}{left}"
            shown.append(bar if self.name == MAIN else f"{bar}  {self.name}")
        else:
            shown.append(f"  ... {self.text}")
        self.live.update(Group(*map(Text, shown)))
