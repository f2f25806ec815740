"""``fedaffect dp tune``: how few released numbers are trained, chosen on public people."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedaffect.tuning.record import TuningRecord

HELP = "Choose rounds, clip, local training and released numbers on public people."
PATIENCE_S = 2.0  # silence that needs no explanation
SHOWN = 10


def tune(
    eps: Annotated[str | None, typer.Option(help="TOTAL budget of the run to come")] = None,
    delta: Annotated[
        str | None, typer.Option(help="[default: 1e-5, or 1/(10 clients) if smaller]")
    ] = None,
    clients: Annotated[str | None, typer.Option(help="[default: 20]")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="synthetic | stress-predict | FILE [default: synthetic]")
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="head | N numbers [default: chosen, too]")
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="none | client [default: client]")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Public people [default: synthetic]")] = None,
    data_root: Annotated[str | None, typer.Option(help="Folder of the data set")] = None,
    people: Annotated[str | None, typer.Option(help="all | even | odd | ID,ID,...")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="I declare these people public: nothing protects them.")
    ] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("-o", help="KEY=VALUE, such as synthetic.people=60")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="[default: 0]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few candidates, few draws.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="New FILE.toml for simulate --config; the record beside it")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Choose rounds, clip, local training and released numbers on public people.

    Public people are simulated as clients: no private data are read, no budget is spent. The
    default are two populations of simulated people, one of which reacts to stress otherwise than
    the backbone's.
    """
    from fedaffect.config_sources import resolve
    from fedaffect.errors import UsageError
    from fedaffect.tuning.grid import QUICK, Grid
    from fedaffect.tuning.tune import tune as choose

    if eps is None:
        raise UsageError("E220", "dp tune needs the budget of the run to come", do="give --eps 2")
    if out is not None:
        _refuse_unless_new(out)
    flags = {
        "eps": eps,
        "delta": delta,
        "clients": clients,
        "backbone": backbone,
        "release": release,
        "class_weights": class_weights,
        "data": data,
        "data_root": data_root,
        "people": people,
        "seed": seed,
        "dp": "gaussian",
    }
    config, origins = resolve(flags, overrides or [])
    progress = _Progress(quiet)
    record = choose(
        config,
        grid=QUICK if quick else Grid(),
        public=public,
        chosen_synthetic=any(
            key.startswith("synthetic.") and origin != "default" for key, origin in origins.items()
        ),
        stage=progress.stage,
        tell=progress,
    )
    if out is not None:
        _write(record, out)
    if as_json:
        typer.echo(json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False))
        return
    from fedaffect.cli.dp_tune_text import lines

    for line in lines(record, SHOWN):
        typer.echo(line)
    if out is not None:
        typer.echo(f"train with:  fedaffect simulate --config {out}")


class _Progress:
    """Says on stderr what is being done and about how long it will take."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.began: float | None = None
        self.first = 0  # trainings done when it began
        self.last = time.monotonic()

    def stage(self, text: str) -> None:
        """A step that may take seconds has begun."""
        if not self.quiet:
            typer.echo(f"  {text}", err=True)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.began is None:
            self.began, self.first = now, done
        elif not self.quiet and now - self.last > PATIENCE_S:
            left = (now - self.began) / (done - self.first) * (total - done)
            typer.echo(f"  ... {done} of {total} trainings, about {left:.0f} s to go", err=True)
            self.last = now


def _refuse_unless_new(out: Path) -> None:
    """Refuse settings that are no new .toml file, or whose record is there.

    Raises:
        UsageError: E273.
    """
    from fedaffect.cli.new_file import refuse_unless_new
    from fedaffect.errors import UsageError

    if out.suffix != ".toml":
        do = "give a name that ends in .toml"
        raise UsageError("E273", f"--out {out} is no .toml file", do=do)
    refuse_unless_new(out, out.with_suffix(".json"))


def _write(record: TuningRecord, out: Path) -> None:
    """Write the settings as TOML and the record beside them."""
    from fedaffect.atomic_file import write_json_atomic, write_text_atomic
    from fedaffect.tuning.settings import settings_toml

    write_text_atomic(out, settings_toml(record))
    write_json_atomic(out.with_suffix(".json"), record.model_dump(mode="json"))
