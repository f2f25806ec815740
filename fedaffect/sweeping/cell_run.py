"""One cell in a process of its own: begun, or gone on with where it was interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from fedaffect.config import RunConfig
from fedaffect.errors import FedaffectError

IN_USE = "E807"
PATIENCE_S = 30.0  # for the worker of a killed sweep to notice that it is alone


@dataclass(frozen=True)
class CellTask:
    """What a worker needs.

    Args:
        name: Name of the cell.
        folder: Its run folder.
        config: Its resolved configuration.
    """

    name: str
    folder: Path
    config: RunConfig


def run_cell(task: CellTask) -> FedaffectError | None:
    """Carry out one cell into its run folder; return what ended it early, if anything did."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            _simulate(task)
        except FedaffectError as error:
            if error.code == IN_USE and time.monotonic() < deadline:
                time.sleep(0.5)
                continue
            return error
        except Exception as error:
            return FedaffectError("E100", f"unexpected {type(error).__name__}: {error}")
        return None


def _simulate(task: CellTask) -> None:
    from fedaffect.simulation import simulate

    if (task.folder / "config.toml").exists():
        simulate(task.config, resume=task.folder)
    else:
        simulate(task.config.replace({"run.out": task.folder}))
