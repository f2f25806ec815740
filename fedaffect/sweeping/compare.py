"""``compare(runs)``: what differs between finished runs, in settings, figures and privacy."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fedaffect.comparison_record import (
    ComparedFigure,
    ComparedRun,
    Comparison,
    Difference,
    SideBySide,
)
from fedaffect.errors import UsageError
from fedaffect.record import Estimate, Figures, PersonFigures, RunRecord
from fedaffect.reports.json_file import load_record
from fedaffect.sweeping import sweep_folder
from fedaffect.sweeping.differences import paired, unpaired, untold
from fedaffect.sweeping.sweep import run_of
from fedaffect.sweeping.tradeoff import privacy_of

OTHER_DATA = "the runs are on different data: their figures have no common people"
NO_ANSWERS = "a report keeps no answers of attackers by person"
PAIRED = (
    "A paired difference is the mean over people of each person's own difference, so it need not "
    "be the difference of the two figures, which count windows."
)
MANY = (
    "Of many intervals at 95 % one in twenty misses: a single difference among many proves little."
)
FEW = "With few tested people every interval is unreliable."
SPLITS = "The runs are tested on other windows (data.eval differs): part of a difference is theirs."
MANY_FROM, FEW_BELOW = 10, 10
Person = Callable[[PersonFigures], float | None]
FIGURES: tuple[tuple[str, Callable[[Figures], Estimate], Person | None], ...] = (
    (
        "stress balanced accuracy",
        lambda f: f.stress_balanced_accuracy,
        lambda p: p.stress_balanced_accuracy,
    ),
    ("stress accuracy", lambda f: f.stress_accuracy, lambda p: p.stress_accuracy),
    ("identity, strongest fresh attacker", lambda f: f.identity_strongest, None),
    (
        "identity, own head (not a privacy metric)",
        lambda f: f.identity_own_head,
        lambda p: p.identity_own_head,
    ),
)


def compare(runs: Sequence[Path]) -> Comparison:
    """Compare finished runs with the first of them.

    Args:
        runs: Folders of runs; the folder of a sweep stands for its cells that have a result.

    Raises:
        StorageError: E820, E821, E822 a run cannot be read; E831 a sweep cannot.
        UsageError: E267 fewer than two runs, or the same run twice.
    """
    folders = [folder for run in runs for folder in _runs_in(run)]
    records = [load_record(folder) for folder in folders]
    ids = [record.provenance.run_id for record in records]
    for at, run_id in enumerate(ids):
        if run_id in ids[:at]:
            raise UsageError(
                "E267",
                f"{folders[at]} is the same run as {folders[ids.index(run_id)]}",
                do="name a run once",
            )
    if len(records) < 2:
        raise UsageError(
            "E267",
            f"{len(records)} finished run(s): there is nothing to compare",
            do="give the folders of two runs, or of a sweep",
        )
    labels = [_label(at) for at in range(len(records))]
    figures = tuple(_figure(labels, records, *figure) for figure in FIGURES)
    return Comparison(
        runs=tuple(
            _run(label, folder, record)
            for label, folder, record in zip(labels, folders, records, strict=True)
        ),
        settings=_settings(records),
        figures=figures,
        privacy=_privacy(records),
        notes=tuple(_notes(records, figures)),
    )


def _runs_in(folder: Path) -> list[Path]:
    if not sweep_folder.is_sweep(folder):
        return [folder]
    record = sweep_folder.load(folder)
    return [run_of(folder, cell) for cell in record.cells if cell.figures is not None]


def _label(at: int) -> str:
    """Return A, B, ... Z, AA, AB, ..."""
    letters = string.ascii_uppercase
    high, low = divmod(at, len(letters))
    return (_label(high - 1) if high else "") + letters[low]


def _run(label: str, folder: Path, record: RunRecord) -> ComparedRun:
    return ComparedRun(
        label=label,
        run_id=record.provenance.run_id,
        folder=str(folder),
        data=record.data.name,
        fingerprint=record.data.fingerprint,
        synthetic=record.data.synthetic,
        stopped=record.privacy["stopped"] is not None,
    )


def _settings(records: Sequence[RunRecord]) -> tuple[SideBySide, ...]:
    """Return the keys whose values differ; a key that a run does not know has none there."""
    flat = [_flat(record.provenance.config) for record in records]
    keys = sorted({key for table in flat for key in table})
    return _differing((key, [table.get(key) for table in flat]) for key in keys)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, table in config.items()
        if isinstance(table, dict)
        for key, value in table.items()
    }


def _privacy(records: Sequence[RunRecord]) -> tuple[SideBySide, ...]:
    """Return status and eps, and whatever else of the promises differs."""
    short = [privacy_of(record).model_dump() for record in records]
    always = ("status", "eps", "delta", "unit")
    return tuple(
        SideBySide(name=name, values=values)
        for name in short[0]
        if (values := tuple(p[name] for p in short)) and (name in always or len({*values}) > 1)
    )


def _differing(rows: Any) -> tuple[SideBySide, ...]:
    return tuple(
        SideBySide(name=name, values=tuple(values))
        for name, values in rows
        if any(value != values[0] for value in values)
    )


def _figure(
    labels: Sequence[str],
    records: Sequence[RunRecord],
    name: str,
    get: Callable[[Figures], Estimate],
    of: Person | None,
) -> ComparedFigure:
    first, *others = zip(labels, records, strict=True)
    return ComparedFigure(
        name=name,
        figures=tuple(get(record.figures) for record in records),
        differences=tuple(_difference(first[1], *other, get, of) for other in others),
    )


def _difference(
    baseline: RunRecord,
    label: str,
    other: RunRecord,
    get: Callable[[Figures], Estimate],
    of: Person | None,
) -> Difference:
    if baseline.data.fingerprint != other.data.fingerprint:
        return untold(label, OTHER_DATA)
    before, now = get(baseline.figures), get(other.figures)
    if before.value is None or now.value is None:
        return untold(label, "one of the figures is undefined")
    if of is None:
        return unpaired(label, before, now, NO_ANSWERS)
    a, b = _by_person(baseline, of), _by_person(other, of)
    if not a or a.keys() != b.keys():
        both = len(a.keys() & b.keys())
        reason = f"other people were tested: {len(a)} and {len(b)}, {both} of them in both"
        return unpaired(label, before, now, reason)
    return paired(label, a, b)


def _by_person(record: RunRecord, of: Person) -> dict[str, float]:
    return {p.person: v for p in record.figures.per_person if (v := of(p)) is not None}


def _notes(records: Sequence[RunRecord], figures: Sequence[ComparedFigure]) -> list[str]:
    differences = [d for figure in figures for d in figure.differences]
    people = [d.n_people for d in differences if d.how == "paired"]
    notes = [PAIRED] if people else []
    if any(d.reason == OTHER_DATA for d in differences):
        notes.append(f"No differences of figures: {OTHER_DATA}.")
    elif len({record.data.split.spec for record in records}) > 1:
        notes.append(SPLITS)
    if people and min(people) < FEW_BELOW:
        notes.append(FEW)
    return [*notes, *([MANY] if len(differences) >= MANY_FROM else [])]
