"""Small finished runs of ``fedaffect.simulate``, engine local."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny import tiny

from fedaffect.outline import Outline
from fedaffect.progress import Listener
from fedaffect.record import Forecast, RoundRecord, RunRecord
from fedaffect.simulation import simulate

GAUSSIAN = {"dp.mechanism": "gaussian", "dp.eps": 5.0}


class Heard(Listener):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.trainings: list[str] = []
        self.rounds: list[tuple[str, int]] = []
        self.planned_folder: str | None = None

    def planned(
        self, outline: Outline, forecast: Forecast, folder: str | None, run_id: str | None
    ) -> None:
        self.planned_folder = folder

    def training(self, name: str, rounds: int) -> None:
        self.trainings.append(name)

    def round_done(self, record: RoundRecord) -> None:
        self.rounds.append((self.trainings[-1], record.round))


@dataclass(frozen=True)
class Run:
    """A finished run."""

    record: RunRecord
    folder: Path
    heard: Heard = field(default_factory=Heard)

    def bytes_of(self, name: str) -> bytes:
        """Content of a file of the run folder."""
        return (self.folder / name).read_bytes()


def simulated(out: Path, changes: dict[str, Any] | None = None) -> Run:
    """Run ``tiny`` with changes (dotted keys) into the folder ``out``."""
    heard = Heard()
    config = tiny({"federation.rounds": 3, "run.out": out, **(changes or {})})
    return Run(simulate(config, listener=heard), out, heard)
