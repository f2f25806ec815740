"""``reproduce(name, options)``: train the cells that are missing, then write the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fedaffect import registry
from fedaffect.build import window_table
from fedaffect.data.schema import WindowTable
from fedaffect.errors import FedaffectError, UsageError
from fedaffect.outline import outline
from fedaffect.reproduce import study_folder
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.seeds import over_seeds
from fedaffect.reproduce.setting import Setting, best, candidate, validation_loss
from fedaffect.reproduce.study import Options, Search, Study
from fedaffect.reproduce.task import Task
from fedaffect.run_lock import RunLock
from fedaffect.study_record import Candidate, StudyRecord, TrialRecord
from fedaffect.summary import environment
from fedaffect.sweeping.workers import carry_out
from fedaffect.version import __version__

OnBegin = Callable[[Path, int], None]
OnStep = Callable[[str, int, int, float], None]  # what ended, how many, of how many, its seconds


def silent(what: str, done: int, total: int, seconds: float) -> None:
    """Ignore progress."""


def unheard(folder: Path, cells: int) -> None:
    """Ignore where the study goes."""


class Loss(BaseModel):
    """Loss of one training setting on windows kept from training; ``None``: diverged."""

    loss: float | None
    seconds: float


def study_of(name: str) -> Study:
    """Return the study registered as ``name``.

    Raises:
        UsageError: E210 there is none.
    """
    study: Study = registry.resolve("study", name)()
    return study


def planned_cells(study: Study, options: Options) -> tuple[Cell, ...]:
    """Return every cell with every seed, in the paper's setting.

    Raises:
        UsageError: E270 too few people.
        DataError: the data root is missing or incomplete.
    """
    people = len(outline(study.config(options)).subjects)
    if people < 2:
        raise UsageError(
            "E270",
            f"{study.name} needs at least two people, {options.data} has {people}",
            do="give a data set of several people",
        )
    return tuple(_seeded(study.cells(options, people, {}), options.seeds))


def reproduce(
    name: str,
    options: Options | None = None,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    jobs: int = 1,
    on_begin: OnBegin = unheard,
    on_step: OnStep = silent,
) -> tuple[StudyRecord, Path]:
    """Carry out a study and write ``study.json``, ``study.html`` and CSV files.

    Args:
        name: Registered name of the study.
        options: What is asked for; ``None``: the defaults, or those of the study that goes on.
        out: New folder of the study; by default ``studies/<study>-<name>``.
        resume: Folder of an interrupted study: finished cells are kept.
        jobs: Cells at a time, a process each; the results do not depend on it.
        on_begin: Told of the folder and of the number of cells, before anything is trained.
        on_step: Told of every training that has ended.

    Returns:
        The record of the study, and its folder.

    Raises:
        FedaffectError: the options, the data, a budget or the disk gives cause.
    """
    study = study_of(name)
    if resume is not None:
        options = study_folder.asked(resume, name, options)
    options = options or Options()
    cells = planned_cells(study, options)
    folder = resume if resume is not None else study_folder.begin(name, options, out)
    folder = folder.absolute()
    on_begin(folder, len(cells))
    started, clock = datetime.now(UTC), time.perf_counter()
    with RunLock(folder):
        table = window_table(outline(study.config(options)))  # once, before the workers read it
        study.prepare(options, folder)
        searches = study.searches(options)
        settings, compared = _settings(study, searches, folder, table.fingerprint, jobs, on_step)
        people = len(table.subjects)
        chosen = study.cells(options, people, settings)
        tasks = [
            Task(study.measure, cell, False, folder, cell.key(table.fingerprint))
            for cell in _seeded(chosen, options.seeds)
        ]
        results = _carried_out(tasks, TrialRecord, jobs, on_step)
        trials = over_seeds([results[task.file] for task in tasks])
        found = study.findings(options, {t.name: t for t in trials})
        whole = study.cells(replace(options, quick=False), people, {})
        record = StudyRecord(
            study=name,
            title=study.title,
            citation=study.citation,
            version=__version__,
            started=started.isoformat(timespec="seconds"),
            seconds=time.perf_counter() - clock,
            seeds=options.seeds,
            quick=options.quick,
            as_printed=options.as_printed,
            cells_done=len(chosen),
            cells_planned=len(whole),
            data=_data(table),
            settings=compared,
            notes=found.notes,
            figures=found.figures,
            tables=found.tables,
            verdicts=found.verdicts,
            trials=trials,
            environment=environment(),
        )
        study_folder.write_result(folder, record)
    return record, folder


def carry_out_task(task: Task) -> BaseModel:
    """Do ``task`` in this process, write its result and return it."""
    result: BaseModel
    if task.setting:
        clock = time.perf_counter()
        loss = validation_loss(task.cell)
        result = Loss(loss=loss, seconds=time.perf_counter() - clock)
    else:
        result = task.measure(task)
    study_folder.keep(task.folder, task.file, result)
    return result


def _settings(
    study: Study,
    searches: Sequence[Search],
    folder: Path,
    fingerprint: str,
    jobs: int,
    on_step: OnStep,
) -> tuple[dict[str, Setting], tuple[Candidate, ...]]:
    """Return the best setting for each purpose, and all that were compared."""
    tasks: dict[tuple[str, Setting], Task] = {}
    for search in searches:
        for number, setting in enumerate((*search.candidates, search.printed)):
            config = setting.of(search.cell.config)
            name = f"setting-{search.purpose}-{number}"
            cell = replace(search.cell, name=name, config=config)
            tasks[search.purpose, setting] = Task(
                study.measure, cell, True, folder, cell.key(fingerprint)
            )
    results = _carried_out(list(tasks.values()), Loss, jobs, on_step)
    losses = {at: results[task.file].loss for at, task in tasks.items()}
    chosen = {s.purpose: best({c: losses[s.purpose, c] for c in s.candidates}) for s in searches}
    compared = [
        candidate(
            setting,
            losses[s.purpose, setting],
            purpose=s.purpose,
            chosen=setting == chosen[s.purpose],
            printed=setting == s.printed,
        )
        for s in searches
        for setting in (*s.candidates, s.printed)
    ]
    return chosen, tuple(compared)


def _carried_out(tasks: Sequence[Task], kind: Any, jobs: int, on_step: OnStep) -> dict[str, Any]:
    """Return the result of every task by its file, those on disk first.

    Raises:
        FedaffectError: a task failed; what was finished before is on disk.
    """
    results: dict[str, Any] = {}
    for task in tasks:
        found = study_folder.kept(task.folder, task.file, kind)
        if found is not None:
            results[task.file] = found
    left = [task for task in tasks if task.file not in results]
    with closing(carry_out(carry_out_task, left, jobs)) as outcomes:
        for task, result in outcomes:
            if isinstance(result, FedaffectError):
                raise result
            results[task.file] = result
            on_step(task.cell.what, len(results), len(tasks), result.seconds)  # type: ignore[attr-defined]
    return results


def _seeded(cells: Sequence[Cell], seeds: int) -> Iterable[Cell]:
    """Yield every cell under every seed."""
    for cell in cells:
        for seed in range(seeds):
            name = cell.name if seed == 0 else f"{cell.name}@{seed}"
            yield replace(cell, name=name, config=cell.config.replace({"run.seed": seed}))


def _data(table: WindowTable) -> dict[str, Any]:
    return {
        "name": table.dataset,
        "synthetic": table.synthetic,
        "people": len(table.subjects),
        "windows": len(table),
        "stress_windows": int(table.stress.sum()),
        "window_s": table.window_s,
        "features": len(table.feature_names),
        "licence": table.licence,
        "citation": table.citation,
        "fingerprint": table.fingerprint,
    }
