"""``fedaffect pretrain``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fedaffect.config import RunConfig
    from fedaffect.pretraining.measure import Measured
    from fedaffect.pretraining.pretrain import Pretrained
    from fedaffect.pretraining.settings import Settings

HELP = """Train a public backbone for --backbone FILE.

The people who make it are public: nothing protects them from here on. The figures are measured on
a quarter of them, who are left out of the measured training.

\b
Examples:
  fedaffect pretrain --data synthetic --out mine.safetensors
  fedaffect pretrain --data stress_predict --data-root DIR --people even --out half.safetensors
"""
EVERY_S = 5.0  # between two lines of progress


def pretrain(
    out: Annotated[Path, typer.Option(metavar="FILE", help="New file to write.")],
    data: Annotated[
        str | None, typer.Option(help="Data set of the public people. [default: synthetic]")
    ] = None,
    data_root: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the data set on this disk.")
    ] = None,
    people: Annotated[
        str | None, typer.Option(help="Who is public: all | even | odd | IDS. [default: all]")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="wrist | chest | both. [default: wrist]")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Network. [default: compact_encoder]")] = None,
    width: Annotated[
        str | None, typer.Option(metavar="K", help="Numbers that describe a window.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="TERM=WEIGHT,...",
            help="Weighted sum of stress, emotion, contrastive, adversarial, consistency, "
            "reconstruction. [default: reconstruction=1,stress=1; for simulated people "
            "adversarial=4,reconstruction=10,stress=0.3]",
        ),
    ] = None,
    objective_public: Annotated[
        str | None,
        typer.Option(
            metavar="TERM=WEIGHT,...",
            help="The same for --normalise public. [default: --objective, else stress=1; "
            "consistency=8,stress=1 for simulated people]",
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            metavar="INT", help="Passes over the windows. [default: 20; 12 for simulated people]"
        ),
    ] = None,
    silence: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Windows in which a sensor falls silent in training, under --normalise subject. "
            "[default: 0; 0.6 for simulated people]",
        ),
    ] = None,
    seed: Annotated[str | None, typer.Option(metavar="INT", help="[default: 0]")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("-o", metavar="KEY=VALUE", help="A value of data or synthetic; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train, measure, write the file."""
    from fedaffect.cli.new_file import refuse_unless_new
    from fedaffect.config_sources import resolve
    from fedaffect.pretraining.people import public_table, with_population
    from fedaffect.pretraining.settings import usual

    refuse_unless_new(out)
    flags = {"data": data, "data_root": data_root, "people": people, "modality": modality}
    other = ("model", "federation", "dp", "defence", "audit")
    config, origins = resolve(flags, overrides or [], without=other)
    config = with_population(config, origins)
    usually = usual(simulated=config.data.name == "synthetic")
    given = {"model": model, "width": width, "epochs": epochs, "silence": silence, "seed": seed}
    terms = {"objective": objective, "objective_public": objective_public}
    settings = _settings(usually, given | terms)
    say: Callable[[str], None] = lambda text: typer.echo(f"  ... {text}", err=True)  # noqa: E731
    from fedaffect.models.backbone import save_backbone
    from fedaffect.pretraining.pretrain import pretrain as train
    from fedaffect.pretraining.train import refuse_width

    refuse_width(settings)
    table = public_table(config, say)
    made = train(
        table,
        settings,
        name=out.stem,
        modality=config.data.modality,
        command=_command(config, settings, usually, overrides or [], out),
        progress=_progress(say),
    )
    save_backbone(out, made.card, made.weights)
    if as_json:
        typer.echo(json.dumps(_document(made, out), indent=2, allow_nan=False))
        return
    for line in _lines(made, out):
        typer.echo(line)


def _settings(usual: Settings, given: Mapping[str, str | None]) -> Settings:
    """Return ``usual`` with what the flags say."""
    from dataclasses import replace

    from fedaffect import registry, require
    from fedaffect.pretraining.objective import read_objective

    def whole(name: str, **bounds: int) -> dict[str, int]:
        text = given[name]
        return {} if text is None else {name: require.integer(f"--{name}", text, **bounds)}

    changes: dict[str, Any] = {
        **whole("width", at_least=1, at_most=1024),
        **whole("epochs", at_least=1),
        **whole("seed", at_least=0, at_most=2**63 - 1),
    }
    if given["model"] is not None:
        changes["model"] = registry.check_name("model", given["model"])
    if given["silence"] is not None:
        silence = require.number("--silence", given["silence"], at_least=0, below=1)
        changes["silence"] = silence
    of = {"subject": given["objective"], "public": given["objective_public"] or given["objective"]}
    read = {scaling: read_objective(text) for scaling, text in of.items() if text is not None}
    return replace(usual, objective={**usual.objective, **read}, **changes)


def _command(
    config: RunConfig, settings: Settings, usual: Settings, overrides: list[str], out: Path
) -> str:
    """Return the command that builds the same file, without folders of this machine."""
    data = config.data
    words = ["fedaffect pretrain", f"--data {data.name}"]
    words += ["--data-root DIR"] if data.root is not None else []
    words += [f"--people {','.join(data.people)}"] if data.people != ("all",) else []
    words += [f"--modality {data.modality}"] if data.modality != "wrist" else []
    words += [
        f"--{name} {getattr(settings, name)}"
        for name in ("model", "width", "epochs", "silence", "seed")
        if getattr(settings, name) != getattr(usual, name)
    ]
    words += [
        f"--{option} {_terms(settings.objective[scaling])}"
        for option, scaling in (("objective", "subject"), ("objective-public", "public"))
        if settings.objective != usual.objective
    ]
    return " ".join([*words, *(f"-o {text}" for text in overrides), f"--out {out.name}"])


def _terms(weights: Mapping[str, float]) -> str:
    return ",".join(f"{name}={weight:g}" for name, weight in weights.items())


def _progress(say: Callable[[str], None]) -> Callable[[int, int, str], None]:
    """Return what says, every few seconds, how far it is and how long it will take."""
    began = last = time.monotonic()

    def progress(done: int, total: int, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_S:
            last = now
            left_s = (now - began) / done * (total - done)
            say(f"{text}: {100 * done // total} % of all, about {left_s:.0f} s left")

    return progress


def _document(made: Pretrained, out: Path) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    reasons = {s: m.not_run for s, m in made.measured.items() if m.not_run}
    card = made.card.model_dump(mode="json")
    return {"schema_version": 1, "file": str(out), "card": card, "identity_not_run": reasons}


def _lines(made: Pretrained, out: Path) -> list[str]:
    """Return the result in words."""
    card = made.card
    people = card.public_data[0]
    lines = [
        f"public    {card.whose}, {people.windows:,} windows: nothing protects these people",
        f"          licence: {people.licence}",
        f"objective {', '.join(f'{name} {w:g}' for name, w in card.objective.items())}",
        "measured  on people left out of the training; 95 % intervals over people",
    ]
    for scaling, figures in made.measured.items():
        lines += [f"          {scaling:8} {line}" for line in _figures(figures)]
    size = out.stat().st_size / 1000
    lines.append(f"wrote     {out} ({size:.0f} kB)")
    lines.append(f"next      fedaffect simulate --backbone {out} --dp gaussian --eps 2")
    return lines


def _figures(figures: Measured) -> list[str]:
    people = f"{len(figures.people)} people"
    stress = "n/a (one class)"
    if s := figures.stress:
        stress = f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]"
    identity = f"not run: {figures.not_run}"
    if figures.identity is not None:
        a = figures.identity.accuracy
        identity = (
            f"{a.value:.3f} [{a.low:.3f}, {a.high:.3f}], chance {figures.identity.chance:.3f} "
            f"({figures.identity.name})"
        )
    return [
        f"stress, balanced accuracy on {people}: {stress}, chance 0.500",
        f"strongest fresh attacker on the embedding: {identity}",
    ]
