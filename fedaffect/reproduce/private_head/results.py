"""The trials of a study by scene, scaling of the features and row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from fedaffect.record import Estimate
from fedaffect.reproduce.private_head import people_scores
from fedaffect.reproduce.private_head.cells import (
    LOCAL,
    PUBLIC,
    HeadCell,
    Scene,
    cell_name,
    cells,
    scenes,
)
from fedaffect.reproduce.study import Options
from fedaffect.study_record import ReleaseFigures, TrialRecord

SEED = 0  # of the resamples of people


@dataclass(frozen=True)
class Results:
    """What the cells found.

    Args:
        options: What was asked for.
        trials: Name of a cell to its trial.
    """

    options: Options
    trials: Mapping[str, TrialRecord]

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """Who was private in turn; their numbers of people play no part here."""
        return scenes(self.options, 2)

    def rows(self, scene: Scene) -> list[str]:
        """Return the rows of the table of ``scene``, in order."""
        found = (cell for cell in self._cells if cell.scene == scene.name)
        return list(dict.fromkeys(cell.row for cell in found))

    def trial(self, scene: Scene, scaling: str, row: str) -> TrialRecord | None:
        """Return a trial; ``None`` where the study has no such cell."""
        return self.trials.get(cell_name(scene.name, scaling, row))

    def released(self, scene: Scene, scaling: str, row: str) -> ReleaseFigures | None:
        """Return scores by draw and attacks of a trial that was not stopped."""
        trial = self.trial(scene, scaling, row)
        return None if trial is None or trial.stopped else trial.released

    def gain(self, scene: Scene, scaling: str, row: str) -> Estimate | None:
        """Return the paired difference to public only, on the same windows."""
        mine = self.released(scene, scaling, row)
        start = self.released(scene, scaling, PUBLIC)
        if mine is None or start is None or row == PUBLIC:
            return None
        if row == LOCAL:  # tested on other windows than the rest
            start = mine.model_copy(update={"stress": (mine.public,)})
        return people_scores.gain(mine, start, SEED)

    def stress(self, scene: Scene, scaling: str, row: str) -> Estimate | None:
        """Return balanced accuracy, mean over people and draws."""
        mine = self.released(scene, scaling, row)
        return None if mine is None else people_scores.stress(mine, SEED)

    @cached_property
    def _cells(self) -> tuple[HeadCell, ...]:
        return tuple(cell for cell in cells(self.options, 4) if cell.name in self.trials)
