"""What is planted in simulated people is found: a head wins where there is something to win."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from fedaffect.reproduce.private_head import PrivateHead, cells, people_scores
from fedaffect.reproduce.private_head.cells import BUDGETS, COMPARED, OPEN, PUBLIC, budget_row
from fedaffect.reproduce.private_head.measure import measure
from fedaffect.reproduce.private_head.released_attack import largest_area
from fedaffect.reproduce.study import Options
from fedaffect.reproduce.task import Task
from fedaffect.study_record import ReleaseFigures, TrialRecord

pytestmark = pytest.mark.slow  # public people are simulated, and a backbone is trained on them
OPTIONS = Options()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study with the backbone of public people in it."""
    study = tmp_path_factory.mktemp("study")
    PrivateHead().prepare(OPTIONS, study)
    return study


def trial(folder: Path, scene: str, row: str, draws: int = 10) -> TrialRecord:
    people = cells.scale_of(OPTIONS).people
    name = cells.cell_name(scene, "subject", row)
    (cell,) = [c for c in cells.cells(OPTIONS, people) if c.name == name]
    small = replace(cell, draws=min(draws, cell.draws), attacked=False)
    return measure(Task(measure, small, False, folder, "key"))


@lru_cache
def released(folder: Path, scene: str, row: str) -> ReleaseFigures:
    found = trial(folder, scene, row).released
    assert found is not None
    return found


def test_the_head_regains_what_is_gained_without_dp(folder: Path) -> None:
    start, open_ = released(folder, "shifted", PUBLIC), released(folder, "shifted", OPEN)
    private = released(folder, "shifted", budget_row(COMPARED))
    assert (private.eps, private.delta, private.simulated_status) == (2.0, 1e-5, "FORMAL")
    assert len(private.stress) == 10
    possible = people_scores.gain(open_, start, 0)
    assert possible.low is not None and possible.low > 0.03  # there is something to win
    share = people_scores.regained(private, open_, start, 0)
    assert share.value is not None and share.value >= 0.8
    gain = people_scores.gain(private, start, 0)
    assert gain.low is not None and gain.low > 0
    area, z = private.membership, private.noise_multiplier
    assert area.low is not None and z is not None
    assert area.low < largest_area(z, private.rounds)  # no more than the promise allows


def test_the_head_gains_nothing_where_nothing_is_to_be_gained(folder: Path) -> None:
    start = released(folder, "control", PUBLIC)
    for row in (OPEN, budget_row(COMPARED)):
        gain = people_scores.gain(released(folder, "control", row), start, 0)
        assert gain.value is not None and gain.value < 0.01


def test_attackers_on_released_heads_see_more_of_a_larger_budget(folder: Path) -> None:
    areas = []
    for eps in (BUDGETS[0], BUDGETS[-1]):
        found = trial(folder, "shifted", budget_row(eps), draws=3).released
        assert found is not None and found.membership.value is not None
        areas.append(found.membership.value)
    assert areas[0] < 0.6 < areas[1]
    open_ = released(folder, "shifted", OPEN)
    assert open_.membership.value == 1 and open_.left_out.value == 1
    assert released(folder, "shifted", PUBLIC).membership.note.startswith("not run")


def test_draws_repeat_and_differ(folder: Path) -> None:
    first, again = (trial(folder, "shifted", budget_row(1), draws=2).released for _ in range(2))
    assert first == again
    assert first is not None
    assert len(np.unique(np.array(first.stress).mean(axis=1))) == 2


@pytest.mark.parametrize(("row", "unit"), [("local", "held-out blocks"), (PUBLIC, "unseen")])
def test_what_was_tested_on_is_said(folder: Path, row: str, unit: str) -> None:
    found = released(folder, "control", row)
    assert unit in found.tested_on and found.numbers == 0
    if row == PUBLIC:
        np.testing.assert_array_equal(found.stress[0], found.public)
    else:
        assert found.stress[0] != found.public
