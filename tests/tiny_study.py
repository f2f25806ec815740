"""A study of two cells that trains in seconds, and cells for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tiny import tiny

from fedaffect.config import RunConfig
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.setting import Setting
from fedaffect.reproduce.study import Findings, Options, Search
from fedaffect.reproduce.trial import trial_of
from fedaffect.study_record import Mark, Panel, StudyFigure, StudyTable, TrialRecord, Verdict

PRINTED = Setting(lr=0.0005, momentum=0.0, max_grad_norm=None)
NOISE = {"dp.mechanism": "paper-gaussian1", "dp.eps_per_round": 5.0, "dp.noise_layers": "all"}


def cell(name: str = "plain", *, most: dict[str, Any] | None = None, **changes: Any) -> Cell:
    """Return a cell that trains in a second; keys are ``section__field``, ``most`` its own."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return Cell(name, name, tiny({"data.partition": "iid", **dotted}), **(most or {}))


@dataclass(frozen=True)
class TinyStudy:
    """Without noise, and with the paper's."""

    name: ClassVar[str] = "tiny"
    title: ClassVar[str] = "A small title"
    citation: ClassVar[str] = "N. Obody, 2023"

    def config(self, options: Options) -> RunConfig:
        """Return the shared configuration."""
        base = tiny({"data.partition": "iid"})
        return base.replace({"data.name": options.data, "data.root": options.root})

    def searches(self, options: Options) -> tuple[Search, ...]:
        """Return one search."""
        if options.as_printed:
            return ()
        base = Cell("search", "setting", self.config(options))
        return (Search("federated", base, (Setting(0.05), Setting(0.1)), PRINTED),)

    def cells(
        self, options: Options, people: int, settings: Mapping[str, Setting]
    ) -> tuple[Cell, ...]:
        """Return the cells."""
        config = settings.get("federated", PRINTED).of(self.config(options))
        noised = Cell("noised", "with noise", config.replace(NOISE), family="Gaussian 1")
        plain = Cell("plain", "no noise", config, curve=True)
        return (plain,) if options.quick else (plain, noised)

    def prepare(self, options: Options, folder: Path) -> None:
        """Write nothing: the cells read the data alone."""

    measure = staticmethod(trial_of)

    def findings(self, options: Options, trials: Mapping[str, TrialRecord]) -> Findings:
        """Return one of everything."""
        stress = trials["plain"].figures.stress_accuracy
        marks = (Mark(series="stress", at="plain", figure=stress, printed=0.97, where="IV"),)
        figure = StudyFigure(
            name="figure-1", title="What was found", about="dots",
            panels=(Panel(title="one", marks=marks),),
        )  # fmt: skip
        table = StudyTable(
            name="printed", caption="printed", columns=("a", "b"), rows=(("1", "2"),)
        )
        verdict = Verdict(
            claim="It learns", source="IV", paper="97 %", ours="less", agrees="no", why="tiny"
        )
        return Findings((figure,), (table,), (verdict,), ("a note",))
