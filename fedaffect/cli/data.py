"""``fedaffect data``: which data sets there are, whether a copy is sound, samples to try."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedaffect import registry
from fedaffect.cli.plain import PlainCommand
from fedaffect.errors import StorageError, UsageError

if TYPE_CHECKING:
    from fedaffect.data.schema import Dataset, Finding

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Known data sets, checks of a local copy, simulated samples.",
)

Name = Annotated[str, typer.Argument()]
Root = Annotated[
    Path | None, typer.Option("--data-root", help="Folder with the files of the data set.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Modality = Annotated[
    str | None,
    typer.Option(help="wrist, chest or both, as far as the data set has them."),
]
_EXIT_DATA = 3
_MODALITIES = ("wrist", "chest", "both")
_MARKS = {"ok": "ok     ", "warning": "warning", "error": "error  "}


@app.command("list", cls=PlainCommand)
def list_datasets(as_json: Json = False) -> None:
    """List the known data sets, and under which terms they come."""
    rows = [
        {"name": name, **dataclasses.asdict(registry.resolve("data", name).info)}
        for name in sorted(registry.DATASETS)
    ]
    if as_json:
        _echo_json({"schema_version": 1, "datasets": rows})
        return
    typer.echo(f"{'NAME':<16}{'PEOPLE':<26}{'NEEDS':<14}LICENCE")
    for row in rows:
        needs = "--data-root" if row["needs_root"] else "nothing"
        typer.echo(f"{row['name']:<16}{row['people']:<26}{needs:<14}{row['licence']}")
        typer.echo(f"{'':<16}{row['title']}; {row['signals']}")


@app.command(cls=PlainCommand)
def check(
    name: Name, data_root: Root = None, modality: Modality = None, as_json: Json = False
) -> None:
    """Check a whole copy: files, labels, rates, values and copies.

    NAME is a data set of fedaffect data list. Exits with 3 when there is an error.
    """
    from fedaffect.data.check import check_dataset

    findings = check_dataset(name, _dataset(name, modality), data_root)
    errors = [finding for finding in findings if finding.level == "error"]
    warnings = [finding for finding in findings if finding.level == "warning"]
    if as_json:
        _echo_json(
            {
                "schema_version": 1,
                "dataset": name,
                "ok": not errors,
                "findings": [dataclasses.asdict(finding) for finding in findings],
            }
        )
    else:
        for finding in findings:
            _echo_finding(finding)
        typer.echo(f"\n{name}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    if errors:
        raise typer.Exit(_EXIT_DATA)


@app.command(cls=PlainCommand)
def make(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder to write to: absent or empty.")],
    seed: Annotated[int, typer.Option(min=0, help="Which simulated people.")] = 0,
    modality: Modality = None,
) -> None:
    """Write simulated people to a folder, in the official layout of NAME.

    NAME is a data set of fedaffect data list.
    """
    dataset = _dataset(name, None)
    takes_modality = "modality" in inspect.signature(dataset.write_sample).parameters
    _check_modality(name, modality, ("wrist", "both") if takes_modality else ("wrist",))
    options: dict[str, Any] = {"modality": modality} if modality and takes_modality else {}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError("E801", f"{out} is not an empty folder", do="give a new --out folder")
    try:
        dataset.write_sample(out, seed=seed, **options)
    except OSError as error:
        raise StorageError(
            "E801", f"cannot write {out}: {error.strerror}", do="give another --out folder"
        ) from error
    files = [path for path in out.rglob("*") if path.is_file()]
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    typer.echo(f"wrote {len(files)} files, {size_mb:.1f} MB, to {out} (simulated people)")
    reader = name if registry.resolve("data", name).info.needs_root else "e4"
    chosen = f" --modality {modality}" if options else ""
    typer.echo(f"next: fedaffect data check {reader} --data-root {out}{chosen}")


def _dataset(name: str, modality: str | None) -> Dataset:
    """Return the loader called ``name`` for ``modality``.

    Raises:
        UsageError: E210 no such data set; E227 it does not have this modality.
    """
    loader = registry.resolve("data", name)
    known = {field.name for field in dataclasses.fields(loader)}
    allowed = _MODALITIES if "modality" in known else ("wrist",)
    _check_modality(name, modality, allowed)
    dataset: Dataset = loader(modality=modality) if modality and len(allowed) > 1 else loader()
    return dataset


def _check_modality(name: str, modality: str | None, allowed: tuple[str, ...]) -> None:
    if modality is not None and modality not in allowed:
        raise UsageError(
            "E227",
            f"--modality {modality} is not offered by {name}",
            do=f"allowed: {', '.join(allowed)}",
        )


def _echo_finding(finding: Finding) -> None:
    code = finding.details.get("code", "")
    tag = f" {code}" if finding.level != "ok" else ""
    typer.echo(f"{_MARKS[finding.level]}{tag}  {finding.what}")
    if do := finding.details.get("do"):
        typer.echo(f"           do: {do}")


def _echo_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def _count(items: list[Any], word: str) -> str:
    return f"{len(items)} {word}{'' if len(items) == 1 else 's'}"


@app.command(cls=PlainCommand)
def partition(
    name: Name,
    data_root: Root = None,
    clients: Annotated[str | None, typer.Option(help="Clients, as in simulate.")] = None,
    partition: Annotated[
        str | None, typer.Option(help="subject | iid | dirichlet | shards | quantity")
    ] = None,
    alpha: Annotated[str | None, typer.Option(help="Dirichlet concentration.")] = None,
    seed: Annotated[str | None, typer.Option(help="Training seed.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("-o", help="Any other value, such as -o data.eval=blocks.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the heat map into FILE.svg.")] = None,
    as_json: Json = False,
) -> None:
    """Show who gets what: clients by person and by stress label.

    NAME is a data set of fedaffect data list.
    """
    from fedaffect.atomic_file import write_text_atomic
    from fedaffect.build import build
    from fedaffect.config_sources import resolve
    from fedaffect.reports.figures import partition_heatmap
    from fedaffect.summary import partition_summary

    flags = {
        "data": name,
        "data_root": data_root,
        "clients": clients,
        "partition": partition,
        "alpha": alpha,
        "seed": seed,
    }
    config, _ = resolve(flags, overrides or [])
    dealt = partition_summary(build(config, lambda text: typer.echo(f"... {text}", err=True)))
    if plot is not None:
        write_text_atomic(plot, partition_heatmap(dealt).svg)
    if as_json:
        _echo_json(dealt.model_dump(mode="json"))
        return
    typer.echo(
        f"{name}, partition {dealt.name}: people per client up to {dealt.subjects_per_client_max}, "
        f"clients per person up to {dealt.clients_per_subject_max}"
    )
    typer.echo(f"{'client':<12}{'windows':>8}{'people':>8}{'no stress':>11}{'stress':>8}")
    for client, row, (rest, stress) in zip(
        dealt.clients, dealt.by_subject, dealt.by_stress, strict=True
    ):
        people = sum(count > 0 for count in row)
        typer.echo(f"{client:<12}{rest + stress:>8}{people:>8}{rest:>11}{stress:>8}")
    if plot is not None:
        typer.echo(f"heat map: {plot}")
