"""What a run looks like on the terminal: the plan, one row a round, the result."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fedaffect.progress import Listener
from fedaffect.version import __version__

if TYPE_CHECKING:
    from fedaffect.build import Experiment
    from fedaffect.config import RunConfig
    from fedaffect.outline import Outline
    from fedaffect.record import Estimate, Forecast, RoundRecord, RunRecord

HEADER = " round clients    loss  stress bal.acc  own id head  id probe  eps so far  time"
MAIN = "run"  # the training that the others are references of
BAR = 36
ROWS = 8  # rounds shown while animated
WRAP = 11  # column at which the text of a plan line begins
PLACES = {"server": "server", "client": "clients", "steps": "clients, in every local step"}
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

    def planned(self, outline: Outline, forecast: Forecast, folder: str | None) -> None:
        """Print the plan and, plainly, whether such a run can learn."""
        for line in plan_lines(outline, forecast, folder):
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

    def training(self, name: str, rounds: int) -> None:
        """Begin a table of rounds, or one line for a reference."""
        self.name, self.total, self.done = name, rounds, 0
        self.started = time.perf_counter()
        self.text = name
        if name == MAIN:
            self.say()
            self.rows = [] if self.animated else self.rows
            if not self.live:
                self.say(HEADER)
        elif not self.live:
            self.say(f"  ... {name}, {rounds} rounds")

    def round_done(self, record: RoundRecord) -> None:
        """Show one round."""
        self.done += 1
        if self.name == MAIN:
            line = round_line(record)
            self.rows.append(line)
            if not self.live:
                self.say(line)
        elif not self.live and self.done % QUIET_ROUNDS == 0:
            self.say(f"      {self.name}: round {self.done}/{self.total}")
        for trouble in record.rejected:
            self._print(f"! round {record.round}: {trouble}")
        if self.live:
            self._draw()

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
        shown = [HEADER, *self.rows[-ROWS:]] if self.rows else []
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


def plan_lines(outline: Outline, forecast: Forecast, folder: str | None) -> list[str]:
    """Return the plan before round 1."""
    c, layout = outline.config, outline.factory.layout
    heads = ", ".join(f"{t.name}({t.n_outputs})" for t in outline.factory.build().tasks)
    f = c.federation
    lines = [
        f"  run      {folder or 'dry run: nothing is trained'}   seed {c.run.seed}",
        f"  model    {c.model.name}, {layout.size:,} parameters, tasks {heads}",
        f"  rounds   {f.rounds} x {outline.folds} fold(s), {f.clients} clients, {f.strategy}, "
        f"{f.local_epochs} local epoch(s), {f.optimizer} {f.lr:g}, engine {c.run.engine}",
    ]
    from fedaffect.summary import promised

    mechanism, plan = outline.mechanism, outline.plan
    spec, blocks = mechanism.spec, mechanism.blocks
    named = {
        "noise on": blocks.named("noise"),
        "frozen": blocks.named("freeze"),
        "kept on the clients": blocks.named("keep_local"),
        "released in the clear": blocks.named("clear"),
    }
    treated = "; ".join(f"{how}: {', '.join(names)}" for how, names in named.items() if names)
    if not mechanism.groups:
        return [*lines, f"  privacy  none: no epsilon, whatever the accuracies below say; {treated}"]
    lines.append(
        f"  privacy  {spec.mechanism} at the {PLACES[mechanism.noise_at]}, unit={spec.unit}, "
        f"{spec.adjacency.replace('_', '-')} adjacency; {treated}"
    )
    if mechanism.scale == 0:
        lines.append(
            f"           total eps {spec.eps:g}: noise is sized once the windows are counted"
        )
        return lines
    statement = promised(outline)
    if statement.status == "FORMAL":
        lines.append(
            f"           total eps {statement.eps:.4g} at delta {spec.delta:.2g} over "
            f"{plan.releases} releases, to whoever sees the models: noise multiplier "
            f"{forecast.noise_multiplier:.4g} x clip {spec.clip.bound:g}"
        )
    else:
        lines.append(f"           status NONE: {statement.sentence}")
        lines.append(
            f"           noise multiplier {forecast.noise_multiplier:.4g} x clip "
            f"{spec.clip.bound:g}"
        )
    lines.append(
        f"           noise is as long as the signal at {forecast.break_even_clients:,.0f} clients; "
        f"with {forecast.clients_per_round:g} it is {forecast.noise_to_signal:.1f} times the signal"
    )
    return lines + [f"! W112     {sentence}" for sentence in forecast.sentences]


def round_line(r: RoundRecord) -> str:
    """Return one row of the table of rounds."""
    answered = "secret" if r.clients is None else f"{r.clients}/{r.clients_planned}"
    stress = _share(r.stress_balanced_accuracy)
    return (
        f" {r.round:5} {answered:>7} {_number(r.loss):>7}  {stress:>14}"
        f"  {_share(r.identity_own_head):>11}  {_share(r.identity_probe):>8}"
        f"  {_number(r.eps_spent):>10}  {r.seconds:3.1f}s"
    )


def result_lines(record: RunRecord) -> list[str]:
    """Return the result: figures with intervals and chance, references, the guarantee."""
    f, split = record.figures, record.data.split
    people = f"{split.people_unseen} held-out people" if split.people_unseen else "held-out blocks"
    synthetic = "SYNTHETIC PEOPLE   " if record.data.synthetic else ""
    refs = [("no DP", record.no_dp), ("IID, no DP", record.iid_reference)]
    known = [(name, figures) for name, figures in refs if figures is not None]
    lines = [
        "",
        f"Result   {synthetic}95 % intervals over people",
        f"         stress on {people}, identity on held-out blocks of seen people",
        f"  {'':25}{'this run':21}{'chance':8}" + "".join(f"{name:11}" for name, _ in known),
    ]
    rows: list[tuple[str, Any]] = [
        ("stress balanced acc.", lambda x: x.stress_balanced_accuracy),
        ("stress accuracy", lambda x: x.stress_accuracy),
        ("stress macro-F1", lambda x: x.stress_macro_f1),
        ("identity, own head", lambda x: x.identity_own_head),
        ("identity, new attacker", lambda x: x.identity_strongest),
    ]
    for label, get in rows:
        beside = "".join(f"{_share(get(x).value):11}" for _, x in known)
        mark = "<- this" if label.endswith("attacker") else ""
        lines.append(f"  {label:25}{_interval(get(f)):21}{_share(get(f).chance):8}{beside}{mark}")
    attackers = ", ".join(f"{n} {_share(e.value)}" for n, e in f.identity_attacks.items())
    raw = _share(f.raw_features_attack.value)
    lines += [f"  attackers: {attackers}; on the raw features: {raw}"] if attackers else []
    lines.append("")
    lines.append(f"Privacy  {record.privacy['status']}: {record.privacy['sentence']}")
    lines += [f"         {detail}" for detail in record.privacy["details"]]
    told = [w.partition(" ") for w in record.warnings if not w.startswith("W112")]
    lines += ["", *(f"! {code.rstrip(':')}     {text}" for code, _, text in told), ""]
    lines.append(f"Files    {record.folder}   report: {record.folder}/report.html")
    return lines


def _interval(e: Estimate) -> str:
    if e.value is None:
        return e.note or "n/a"
    if e.low is None or e.high is None:
        return _share(e.value)
    return f"{e.value:.1%} [{e.low * 100:.1f}, {e.high * 100:.1f}]"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1000 else f"{value:.1e}"
