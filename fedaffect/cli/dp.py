"""``fedaffect dp``: what a budget means, before anything is trained."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedaffect.cli import dp_tune
from fedaffect.cli.plain import PlainCommand

if TYPE_CHECKING:
    from fedaffect.config import RunConfig
    from fedaffect.privacy.planning import NoisePlan

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="What a privacy budget means, before anything is trained.",
)

PATIENCE_S = 2.0  # silence that needs no explanation


app.command(name="tune", cls=PlainCommand)(dp_tune.tune)


@app.command(cls=PlainCommand)
def plan(
    eps: Annotated[str | None, typer.Option(help="TOTAL budget for the whole run, or")] = None,
    noise: Annotated[
        str | None, typer.Option(help="noise multiplier: its standard deviation (b) / clip.")
    ] = None,
    delta: Annotated[
        str | None, typer.Option(help="[default: 1e-5, or 1/(10 units) if smaller]")
    ] = None,
    dp: Annotated[str, typer.Option(help="gaussian | laplace | moments")] = "gaussian",
    dp_where: Annotated[
        str | None, typer.Option(help="Who adds it: server | client [default: server]")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="client | window [default: client]")] = None,
    clip: Annotated[str | None, typer.Option(help="Largest norm [default: 1.0]")] = None,
    rounds: Annotated[
        str | None, typer.Option(help="[default: 40; 5 where --release is not full]")
    ] = None,
    clients: Annotated[str | None, typer.Option(help="[default: 20]")] = None,
    fraction: Annotated[
        str | None, typer.Option(help="Share of clients in a round [default: 1.0]")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="fixed | bernoulli: only bernoulli can amplify [default: fixed]"),
    ] = None,
    windows: Annotated[
        str | None, typer.Option(help="Windows of one client, for --unit window.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Windows in a step [default: 64, or all if fewer]")
    ] = None,
    local_epochs: Annotated[
        str | None, typer.Option(help="Passes over a client's data [default: 1]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Network [default: stress_identity_cnn]")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Public weights: none | synthetic | stress-predict | FILE")
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="full | head | adapter | N numbers [default: full]")
    ] = None,
    people: Annotated[
        str | None, typer.Option(help="People its identity head knows [default: clients]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No table, no progress.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour.")] = False,
) -> None:
    """Noise needed for a total eps, or eps for a noise. No data, no training.

    The table shows what other budgets, rounds and places of the noise would take.
    """
    from fedaffect import require
    from fedaffect.config_sources import resolve
    from fedaffect.errors import UsageError

    if (eps is None) is (noise is None):
        raise UsageError(
            "E220",
            "dp plan needs a budget or a noise" if eps is None else "--eps and --noise are given",
            do="give --eps 5, or --noise 5.6" if eps is None else "give one of the two",
        )
    flags = {
        "eps": eps,
        "delta": delta,
        "dp": dp,
        "dp_where": dp_where,
        "unit": unit,
        "clip": clip,
        "rounds": rounds,
        "clients": clients,
        "fraction": fraction,
        "sampler": sampler,
        "batch_size": batch_size,
        "local_epochs": local_epochs,
        "model": model,
        "backbone": backbone,
        "release": release,
    }
    multiplier = None if noise is None else require.number("--noise", noise, above=0)
    config, _ = resolve(flags, [] if multiplier is None else [f"dp.z={multiplier!r}"])
    from fedaffect.release_choice import with_release

    config = with_release(config)[1]
    from fedaffect.cli.dp_setting import advised, setting_of
    from fedaffect.privacy.planning import plan_noise

    asked = setting_of(config, windows, people)

    ready = plan_noise(
        asked,
        eps=config.dp.eps if multiplier is None else None,
        multiplier=multiplier,
        table=not quiet,
        tell=_Progress(quiet),
    )
    better, advice = advised(ready, config, people)
    if as_json:
        document = _document(ready, config)
        document["instead"] = better.model_dump() if better else None
        typer.echo(json.dumps(document, indent=1, allow_nan=False))
        return
    _show(ready, advice, no_color)


class _Progress:
    """Says on stderr how far the table is, where it takes more than two seconds."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.last = quiet, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if not self.quiet and time.monotonic() - self.last > PATIENCE_S:
            typer.echo(f"  ... {done} of {total} cells of the table", err=True)
            self.last = time.monotonic()


def _document(ready: NoisePlan, config: RunConfig) -> dict[str, Any]:
    """Return the plan as JSON values; every eps stands in an object that says what it covers."""
    values = asdict(ready)
    values["setting"] |= {
        "mechanism": config.dp.mechanism,
        "model": config.model.name,
        "parameters": ready.setting.parameters,
        "clients_per_round": ready.setting.clients_per_round,
    }
    values["noise_on_average"] = [
        {"clients": n, "sd_over_clip": sd} for n, sd in ready.noise_on_average.items()
    ]
    return {"schema_version": 1, **values}


def _show(ready: NoisePlan, advice: str, no_color: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from fedaffect.cli.dp_text import lines

    console = Console(no_color=no_color or None, highlight=False, soft_wrap=True)
    for line, style in lines(ready, advice):
        console.print(Text(line, style=style))
