"""From finished cells to the trade-off: means over seeds, Pareto front, hypervolume."""

from __future__ import annotations

from collections.abc import Sequence

from fedaffect.metrics import mean_estimate
from fedaffect.record import Estimate, RunRecord
from fedaffect.reports.pareto import finding, front, hypervolume
from fedaffect.reports.sweep_page import points_of
from fedaffect.reports.wording import OVERLAP
from fedaffect.sweep_record import (
    CellFigures,
    CellRecord,
    OverSeeds,
    PrivacyInShort,
    SettingRecord,
    SweepRecord,
)
from fedaffect.sweeping.cells import NO_DP, label_of
from fedaffect.sweeping.grid import SEED

WORST_LEAK = 1.0
INTERVALS = (
    "Intervals are over people, within a seed; a setting's interval is the mean of its seeds' "
    "intervals. Seeds share people, so they are not counted as more people: that interval is "
    "rather too wide than too narrow. The spread over seeds stands beside it."
)
CHOSEN = "Choosing a setting by these figures favours luck: measure the chosen one on other people."
OTHER_CHANCE = (
    "Settings differ in how many people there are to name, so chance differs: compare each figure "
    "with its own chance level."
)
ONE_ATTACK = "Not being named by these attackers is no proof of privacy: stronger ones may exist."
_BUDGETS = ("dp.mechanism", "dp.eps", "dp.eps_per_round", "dp.sigma", "dp.z", SEED)


def figures_of(record: RunRecord) -> CellFigures:
    """Return what a sweep tells of one run."""
    return CellFigures(
        run_id=record.provenance.run_id,
        stress=record.figures.stress_balanced_accuracy,
        own_head=record.figures.identity_own_head,
        attacker=record.figures.identity_strongest,
        strongest_attack=record.figures.strongest_attack,
        privacy=privacy_of(record),
        data=record.data.name,
        synthetic=record.data.synthetic,
        leaks_overlap=record.data.split.leaks_overlap,
        seconds=record.provenance.seconds,
    )


def privacy_of(record: RunRecord) -> PrivacyInShort:
    """Return the privacy statement of a run in short."""
    said = record.privacy
    claim, worth = said["paper_claim"] or {}, said["true_value_of_paper_claim"] or {}
    return PrivacyInShort(
        status=said["status"],
        mechanism=said["mechanism"],
        unit=said["unit"],
        adjacency=said["adjacency"],
        eps=said["eps"],
        delta=said["delta"],
        z=record.forecast.noise_multiplier,
        claimed_per_round=claim.get("eps_per_round"),
        true_total=worth.get("eps_total"),
    )


def with_tradeoff(record: SweepRecord, spent: tuple[str, ...]) -> SweepRecord:
    """Return ``record`` with its settings, their front and what was spent."""
    done = [cell for cell in record.cells if cell.figures is not None]
    groups: dict[str, list[CellRecord]] = {}
    for cell in done:
        groups.setdefault(cell.setting, []).append(cell)
    settings = [_setting(name, cells) for name, cells in groups.items()]
    points = points_of(settings)
    best = {point.name for point in front(points)}
    chances = [s.stress.figure.chance for s in settings if s.stress.figure.chance is not None]
    return record.model_copy(
        update={
            "settings": tuple(s.model_copy(update={"on_front": s.name in best}) for s in settings),
            "hypervolume": hypervolume(points, (max(chances), WORST_LEAK)) if chances else None,
            "finding": finding(points) if points else "No cell has ended with a result",
            "spent": spent,
            "notes": tuple(_notes(done, settings)),
        }
    )


def over_seeds(estimates: Sequence[Estimate]) -> OverSeeds:
    """Return the mean over seeds with the mean interval over people, and the spread over seeds."""
    values = [e.value for e in estimates if e.value is not None]
    known = len(values) == len(estimates)
    return OverSeeds(
        figure=mean_estimate(estimates),
        lowest=min(values) if known else None,
        highest=max(values) if known else None,
    )


def _setting(name: str, cells: Sequence[CellRecord]) -> SettingRecord:
    figures = [cell.figures for cell in cells if cell.figures is not None]
    return SettingRecord(
        name=name,
        family=_family(cells[0], figures[0].privacy),
        cells=tuple(cell.name for cell in cells),
        stress=over_seeds([f.stress for f in figures]),
        own_head=over_seeds([f.own_head for f in figures]),
        attacker=over_seeds([f.attacker for f in figures]),
        privacy=max((f.privacy for f in figures), key=_weakness),
        on_front=False,
    )


def _notes(cells: Sequence[CellRecord], settings: Sequence[SettingRecord]) -> list[str]:
    notes = [INTERVALS, CHOSEN, ONE_ATTACK]
    if len({s.attacker.figure.chance for s in settings}) > 1:
        notes.append(OTHER_CHANCE)
    if any(cell.figures and cell.figures.leaks_overlap for cell in cells):
        notes.append(OVERLAP)
    return notes


def _weakness(privacy: PrivacyInShort) -> tuple[bool, float]:
    return privacy.eps is None, privacy.eps or 0.0


def _family(cell: CellRecord, privacy: PrivacyInShort) -> str:
    """Return the mechanism, and what else sets the cell apart but for its budget and seed."""
    mechanism = NO_DP if privacy.mechanism == "none" else privacy.mechanism
    rest = {k: v for k, v in cell.values.items() if k not in _BUDGETS and v is not None}
    return ", ".join([mechanism, *([label_of(rest)] if rest else [])])
