"""What a sweep leaves behind: ``sweep.json``, its grid, the state of every cell, the trade-off."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fedaffect.record import Estimate

SWEEP_VERSION = 1
CellName = Annotated[str, Field(pattern=r"^\d[a-zA-Z0-9_.=+-]{0,79}$")]  # names a folder


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AxisRecord(_Record):
    """One key of the grid with its values as they were typed."""

    key: str
    values: tuple[str, ...]


class PrivacyInShort(_Record):
    """The promise of a run in short.

    Args:
        status: FORMAL, CONDITIONAL or NONE.
        mechanism: What added noise; ``none`` without DP.
        unit: What is protected.
        adjacency: Which data sets are compared.
        eps: Total eps for one unit over the run; ``None`` without a finite one.
        delta: Its delta.
        z: Noise standard deviation / sensitivity; ``None`` without noise.
        claimed_per_round: Eps that the paper claims for one round; ``None`` where it claims none.
        true_total: What that noise is worth over the run; ``None`` where nothing finite.
    """

    status: str
    mechanism: str
    unit: str
    adjacency: str
    eps: float | None
    delta: float | None
    z: float | None
    claimed_per_round: float | None = None
    true_total: float | None = None


class CellFigures(_Record):
    """What a finished cell achieved and gave away, on which data.

    ``leaks_overlap``: training and test windows share seconds of signal.
    """

    run_id: str
    stress: Estimate
    own_head: Estimate
    attacker: Estimate
    strongest_attack: str
    privacy: PrivacyInShort
    data: str
    synthetic: bool
    leaks_overlap: bool
    seconds: float


class CellRecord(_Record):
    """One cell of the grid and what became of it.

    Args:
        name: Name of its run folder below ``runs``.
        setting: Its values in words, but for the seed.
        values: Key of every axis to its value; ``None`` where it says nothing, as without DP.
        config: The resolved configuration.
        state: ``waiting`` until it has ended; ``stopped`` early by its budget, with a result;
            ``failed`` without one.
        error: Code, message and remedy of what ended it.
        figures: What came out.
    """

    name: CellName
    setting: str
    values: dict[str, str | None]
    config: dict[str, Any]
    state: Literal["waiting", "finished", "stopped", "failed"] = "waiting"
    error: tuple[str, str, str] | None = None
    figures: CellFigures | None = None


class OverSeeds(_Record):
    """One figure of a setting over its seeds.

    Args:
        figure: Mean over seeds. Its interval is the mean of the seeds' intervals over people:
            seeds share people, so more seeds make it steadier, not narrower.
        lowest: Smallest value of a seed.
        highest: Largest value of a seed.
    """

    figure: Estimate
    lowest: float | None
    highest: float | None


class SettingRecord(_Record):
    """All finished cells that differ in the seed alone.

    Args:
        name: The setting in words.
        family: What its mark in the figure stands for.
        cells: Names of the cells.
        stress: Balanced accuracy of stress.
        own_head: Accuracy of the model's own identity head: no privacy metric.
        attacker: Accuracy of the strongest fresh identity attacker.
        privacy: The weakest promise among the seeds.
        on_front: Whether no other setting is better in one figure and as good in the other.
    """

    name: str
    family: str
    cells: tuple[str, ...]
    stress: OverSeeds
    own_head: OverSeeds
    attacker: OverSeeds
    privacy: PrivacyInShort
    on_front: bool


class SweepRecord(_Record):
    """A sweep: ``sweep.json``.

    Args:
        version: Of fedaffect, which began it.
        code: Digest of its code.
        started: When.
        ended: When the last cell had ended; empty before.
        axes: The grid.
        cells: One run each.
        settings: What is compared, once a cell has ended.
        hypervolume: Area that the settings dominate, up to stress at chance and leak 1.
        finding: What the trade-off shows, one sentence.
        spent: What the runs have spent on the data together, in sentences.
        notes: Sentences that a reader of the figures needs.
    """

    schema_version: int = SWEEP_VERSION
    kind: Literal["sweep"] = "sweep"
    version: str
    code: str
    started: str
    ended: str = ""
    axes: tuple[AxisRecord, ...]
    cells: tuple[CellRecord, ...]
    settings: tuple[SettingRecord, ...] = ()
    hypervolume: float | None = None
    finding: str = ""
    spent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
