"""The study: cells and findings, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fedaffect.config import RunConfig
from fedaffect.models.backbone import save_backbone
from fedaffect.pretraining.people import public_table
from fedaffect.pretraining.pretrain import pretrain
from fedaffect.pretraining.settings import SCALINGS, Settings
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.private_head import cells, figures, notes, tables, verdicts
from fedaffect.reproduce.private_head.measure import measure
from fedaffect.reproduce.private_head.results import Results
from fedaffect.reproduce.setting import Setting
from fedaffect.reproduce.study import Findings, Options, Search
from fedaffect.study_record import TrialRecord

# what is planted has to be won back from a representation of stress and nothing else
PLAIN = Settings(objective={s: {"stress": 1.0} for s in SCALINGS}, epochs=10, exchange=0.0)


@dataclass(frozen=True)
class PrivateHead:
    """What few released numbers on a public representation achieve, cost and give away."""

    name: ClassVar[str] = "private-head"
    title: ClassVar[str] = "A private head on a public representation"
    citation: ClassVar[str] = "fedaffect"

    def config(self, options: Options) -> RunConfig:
        """Return data, split and precision that all cells share."""
        return cells.shared_config(options)

    def searches(self, options: Options) -> tuple[Search, ...]:
        """Return none: every cell trains as ``fedaffect simulate`` does by default."""
        return ()

    def cells(
        self, options: Options, people: int, settings: Mapping[str, Setting]
    ) -> tuple[Cell, ...]:
        """Return every cell of the study."""
        return tuple(cells.cells(options, people))

    def prepare(self, options: Options, folder: Path) -> None:
        """Train the planted backbone, or that of each half of a real data set."""
        if options.data == "synthetic":
            _train(self.config(options).replace(cells.PUBLIC_POPULATION), PLAIN,
                   folder / cells.PLANTED)  # fmt: skip
            return
        for half in cells.HALVES:
            config = self.config(options).replace({"data.people": (half,)})
            _train(config, Settings(), folder / cells.backbone_of(half))

    measure = staticmethod(measure)

    def findings(self, options: Options, trials: Mapping[str, TrialRecord]) -> Findings:
        """Return a figure and a table for every scene, and what was to be shown."""
        results = Results(options, trials)
        return Findings(
            figures=figures.figures(results),
            tables=tables.tables(results),
            verdicts=verdicts.verdicts(results),
            notes=notes.notes(results),
        )


def _train(config: RunConfig, settings: Settings, path: Path) -> None:
    """Write the backbone of the people of ``config``, unless it is there."""
    if not path.exists():
        made = pretrain(public_table(config), settings, name=path.stem)
        save_backbone(path, made.card, made.weights)
