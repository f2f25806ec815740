"""The record of a run on disk, read with suspicion, and the page that is rendered from it."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from fedaffect.atomic_file import write_text_atomic
from fedaffect.errors import StorageError
from fedaffect.record import RECORD_VERSION, RunRecord

RECORD_NAME = "report.json"
PAGE_NAME = "report.html"
LARGEST_RECORD_BYTES = 64 * 2**20


def load_record(run_folder: Path) -> RunRecord:
    """Read the record of a finished run.

    Args:
        run_folder: The folder that ``fedaffect simulate`` wrote.

    Raises:
        StorageError: E820 not a run folder; E821 the record is implausibly large; E822 it cannot
            be read as a record of this version.
    """
    path = Path(run_folder) / RECORD_NAME
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "is not a regular file")
            content = file.read(LARGEST_RECORD_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _not_a_run(run_folder, getattr(error, "strerror", None) or str(error)) from error
    if len(content) > LARGEST_RECORD_BYTES:
        raise StorageError(
            "E821",
            f"{path} is larger than {LARGEST_RECORD_BYTES // 2**20} MiB",
            do="give the folder of a run; its record is a few hundred KB",
        )
    return _parse(path, content)


def write_report(run_folder: Path, record: RunRecord) -> Path:
    """Render ``record`` and write ``report.html`` into the run folder; return its path.

    Raises:
        StorageError: E803 the file cannot be written.
    """
    from fedaffect.reports.html_page import render_html

    path = Path(run_folder) / PAGE_NAME
    write_text_atomic(path, render_html(record))
    return path


def _parse(path: Path, content: bytes) -> RunRecord:
    try:
        values = json.loads(content, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"not valid JSON ({error})") from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != RECORD_VERSION:
        raise _unreadable(path, f"schema_version is {version!r:.40}, expected {RECORD_VERSION}")
    try:
        return RunRecord.model_validate(values)
    except (ValidationError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise _unreadable(path, "nested too deeply") from error
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _unreadable(path, f"{where:.80}: {first['msg']}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a FIFO must not hang us


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is out of range")
    return value


def _not_a_run(folder: Path, why: str) -> StorageError:
    return StorageError(
        "E820",
        f"{folder} is not a finished run: {RECORD_NAME}: {why}",
        do="give the folder that fedaffect simulate wrote, such as runs/<name>",
    )


def _unreadable(path: Path, why: str) -> StorageError:
    return StorageError(
        "E822",
        f"{path} cannot be read: {why}",
        do="repeat the run, or read it with the version that wrote it",
    )
