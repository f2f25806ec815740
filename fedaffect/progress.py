"""What a long run tells whoever watches it. The command line prints it; Python may ignore it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedaffect.build import Experiment
    from fedaffect.outline import Outline
    from fedaffect.record import Forecast, RoundRecord, RunRecord


class Listener:
    """Hears what happens; every method may be overridden, none has to be."""

    def stage(self, text: str) -> None:
        """A step that may take seconds has begun."""

    def planned(
        self, outline: Outline, forecast: Forecast, folder: str | None, run_id: str | None
    ) -> None:
        """The plan is known, nothing has been read; no folder and no id on a dry run."""

    def ready(self, experiment: Experiment) -> None:
        """Data are dealt out; training begins."""

    def training(self, name: str, rounds: int) -> None:
        """A training of ``rounds`` rounds in all begins: the run itself or a reference."""

    def round_done(self, record: RoundRecord) -> None:
        """A round of the present training has ended."""

    def finished(self, record: RunRecord) -> None:
        """The run is over and written down, be it early because its budget is spent."""
