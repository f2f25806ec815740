"""Whether a finished run is what it says: recomputed offline, from its folder alone.

Hashes find any changed byte, but a forger can write them anew; against him stand the chain of the
ledger's lines, the eps that follows from them, and this site's own ledger where it is at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fedaffect.errors import FedaffectError, PrivacyError, StorageError
from fedaffect.privacy.ledger import ledger_path
from fedaffect.privacy.ledger_excerpt import Excerpt, check_in_ledger, read_excerpt
from fedaffect.privacy.recount import recount
from fedaffect.run_folder import MANIFEST_NAME, file_hashes

MADE_AGAIN = ("audit.json", "report.html", "MODEL_CARD.md", "figures/")  # from other files
_NAMED = 5  # file names that a message lists


@dataclass(frozen=True)
class Check:
    """One check and how it ended.

    Args:
        name: What was checked.
        text: What was found, in one line.
        failure: Why it does not hold; ``None`` where it does.
        skipped: Whether it could not be made here.
    """

    name: str
    text: str
    failure: FedaffectError | None = None
    skipped: bool = False


def verify(folder: Path, home: Path, but: tuple[str, ...] = ()) -> tuple[Check, ...]:
    """Return every check of a finished run, in the order in which failures weigh.

    Args:
        folder: Folder of the run.
        home: The state folder of this site, which may hold the ledger of the run.
        but: Beginnings of names of files that may differ: they are about to be made anew.

    Raises:
        StorageError: E820 the folder is not that of a finished run.
    """
    if not (folder / MANIFEST_NAME).is_file():
        raise StorageError(
            "E820",
            f"{folder} is not a finished run: it has no {MANIFEST_NAME}",
            do="give the folder that fedaffect simulate wrote, such as runs/<name>",
        )
    run = _Run(folder)
    return (
        _made("files", lambda: _files(run, but)),
        _made("ledger", lambda: _ledger(run)),
        _made("statement", lambda: _statement(run)),
        _made("model", lambda: _model(run)),
        _made("site", lambda: _site(run, home)),
    )


def _made(name: str, check: Callable[[], str | Check]) -> Check:
    try:
        found = check()
    except FedaffectError as error:
        return Check(name, error.message, failure=error)
    return found if isinstance(found, Check) else Check(name, found)


class _Run:
    """The files of a run folder that several checks read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def manifest(self) -> dict[str, Any]:
        try:
            manifest = _json_of(self.folder / MANIFEST_NAME)
            return {"run_id": str(manifest["run_id"]), "files": dict(manifest["files"])}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _other_files(f"{MANIFEST_NAME} cannot be read") from error

    @cached_property
    def statement(self) -> dict[str, Any]:
        try:
            return dict(_json_of(self.folder / "privacy.json"))
        except (OSError, ValueError, TypeError) as error:
            raise PrivacyError(
                "E407", f"privacy.json cannot be read: {error}", do="repeat the run"
            ) from error

    @cached_property
    def excerpt(self) -> Excerpt | None:
        path = self.folder / "ledger_excerpt.jsonl"
        return read_excerpt(path) if path.exists() else None


def _files(run: _Run, but: tuple[str, ...]) -> str:
    told: dict[str, str] = run.manifest["files"]
    try:
        found = file_hashes(run.folder)
    except OSError as error:
        raise _other_files(f"cannot read {error.filename}: {error.strerror}") from error
    kinds = {
        "changed": [name for name in told if name in found and found[name] != told[name]],
        "missing": [name for name in told if name not in found],
        "unexpected": [name for name in found if name not in told],
    }
    kinds = {kind: [n for n in names if not n.startswith(but)] for kind, names in kinds.items()}
    wrong = [f"{kind}: {_some(names)}" for kind, names in kinds.items() if names]
    if wrong:
        raise _other_files("; ".join(wrong))
    return f"{len(told)} files are as {MANIFEST_NAME} says"


def _ledger(run: _Run) -> str:
    if run.excerpt is None:
        return "no ledger was charged"
    run.excerpt.check_head(run.statement.get("ledger_head"))
    if run.excerpt.run != run.manifest["run_id"]:
        raise PrivacyError(
            "E402",
            f"the excerpt of the ledger is of {run.excerpt.run}, the folder of "
            f"{run.manifest['run_id']}",
        )
    spent = run.excerpt.account.spent()
    return f"{len(run.excerpt.lines)} lines follow each other; {spent} releases are paid for"


def _statement(run: _Run) -> str:
    try:
        return recount(run.statement, run.excerpt.account if run.excerpt else None)
    except (TypeError, KeyError, AttributeError) as error:
        raise PrivacyError("E407", f"privacy.json cannot be read: {error!r}") from error


def _model(run: _Run) -> str | Check:
    path = run.folder / "model.safetensors"
    if not path.exists():
        return Check("model", "not checked here: there is no model.safetensors", skipped=True)
    metadata = _metadata(path)
    statement = run.statement
    told = {
        "run_id": run.manifest["run_id"],
        "privacy_status": statement.get("status"),
        **{name: statement.get(name) for name in ("eps", "delta", "unit")},
    }
    for name, value in told.items():
        if metadata.get(name) != str(value):
            raise PrivacyError(
                "E408",
                f"model.safetensors states {name} {metadata.get(name)}, privacy.json {value}",
                do="do not rely on what this run promises",
            )
    return "model.safetensors states the same"


def _site(run: _Run, home: Path) -> str | Check:
    if run.excerpt is None:
        return Check("site", "not checked here: no ledger was charged", skipped=True)
    try:
        name = str(_json_of(run.folder / "data_manifest.json")["dataset"])
        path = ledger_path(home, name)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(
            "E822", f"data_manifest.json cannot be read: {error}", do="repeat the run"
        ) from error
    if not path.exists():
        return Check("site", f"not checked here: there is no {path}", skipped=True)
    lines = check_in_ledger(run.excerpt, str(run.statement.get("ledger_head")), path)
    return f"the lines of the run are among the {lines} of {path}"


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise _other_files(f"{path.name} cannot be read: {error}") from error


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _other_files(why: str) -> StorageError:
    return StorageError("E804", f"run folder: {why}", do="do not rely on this run; repeat it")
