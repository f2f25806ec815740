"""``fedaffect dp``: what a budget means, before anything is trained."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedaffect.cli.plain import PlainCommand

if TYPE_CHECKING:
    from fedaffect.config import RunConfig
    from fedaffect.privacy.base import Method, Noise
    from fedaffect.privacy.planning import NoisePlan, Setting

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="What a privacy budget means, before anything is trained.",
)

COUNTED: dict[str, tuple[Noise, Method]] = {  # kind of noise, and how it is accounted
    "gaussian": ("gaussian", "tight"),
    "laplace": ("laplace", "tight"),
    "moments": ("gaussian", "rdp"),
}
DEFAULT_CLIENTS = 20
PATIENCE_S = 2.0  # silence that needs no explanation


@app.callback()
def group() -> None:
    """Keep ``plan`` a sub-command while it is the only one."""


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
        str | None, typer.Option(help="[default: 40; 3 where --release is not full]")
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
    asked = _setting(config, windows, people)
    from fedaffect.privacy.planning import plan_noise

    ready = plan_noise(
        asked,
        eps=config.dp.eps if multiplier is None else None,
        multiplier=multiplier,
        table=not quiet,
        tell=_Progress(quiet),
    )
    if as_json:
        typer.echo(json.dumps(_document(ready, config), indent=1, allow_nan=False))
        return
    _show(ready, no_color)


class _Progress:
    """Says on stderr how far the table is, where it takes more than two seconds."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.last = quiet, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if not self.quiet and time.monotonic() - self.last > PATIENCE_S:
            typer.echo(f"  ... {done} of {total} cells of the table", err=True)
            self.last = time.monotonic()


def _setting(config: RunConfig, windows: str | None, people: str | None) -> Setting:
    """Return what is planned.

    Raises:
        UsageError: E200 --windows is missing; E224 delta is not below 1 / units; E232 options that
            do not go together; E236 too few windows.
    """
    from fedaffect import require
    from fedaffect.errors import UsageError
    from fedaffect.privacy.base import ReleasePlan
    from fedaffect.privacy.budget import budget_of
    from fedaffect.privacy.planning import Setting
    from fedaffect.privacy.spec import PrivacySpec

    dp, f = config.dp, config.federation
    clients = f.clients or DEFAULT_CLIENTS
    identities = require.integer("--people", people or clients, at_least=1)
    local: dict[str, Any] = {}
    units = clients
    if isinstance(dp.clip, str):
        raise UsageError("E232", "dp plan takes a clip norm that stays", do="give --clip 1.0")
    if dp.unit == "window":
        local = _local_steps(config, windows)
        units = clients * local.pop("windows")
    elif windows is not None:
        raise UsageError("E232", "--windows goes with --unit window", do="drop it, or add that")
    noise, method = COUNTED[dp.mechanism]
    poisson = f.sampler == "bernoulli" and f.fraction < 1
    spec = PrivacySpec(dp.mechanism, dp.eps, dp.delta, z=dp.z, unit=dp.unit)
    release = ReleasePlan(config.rounds, clients, 1.0, "full", units, 1, 1)
    return Setting(
        noise=noise,
        method=method,
        where="client" if dp.unit == "window" or dp.where == "client" else "server",
        unit=dp.unit,
        delta=budget_of(spec, release).delta,
        rounds=config.rounds,
        clients=clients,
        fraction=f.fraction,
        poisson=poisson,
        clip=dp.clip,
        blocks=_blocks(config, identities),
        **local,
    )


def _local_steps(config: RunConfig, windows: str | None) -> dict[str, Any]:
    """Return the local steps of unit ``window``."""
    from fedaffect import require
    from fedaffect.errors import UsageError
    from fedaffect.privacy.mechanisms.window_noise import local_steps, sampling_rate

    f = config.federation
    if config.dp.mechanism == "laplace":
        raise UsageError("E232", "--unit window does not go with --dp laplace", do="--dp gaussian")
    if config.dp.where == "server":
        raise UsageError(
            "E232",
            "--unit window draws its noise in the local steps of the clients",
            do="drop --dp-where server",
        )
    if windows is None:
        raise UsageError(
            "E200",
            "--unit window needs the number of windows of one client",
            do="add --windows, such as --windows 300; of several clients the smallest",
        )
    n = require.integer("--windows", windows, at_least=1)
    batch_size = f.batch_size or min(config.batch_size, n)
    if n < batch_size:
        raise UsageError(
            "E236",
            f"--windows {n} is fewer than --batch-size {batch_size}: no rate of at most 1 "
            "draws such a batch",
            do=f"--batch-size {n}",
        )
    return {
        "windows": n,
        "local_rate": sampling_rate(n, batch_size),
        "local_steps": local_steps(n, batch_size, config.local_epochs),
        "batch_size": batch_size,
    }


def _blocks(config: RunConfig, identities: int) -> dict[str, int]:
    """Return the sizes of the released blocks, without loading a network where they are known."""
    from fedaffect.privacy.block_sizes import cached_block_sizes

    model = config.model
    tasks = model.tasks or ()

    def make() -> dict[str, int]:
        from fedaffect.outline import network_of
        from fedaffect.privacy.blocks import block_plan
        from fedaffect.privacy.spec import PrivacySpec
        from fedaffect.release_choice import policies, with_release

        start, _ = with_release(config)
        factory = network_of(config, start, identities)
        withheld = policies(model.release or "full", factory.build())
        plan = block_plan(PrivacySpec("none", policies=withheld), factory.layout, noise=False)
        sizes = plan.layout.block_sizes
        return {block: sizes[block] for block in plan.named("clear")}

    key: dict[str, str | int] = {
        "model": str(model.name),
        "tasks": ",".join(tasks),
        "people": identities,
        "modality": "wrist",
        "backbone": str(model.backbone_sha256),
        "release": str(model.release),
    }
    return cached_block_sizes(key, make)


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


def _show(ready: NoisePlan, no_color: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from fedaffect.cli.dp_text import lines

    console = Console(no_color=no_color or None, highlight=False, soft_wrap=True)
    for line, style in lines(ready):
        console.print(Text(line, style=style))
