"""Tables: everything beside public only, scene by scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fedaffect.record import Estimate
from fedaffect.reports.formats import accuracy, epsilon, number, percent, with_chance
from fedaffect.reproduce.private_head import people_scores
from fedaffect.reproduce.private_head.cells import PUBLIC, SCALINGS, Scene
from fedaffect.reproduce.private_head.released_attack import largest_area
from fedaffect.reproduce.private_head.results import SEED, Results
from fedaffect.study_record import ReleaseFigures, StudyTable, TrialRecord

STRESS_COLUMNS = (
    "Trained", "Features", "Stress [people]", "Draws", "Lowest and highest draw",
    "Against public only [people]", "Tested on",
)  # fmt: skip
RELEASE_COLUMNS = (
    "Trained", "Features", "Released numbers", "z", "Break-even people", "True eps, all rounds",
    "Status of simulate",
)  # fmt: skip
ATTACK_COLUMNS = (
    "Trained", "Features", "Strongest attacker on the embedding", "Releases attacked",
    "Took part (AUC)", "Left-out person named",
)  # fmt: skip


def tables(results: Results) -> tuple[StudyTable, ...]:
    """Return three tables for every scene: what is learnt, what is released, what leaks."""
    made = []
    for scene in results.scenes:
        made += [
            StudyTable(
                name=f"stress-{scene.name}",
                caption=f"Balanced accuracy of stress, chance 50 %: {scene.what}",
                columns=STRESS_COLUMNS,
                rows=tuple(row.stress for row in _rows(results, scene)),
            ),
            StudyTable(
                name=f"release-{scene.name}",
                caption=f"What is released, under which promise: {scene.what}",
                columns=RELEASE_COLUMNS,
                rows=tuple(row.release for row in _rows(results, scene)),
            ),
            StudyTable(
                name=f"attacks-{scene.name}",
                caption=f"What attackers find in it: {scene.what}",
                columns=ATTACK_COLUMNS,
                rows=tuple(row.attacks for row in _rows(results, scene)),
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


def _rows(results: Results, scene: Scene) -> Iterator[_Row]:
    for name in results.rows(scene):
        for scaling in SCALINGS:
            trial = results.trial(scene, scaling, name)
            if trial is not None and trial.released is not None:
                yield _Row(results, scene, scaling, name, trial, trial.released)


@dataclass(frozen=True)
class _Row:
    """One trial in the tables of its scene."""

    results: Results
    scene: Scene
    scaling: str
    name: str
    trial: TrialRecord
    mine: ReleaseFigures

    @property
    def stress(self) -> tuple[str, ...]:
        """What is learnt."""
        if self.trial.stopped:
            return (self.trial.what, SCALINGS[self.scaling], self.trial.stopped, *["n/a"] * 4)
        low, high = people_scores.over_draws(self.mine)
        several = len(self.mine.stress) > 1
        gain = self.results.gain(self.scene, self.scaling, self.name)
        return (
            self.trial.what,
            SCALINGS[self.scaling],
            accuracy(people_scores.stress(self.mine, SEED)),
            number(len(self.mine.stress)),
            f"{percent(low)} to {percent(high)}" if several else "no noise",
            "is public only" if self.name == PUBLIC else points(gain),
            f"{self.mine.tested_on} ({len(self.mine.people)})",
        )

    @property
    def release(self) -> tuple[str, ...]:
        """What leaves the devices, and what that costs."""
        mine = self.mine
        return (
            self.trial.what,
            SCALINGS[self.scaling],
            f"{number(mine.numbers)} x {mine.rounds}" if mine.numbers else "none",
            number(mine.noise_multiplier),
            number(mine.break_even),
            self._true_eps,
            mine.simulated_status,
        )

    @property
    def attacks(self) -> tuple[str, ...]:
        """What it gives away."""
        mine = self.mine
        return (
            self.trial.what,
            SCALINGS[self.scaling],
            with_chance(self._embedding),
            number(mine.attacked_releases) if mine.attacked_releases else "none",
            self._membership,
            mine.left_out.note if mine.left_out.value is None else with_chance(mine.left_out),
        )

    @property
    def _membership(self) -> str:
        """The area of the attacker, with what the promise allows."""
        mine = self.mine
        if mine.membership.value is None:
            return mine.membership.note
        text = with_chance(mine.membership)
        if mine.noise_multiplier is None:
            return text
        most = largest_area(mine.noise_multiplier, mine.attacked_releases)
        return f"{text}, at most {percent(most)}"

    @property
    def _true_eps(self) -> str:
        if not self.mine.numbers:
            return "0"
        if self.trial.claimed is not None:
            return epsilon(self.trial.claimed.true_eps_total)
        return "unbounded" if self.mine.eps is None else epsilon(self.mine.eps)

    @property
    def _embedding(self) -> Estimate:
        """The strongest attacker on the embedding that this row releases."""
        public = self.results.trial(self.scene, self.scaling, PUBLIC)
        if self.trial.figures.identity_strongest.value is None and public is not None:
            return public.figures.identity_strongest
        return self.trial.figures.identity_strongest
