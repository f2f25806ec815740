"""One thing to do in a worker process of a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedaffect.reproduce.cell import Cell

CELLS_NAME = "cells"  # folder of the results within that of a study


@dataclass(frozen=True)
class Task:
    """One thing to do in a worker process.

    Args:
        study: Registered name of the study.
        cell: What is trained.
        setting: Whether only its loss on held-out training windows is asked for.
        folder: The folder of the study.
        key: Digest of everything that decides the result.
    """

    study: str
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
