"""Whole networks, fold by fold and draw by draw: nothing is charged, and the true eps is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from fedaffect.home import state_home
from fedaffect.privacy.ledger import ledger_path
from fedaffect.reproduce.private_head.cells import HeadCell
from fedaffect.reproduce.private_head.measure import measure
from fedaffect.reproduce.task import Task
from fedaffect.study_record import TrialRecord


def full(folder: Path, draws: int = 1, **changes: Any) -> TrialRecord:
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    config = tiny({"data.eval": "loso", "model.release": "full", **dotted})
    cell = HeadCell("full", "full", config, folds=2, kind="full", draws=draws, attacked=True)
    return measure(Task(measure, cell, False, folder, "key"))


def test_the_paper_s_noise_has_a_claim_and_its_worth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    trial = full(tmp_path, 1, dp__mechanism="paper-gaussian1", dp__eps_per_round=5.0,
                 dp__delta=1e-5, dp__noise_layers="all")  # fmt: skip
    assert trial.claimed is not None and trial.released is not None
    # as in test_trial: a claimed eps of 5 is 536,947 for one round, sensitivity 2C
    assert abs(trial.claimed.true_eps_per_round / 536_947 - 1) < 1e-5
    assert (trial.claimed.eps_per_round, trial.claimed.rounds) == (5.0, 2)
    assert trial.claimed.true_eps_total is not None
    assert trial.claimed.true_eps_total > trial.claimed.true_eps_per_round
    # noise worth that much hides nobody: one release names who was left out, of the two tried
    assert trial.released.attacked_releases == 1
    assert trial.released.left_out.chance == 1 / 2
    assert (trial.released.membership.value, trial.released.left_out.value) == (1, 1)
    assert not ledger_path(state_home(), "synthetic").exists()  # test noise is never charged


def test_full_release_under_the_budget_of_the_head_draws_noise_anew_in_every_fold(
    tmp_path: Path,
) -> None:
    trial = full(tmp_path, 2, dp__mechanism="gaussian", dp__eps=2.0, dp__delta=1e-5,
                 model__tasks=("stress",), federation__batch_size=4096)  # fmt: skip
    assert trial.status == "NONE"  # of these models
    assert trial.released is not None
    assert trial.released.simulated_status == "FORMAL"
    assert trial.released.numbers == trial.released.parameters > 1000
    assert trial.released.rounds == 2 and trial.folds == 2
    assert trial.released.attacked_releases == 2
    assert trial.released.left_out.chance == 1 / 5  # any of the five people
    # a fold is a run of its own: z is that of two releases, not of two for each of five people
    assert trial.released.noise_multiplier is not None
    assert 2.5 < trial.released.noise_multiplier < 3.2  # sqrt(2) z(2, 1e-5)
