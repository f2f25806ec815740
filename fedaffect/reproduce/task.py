"""One thing to do in a worker process of a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedaffect.reproduce.cell import Cell
from fedaffect.study_record import TrialRecord

CELLS_NAME = "cells"  # folder of the results within that of a study

Measure = Callable[["Task"], TrialRecord]


@dataclass(frozen=True)
class Task:
    """One thing to do in a worker process.

    Args:
        measure: How the study measures a cell; a function of a module, for it travels.
        cell: What is trained.
        setting: Whether only its loss on held-out training windows is asked for.
        folder: The folder of the study.
        key: Digest of everything that decides the result.
    """

    measure: Measure
    cell: Cell
    setting: bool
    folder: Path
    key: str

    @property
    def file(self) -> str:
        """Name of the result."""
        return f"{self.cell.name}-{self.key}"

    @property
    def run_id(self) -> str:
        """Id of its runs in the privacy ledger, where they are charged."""
        return f"study-{self.key}"
