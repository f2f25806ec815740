"""What a study of a paper is: which cells it trains, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from fedaffect.config import RunConfig
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.setting import Setting
from fedaffect.reproduce.task import Task
from fedaffect.study_record import StudyFigure, StudyTable, TrialRecord, Verdict


@dataclass(frozen=True)
class Options:
    """What a study is asked for.

    Args:
        data: Registered name of the data set.
        root: Its folder; ``None`` where it needs none.
        quick: Train a part of the cells, shorter and on fewer windows.
        as_printed: Keep the paper's training setting in every cell.
        seeds: Number of seeds, from 0; figures are means over them.
    """

    data: str = "synthetic"
    root: Path | None = None
    quick: bool = False
    as_printed: bool = False
    seeds: int = 1


@dataclass(frozen=True)
class Search:
    """Settings that are compared by loss on windows kept from training.

    Args:
        purpose: Which cells the best of them is for.
        cell: What is trained with each of them.
        candidates: The settings that may be chosen.
        printed: The paper's setting: compared, and never chosen.
    """

    purpose: str
    cell: Cell
    candidates: tuple[Setting, ...]
    printed: Setting


@dataclass(frozen=True)
class Findings:
    """What a study makes of its trials."""

    figures: tuple[StudyFigure, ...]
    tables: tuple[StudyTable, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]


class Study(Protocol):
    """The experiments of one paper, or of one question: a class without state."""

    name: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str]

    def config(self, options: Options) -> RunConfig:
        """Return data, split and clients that most cells share."""

    def searches(self, options: Options) -> tuple[Search, ...]:
        """Return the settings to compare; none where the paper's is kept."""

    def cells(
        self, options: Options, people: int, settings: Mapping[str, Setting]
    ) -> tuple[Cell, ...]:
        """Return every cell.

        Args:
            options: What is asked for.
            people: People of the data set.
            settings: Purpose of a search to the setting that it chose; empty before the search
                and where the paper's is kept: then every cell trains with the paper's.
        """

    def prepare(self, options: Options, folder: Path) -> None:
        """Write to the study's ``folder`` what its cells read, where it is not there yet."""

    @staticmethod
    def measure(task: Task) -> TrialRecord:
        """Train and attack the cell of ``task``: a function of a module, made static."""

    def findings(self, options: Options, trials: Mapping[str, TrialRecord]) -> Findings:
        """Return figures, tables and verdicts of ``trials``, by the names of their cells."""
