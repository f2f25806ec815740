"""The figures of ``benchmarks/README.md``, made from ``benchmarks/results``: tables and targets.

Usage: ``python benchmarks/report.py`` writes them between the markers; with ``--check`` it ends
with 1 where the file says something else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from targets import Results, Target, targets

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
RESULTS = HERE / "results"
BEGIN, END = "<!-- figures: written by report.py -->", "<!-- end of figures -->"
TABLES = {
    "people": "Twenty people",
    "workers": "Two workers against one",
    "small": "A hundred clients",
    "thousand": "A thousand small clients",
    "ten_thousand": "Ten thousand clients",
    "ragged": "Clients of unequal sizes",
    "window_privacy": "Window-level privacy",
}
SWEEPS = ("clients", "samples", "parameters")
BUSY = 1.0  # load before a measurement from which on its wall times are not to be believed
COLUMNS = (
    "Engine",
    "Wall, s",
    "CPU, s",
    "x {floor}",
    "x {floor}, CPU",
    "x same workers",
    "Start, s",
    "First round, s",
    "Memory, MB",
    "Processes",
)


def results(folder: Path = RESULTS) -> dict[str, Any]:
    """Return what every part that was measured has left."""
    names = ("start_up", *TABLES, *(f"sweep_{name}" for name in SWEEPS))
    files = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def figures(found: Results) -> str:
    """Return the figures for the README."""
    parts = [
        _machines(found),
        "#### Targets",
        _targets(found),
        "#### Start to first finished round",
        _start_up(found),
    ]
    for name, title in TABLES.items():
        if name in found:
            parts += [f"#### {title}", *(_work(work) for work in found[name]["works"])]
    drawn = [name for name in SWEEPS if f"sweep_{name}" in found]
    if drawn:
        parts += ["#### Cost against clients, windows and parameters", *map(_plot, drawn)]
    return "\n\n".join(parts)


def markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(readme: Path = README) -> None:
    """Put the figures between the markers of ``readme``."""
    readme.write_text(between(readme.read_text(), figures(results())))


def between(text: str, said: str) -> str:
    """Return ``text`` with ``said`` between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} before {END}")
    return f"{head}{BEGIN}\n\n{said}\n\n{END}{tail}"


def _machines(found: Results) -> str:
    """Say where the figures come from; every machine once, with the parts measured on it."""
    parts: dict[str, list[str]] = {}
    for name, said in found.items():
        parts.setdefault(_machine(said["machine"]), []).append(name)
    if not parts:
        return "Nothing was measured yet."
    lines = list(parts)
    if len(parts) > 1:
        lines = [f"- {', '.join(f'`{n}`' for n in names)}: {m}" for m, names in parts.items()]
    return "\n".join(lines + _peers(found))


def _machine(machine: Mapping[str, Any]) -> str:
    packages = ("torch", "numpy", "flwr", "ray", "opacus")
    gpu = machine["gpu"]
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']:g} GB, "
        f"{machine['system']}, Python {machine['python']}, "
        f"{', '.join(f'{name} {machine[name]}' for name in packages)}. "
        + (f"These works ran on the CPU, not on its GPU ({gpu})" if gpu else "There was no GPU")
        + ": **the GPU was not measured**."
    )


def _peers(found: Results) -> list[str]:
    """Say once in which versions the peers ran."""
    told = {
        f"Peer `{peer}`: {', '.join(f'{name} {version}' for name, version in versions.items())}."
        for said in found.values()
        for peer, versions in said.get("peers", {}).items()
        if versions
    }
    return sorted(told)


def _targets(found: Results) -> str:
    rows = []
    for target in targets():
        figure = target.measured(found)
        told = "-" if figure is None else f"{figure:.3f}"
        where = _where(target)
        rows.append((where, target.says, target.what, target.asked, told, target.verdict(found)))
    return markdown(("Work", "Target", "Engines", "Asked", "Measured", ""), rows)


def _where(target: Target) -> str:
    return target.work or "20 people, data cached, no privacy"


def _start_up(found: Results) -> str:
    if "start_up" not in found:
        return "Not measured."
    said = found["start_up"]["start_up"]
    ways = {f"`--engine {engine}`": times for engine, times in said["engines"].items()}
    rows = [
        (name, f"{times['median_s']:.2f}", ", ".join(f"{s:.2f}" for s in times["runs_s"]))
        for name, times in (ways | said["floors"]).items()
    ]
    table = markdown(("", "Median, s", "Runs, s"), rows)
    return f"`{said['command']}`, {_load(said)}.\n\n{table}"


def _load(said: Mapping[str, Any]) -> str:
    load, stolen = said["load_before"], said.get("stolen")
    busy = ": **a busy machine, believe ratios of CPU seconds only**" if load >= BUSY else ""
    taken = f"; the host gave {stolen:.1%} of the CPUs' time to others" if stolen else ""
    return f"load before {load:g}{busy}{taken}"


def _work(work: Mapping[str, Any]) -> str:
    columns = tuple(column.format(floor=work["floor"]) for column in COLUMNS)
    head = (
        f"**{work['name']}**: {work['windows']:,} windows a round, {_medians(work)}; "
        f"{_load(work)}. {_same(work)}"
    )
    notes = [
        *(f"- `{name}` failed: {why}" for name, why in work["failed"].items()),
        *(f"- `{name}` is missing: {why}" for name, why in work["missing"].items()),
        *(f"- `{name}` was left out: {why}" for name, why in work["left_out"].items()),
    ]
    table = markdown(columns, [_row(row) for row in work["engines"]])
    return "\n\n".join([head, table, *(["\n".join(notes)] if notes else [])])


def _medians(work: Mapping[str, Any]) -> str:
    most = (work["rounds"] - 1) * work["repeats"]
    counts = {
        row["engine"]: sum(len(run) - 1 for run in row["rounds_wall_s"] if run)
        for row in work["engines"]
    }
    fewer = [f"`{engine}`: {count}" for engine, count in counts.items() if count < most]
    return f"medians of {most} rounds" + (f" ({', '.join(fewer)})" if fewer else "")


def _same(work: Mapping[str, Any]) -> str:
    if work["same_work"] is None:
        return (
            "Noise makes every engine end at another model, so that equality is not checked here."
        )
    apart = f"{work['largest_difference']:.1e}"
    if work["same_work"]:
        return f"Distances agree to {apart}: the same work."
    return f"**Distances differ by {apart}: not the same work, no figure counts.**"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    ratios = (row["wall_ratio"], row["cpu_ratio"], row["wall_ratio_same"])
    return (
        f"`{row['engine']}`",
        f"{row['wall_s']:.3g}",
        f"{row['cpu_s']:.3g}",
        *("-" if r is None else f"{r:.2f}" for r in ratios),
        f"{row['startup_s']:.1f}",
        f"{row['first_s']:.1f}",
        f"{row['memory_mb']:.0f}",
        str(row["processes"]),
    )


def _plot(name: str) -> str:
    return f"![Seconds per round against {name}](results/sweep_{name}.svg)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it would")
    given = parser.parse_args()
    if given.check:
        text = README.read_text()
        return int(text != between(text, figures(results())))
    write()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
