"""The folder of a study: what was asked for, a file a finished cell, then the result."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fedaffect import run_folder
from fedaffect.atomic_file import write_json_atomic, write_text_atomic
from fedaffect.errors import StorageError
from fedaffect.reproduce.study import Options
from fedaffect.reproduce.task import CELLS_NAME
from fedaffect.study_record import StudyRecord

ASKED_NAME = "asked.json"
RESULT_NAME = "study.json"
PAGE_NAME = "study.html"
FIGURES_NAME = "figures"
LARGEST_BYTES = 16 * 2**20

Kept = TypeVar("Kept", bound=BaseModel)


def begin(study: str, options: Options, out: Path | None) -> Path:
    """Create the folder of a study and write down what is asked for; return it.

    Args:
        study: Registered name.
        options: What is asked for.
        out: The folder that the user named, or ``None`` for ``studies/<study>-<name>``.

    Raises:
        StorageError: E801 it exists and is not empty; E802, E803 it cannot be written.
    """
    name = f"{study}-{run_folder.new_run_id()}"
    folder = run_folder.prepare(out if out is not None else Path("studies") / name, name)
    (folder / CELLS_NAME).mkdir(mode=0o700)
    write_json_atomic(folder / ASKED_NAME, {"study": study, "options": _plain(options)})
    return folder


def asked(folder: Path, study: str, options: Options | None) -> Options:
    """Return what the study in ``folder`` was asked for.

    Args:
        folder: The folder of an interrupted study.
        study: Name of the study that is to go on.
        options: What is asked for now; ``None`` where nothing was said.

    Raises:
        StorageError: E840 there is no study to go on with; E841 it is another one.
    """
    path = folder / ASKED_NAME
    try:
        values = json.loads(_read(path))
        begun, plain = str(values["study"]), dict(values["options"])
        root = plain.pop("root")
        known = Options(root=None if root is None else Path(root), **plain)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "E840",
            f"{folder} holds no study to go on with ({type(error).__name__})",
            do="give the folder that fedaffect reproduce began",
        ) from None
    if begun != study or (options is not None and _plain(options) != _plain(known)):
        what = f"of {begun}" if begun != study else "with other settings"
        raise StorageError(
            "E841",
            f"the study in {folder} was begun {what}",
            do=f"fedaffect reproduce {begun} --resume {folder}, without other options",
        )
    return known


def kept(folder: Path, name: str, kind: type[Kept]) -> Kept | None:
    """Return a finished result of the study; a damaged or missing file is none.

    Args:
        folder: The folder of the study.
        name: Name of the result, with the digest of what decides it.
        kind: Class of the result.
    """
    try:
        return kind.model_validate_json(_read(folder / CELLS_NAME / f"{name}.json"))
    except (OSError, ValidationError, ValueError):
        return None


def keep(folder: Path, name: str, result: BaseModel) -> None:
    """Write a finished result.

    Raises:
        StorageError: E803 the disk refuses.
    """
    write_text_atomic(folder / CELLS_NAME / f"{name}.json", result.model_dump_json())


def write_result(folder: Path, record: StudyRecord) -> None:
    """Write ``study.json``, ``study.html`` and a CSV file a figure and table.

    Raises:
        StorageError: E803 the disk refuses.
    """
    from fedaffect.reports.study_page import csv_files, render_study

    write_json_atomic(folder / RESULT_NAME, record.model_dump(mode="json"))
    (folder / FIGURES_NAME).mkdir(mode=0o700, exist_ok=True)
    for name, text in csv_files(record).items():
        write_text_atomic(folder / FIGURES_NAME / f"{name}.csv", text)
    write_text_atomic(folder / PAGE_NAME, render_study(record))


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"{path} is larger than {LARGEST_BYTES} bytes")
    return content


def _plain(options: Options) -> dict[str, Any]:
    root = None if options.root is None else str(options.root.resolve())
    return {**asdict(options), "root": root}
