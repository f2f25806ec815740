"""What ``fedaffect compare`` finds: settings, figures and promises of runs, side by side."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fedaffect.record import Estimate

COMPARISON_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComparedRun(_Record):
    """One of the runs. The first is the baseline of every difference."""

    label: str
    run_id: str
    folder: str
    data: str
    fingerprint: str
    synthetic: bool
    stopped: bool


class SideBySide(_Record):
    """Something that is not the same in all runs: one value a run, in their order."""

    name: str
    values: tuple[Any, ...]


class Difference(_Record):
    """One run's figure less that of the baseline.

    Args:
        label: Label of the run.
        value: The difference; ``None`` where it cannot be told. Paired: mean over people of each
            person's own difference. Unpaired: difference of the two figures.
        low: Lower end of its 95 % interval over people.
        high: Upper end.
        n_people: Number of people behind a paired difference, else 0.
        how: ``paired`` or ``unpaired``, or ``none``.
        reason: Why it is not paired, or cannot be told; one sentence.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n_people: int = 0
    how: Literal["paired", "unpaired", "none"]
    reason: str = ""


class ComparedFigure(_Record):
    """One figure of all runs, with the differences of all but the first from the first."""

    name: str
    figures: tuple[Estimate, ...]
    differences: tuple[Difference, ...]


class Comparison(_Record):
    """All that was compared.

    Args:
        runs: The runs; the first is the baseline.
        settings: Keys of the configuration that differ.
        figures: What the runs achieved and gave away.
        privacy: Parts of the privacy statements, in short.
        notes: Sentences that a reader of the figures needs.
    """

    schema_version: int = COMPARISON_VERSION
    kind: Literal["comparison"] = "comparison"
    runs: tuple[ComparedRun, ...]
    settings: tuple[SideBySide, ...]
    figures: tuple[ComparedFigure, ...]
    privacy: tuple[SideBySide, ...]
    notes: tuple[str, ...]
