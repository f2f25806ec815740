"""The records of a run on disk, read with suspicion, and the report that is rendered from them."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from fedaffect.audit_record import AUDIT_VERSION, AuditRecord
from fedaffect.errors import StorageError
from fedaffect.record import RECORD_VERSION, RunRecord

RECORD_NAME = "report.json"
AUDIT_NAME = "audit.json"
PAGE_NAME = "report.html"
LARGEST_RECORD_BYTES = 64 * 2**20
Record = TypeVar("Record", bound=BaseModel)
Refusal = Callable[[Path, str], StorageError]


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
        content = _content(path)
    except (OSError, ValueError) as error:
        raise _not_a_run(run_folder, _cause(error)) from error
    if len(content) > LARGEST_RECORD_BYTES:
        raise StorageError("E821", f"{path} {_too_large()}", do="give the folder of a run")
    return _parse(path, content, RunRecord, RECORD_VERSION, _unreadable)


def load_audit(run_folder: Path, run_id: str) -> AuditRecord | None:
    """Read the audit of a run, or return ``None`` where it was not audited.

    Args:
        run_folder: Folder of the run.
        run_id: Name of the run, as its record has it.

    Raises:
        StorageError: E823 there is an audit that is implausibly large, cannot be read as one of
            this version, or is of another run.
    """
    path = Path(run_folder) / AUDIT_NAME
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _broken_audit(path, _cause(error)) from error
    if len(content) > LARGEST_RECORD_BYTES:
        raise _broken_audit(path, _too_large())
    audit = _parse(path, content, AuditRecord, AUDIT_VERSION, _broken_audit)
    if audit.run_id != run_id:
        raise _broken_audit(path, f"is of the run {audit.run_id!r:.60}, not of {run_id!r:.60}")
    return audit


def write_report(run_folder: Path, record: RunRecord) -> Path:
    """Write page, model card and figures of ``record`` and, if there is one, of its audit.

    Returns:
        Path of ``report.html``.

    Raises:
        StorageError: E803 a file cannot be written; E804 the manifest cannot be read; E823 the
            audit cannot be read.
    """
    from fedaffect.reports.bundle import write_bundle

    folder = Path(run_folder)
    write_bundle(folder, record, load_audit(folder, record.provenance.run_id))
    return folder / PAGE_NAME


def _content(path: Path) -> bytes:
    """Read at most one byte more than a record may have."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        return file.read(LARGEST_RECORD_BYTES + 1)


def _parse(
    path: Path, content: bytes, kind: type[Record], version: int, refusal: Refusal
) -> Record:
    try:
        values = json.loads(content, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"cannot be read: not valid JSON ({error})") from error
    found = values.get("schema_version") if isinstance(values, dict) else None
    if found != version:
        told = f"schema_version is {found!r:.40}, expected {version}"
        raise refusal(path, f"cannot be read: {told}")
    try:
        return kind.model_validate(values)
    except (ValidationError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise refusal(path, "cannot be read: nested too deeply") from error
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise refusal(path, f"cannot be read: {where:.80}: {first['msg']}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a FIFO must not hang us


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is out of range")
    return value


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _too_large() -> str:
    return f"is larger than {LARGEST_RECORD_BYTES // 2**20} MiB; such a file has a few hundred KB"


def _not_a_run(folder: Path, why: str) -> StorageError:
    return StorageError(
        "E820",
        f"{folder} is not a finished run: {RECORD_NAME}: {why}",
        do="give the folder that fedaffect simulate wrote, such as runs/<name>",
    )


def _unreadable(path: Path, why: str) -> StorageError:
    return StorageError(
        "E822", f"{path} {why}", do="repeat the run, or read it with the version that wrote it"
    )


def _broken_audit(path: Path, why: str) -> StorageError:
    return StorageError("E823", f"{path} {why}", do="repeat the audit: fedaffect audit RUN")
