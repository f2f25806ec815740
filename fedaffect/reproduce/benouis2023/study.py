"""The study: cells and findings of the paper, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fedaffect.config import RunConfig
from fedaffect.reproduce.benouis2023 import figures, tables, verdicts
from fedaffect.reproduce.benouis2023.cells import (
    PRINTED_SETTING,
    Builder,
    Scale,
    scale_of,
    shared_config,
)
from fedaffect.reproduce.benouis2023.results import Results
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.setting import Setting
from fedaffect.reproduce.study import Findings, Options, Search
from fedaffect.reproduce.trial import trial_of
from fedaffect.study_record import TrialRecord


@dataclass(frozen=True)
class Benouis2023:
    """Section IV of Benouis, Can & André 2023, on any data set of several people."""

    name: ClassVar[str] = "benouis2023"
    title: ClassVar[str] = (
        "A Privacy-Preserving Multi-Task Learning Framework For Emotion and Identity Recognition "
        "from Multimodal Physiological Signals"
    )
    citation: ClassVar[str] = "M. Benouis, Y. S. Can, E. André, 2023"

    def config(self, options: Options) -> RunConfig:
        """Return data, split and clients that most cells share."""
        return shared_config(options)

    def searches(self, options: Options) -> tuple[Search, ...]:
        """Return the settings of federated and of central training to compare."""
        if options.as_printed:
            return ()
        builder, scale = Builder(options, 2, {}), scale_of(options)
        pooled = tuple(s for s in scale.candidates if s.local_epochs == scale.local_epochs[0])
        federated = builder.cell("search", "training setting, federated", {})
        central = builder.central("search", "training setting, central", PRINTED_SETTING)
        return (
            Search("federated", federated, scale.candidates, PRINTED_SETTING),
            Search("central", central, _one_epoch(pooled), PRINTED_SETTING),
        )

    def cells(
        self, options: Options, people: int, settings: Mapping[str, Setting]
    ) -> tuple[Cell, ...]:
        """Return every cell of the study."""
        return tuple(Builder(options, people, settings).all())

    def prepare(self, options: Options, folder: Path) -> None:
        """Write nothing: the cells read the data alone."""

    measure = staticmethod(trial_of)

    def findings(self, options: Options, trials: Mapping[str, TrialRecord]) -> Findings:
        """Return Figures 2 to 8, the tables, the verdicts and the differences from the paper."""
        results = Results(options, trials)
        return Findings(
            figures=figures.figures(results),
            tables=tables.tables(results),
            verdicts=verdicts.verdicts(results),
            notes=_notes(options, scale_of(options), results),
        )


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _one_epoch(settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """Return the settings with one epoch a round, which is what a round of central training is."""
    return tuple(Setting(s.lr, s.batch_size, 1, s.momentum, s.max_grad_norm) for s in settings)


def _notes(options: Options, scale: Scale, results: Results) -> tuple[str, ...]:
    """Return how this study differs from the paper's, and what the paper leaves open."""
    base = results.get(results.baseline)
    sizes = base.windows_per_client if base is not None else ()
    notes = [
        f"{scale.rounds} rounds (paper: 40), {scale.epochs} central epochs (30), {scale.folds} of "
        f"5 folds, {scale.clients} clients where the paper does not vary them.",
        "The paper's data are 121,813 windows of 700 samples of WESAD, 15 people, with features "
        "of its own choice; windows, features and people differ here.",
    ]
    if sizes:
        most = max(sizes)
        reached = min(sizes) >= 1000
        notes.append(
            "Every client holds 1000 training windows, as in the paper."
            if reached
            else f"|D_i| is {_range(min(sizes), most)} windows a client: "
            + ("a quick study takes fewer" if options.quick else "the data allow no 1000")
            + ". The noise is sized for |D_i| = 1000 all the same: it is the paper's."
        )
    notes += [
        "Not printed in the paper, so chosen here: batch size, N, mu of Eq. 1 (plain FedAvg is "
        "trained), whether all K clients take part (they do: q = 1), the weight of a client (1/n).",
        "Algorithm 1 clips without a norm sign; here the L2 norm of the update is clipped to 1.",
        "“Task-specific layers” may mean both heads or the identity head: both are trained where "
        "the text says so.",
        "The text lists the budgets as 5, 15, 15, 50; its figures are for 1, 5, 15 and 50.",
        "Random windows overlap across the folds: those figures flatter everything, attackers too.",
        "A fold is a run of its own in the privacy ledger; folds, cells and seeds are summed "
        "there. The search for a setting draws no noise and is not accounted for.",
    ]
    if options.as_printed:
        notes.append(
            "Every cell keeps the printed optimizer: plain SGD, rate 0.0005, one local epoch."
        )
    else:
        notes.append(
            "The setting was chosen by loss on training windows that were kept from training. "
            "Cells called “printed optimizer” keep plain SGD at 0.0005 with one local epoch."
        )
    return tuple(notes)
