"""Tables: everything beside public only, scene by scene."""

from __future__ import annotations

from collections.abc import Callable

from fedaffect.record import Estimate
from fedaffect.reports.formats import accuracy, epsilon, number, percent, with_chance
from fedaffect.reproduce.private_head import people_scores
from fedaffect.reproduce.private_head.cells import PUBLIC, SCALINGS, Scene
from fedaffect.reproduce.private_head.released_attack import largest_area
from fedaffect.reproduce.private_head.results import SEED, Results
from fedaffect.study_record import ReleaseFigures, StudyTable, TrialRecord

_RowOf = Callable[[Results, Scene, str, str, TrialRecord, ReleaseFigures], tuple[str, ...]]
STRESS_COLUMNS = (
    "Trained", "Features", "Stress [people]", "Draws", "Lowest and highest draw",
    "Against public only [people]", "Tested on",
)  # fmt: skip
PRIVACY_COLUMNS = (
    "Trained", "Features", "Released numbers", "z", "Break-even people", "True eps, all rounds",
    "Status of simulate", "Strongest attacker on the embedding", "Releases attacked",
    "Took part (AUC)", "Left-out person named",
)  # fmt: skip


def tables(results: Results) -> tuple[StudyTable, ...]:
    """Return two tables for every scene: what is learnt, and what it costs and gives away."""
    made = []
    for scene in results.scenes:
        made += [
            StudyTable(
                name=f"stress-{scene.name}",
                caption=f"Balanced accuracy of stress, chance 50 %: {scene.what}",
                columns=STRESS_COLUMNS,
                rows=_rows(results, scene, _stress_row),
            ),
            StudyTable(
                name=f"privacy-{scene.name}",
                caption=f"What is released, and what attackers find in it: {scene.what}",
                columns=PRIVACY_COLUMNS,
                rows=_rows(results, scene, _privacy_row),
            ),
        ]
    return tuple(made)


def points(difference: Estimate | None) -> str:
    """Write a difference of shares in points: ``+2.3 [0.4, 4.1]``."""
    if difference is None or difference.value is None:
        return "n/a"
    text = f"{100 * difference.value:+.1f}"
    if difference.low is None or difference.high is None:
        return text
    return f"{text} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


def _rows(results: Results, scene: Scene, row_of: _RowOf) -> tuple[tuple[str, ...], ...]:
    rows = []
    for row in results.rows(scene):
        for scaling in SCALINGS:
            trial = results.trial(scene, scaling, row)
            if trial is not None and trial.released is not None:
                rows.append(row_of(results, scene, scaling, row, trial, trial.released))
    return tuple(rows)


def _stress_row(
    results: Results,
    scene: Scene,
    scaling: str,
    row: str,
    trial: TrialRecord,
    mine: ReleaseFigures,
) -> tuple[str, ...]:
    if trial.stopped:
        return (trial.what, SCALINGS[scaling], trial.stopped, *["n/a"] * 4)
    low, high = people_scores.over_draws(mine)
    several = len(mine.stress) > 1
    return (
        trial.what,
        SCALINGS[scaling],
        accuracy(people_scores.stress(mine, SEED)),
        number(len(mine.stress)),
        f"{percent(low)} to {percent(high)}" if several else "no noise",
        "is public only" if row == PUBLIC else points(results.gain(scene, scaling, row)),
        mine.tested_on + f" ({len(mine.people)})",
    )


def _privacy_row(
    results: Results,
    scene: Scene,
    scaling: str,
    row: str,
    trial: TrialRecord,
    mine: ReleaseFigures,
) -> tuple[str, ...]:
    return (
        trial.what,
        SCALINGS[scaling],
        f"{number(mine.numbers)} x {mine.rounds}" if mine.numbers else "none",
        number(mine.noise_multiplier),
        number(mine.break_even),
        _true_eps(trial, mine),
        mine.simulated_status,
        with_chance(_embedding(results, scene, scaling, trial)),
        number(mine.attacked_releases) if mine.attacked_releases else "none",
        _membership(mine),
        with_chance(mine.left_out) if mine.left_out.value is not None else mine.left_out.note,
    )


def _membership(mine: ReleaseFigures) -> str:
    """Write the area of the attacker with what the promise allows."""
    if mine.membership.value is None:
        return mine.membership.note
    text = with_chance(mine.membership)
    if mine.noise_multiplier is None:
        return text
    most = largest_area(mine.noise_multiplier, mine.attacked_releases)
    return f"{text}, at most {percent(most)}"


def _true_eps(trial: TrialRecord, mine: ReleaseFigures) -> str:
    if not mine.numbers:
        return "0"
    if trial.claimed is not None:
        return epsilon(trial.claimed.true_eps_total)
    return "unbounded" if mine.eps is None else epsilon(mine.eps)


def _embedding(results: Results, scene: Scene, scaling: str, trial: TrialRecord) -> Estimate:
    """Return the strongest attacker on the embedding that this row releases."""
    public = results.trial(scene, scaling, PUBLIC)
    if trial.figures.identity_strongest.value is None and public is not None:
        return public.figures.identity_strongest
    return trial.figures.identity_strongest
