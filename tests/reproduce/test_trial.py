"""A trial is what ``simulate`` would train, one run of the ledger a fold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_study import cell

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer
from fedaffect.clients.side import client_side
from fedaffect.home import state_home
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.reproduce.trial import experiment_of, train, trial
from fedaffect.simulation import simulate

GAUSSIAN1 = {"dp__mechanism": "paper-gaussian1", "dp__eps_per_round": 5.0}


def releases_of() -> dict[str, int]:
    home = state_home()
    with Ledger.open(home, "synthetic", SecretNoiseKey.load(home)) as ledger:
        return ledger.runs()


def test_a_trial_is_that_of_simulate(tmp_path: Path) -> None:
    asked = cell(data__eval="blocks", dp__noise_layers="task:identity", **GAUSSIAN1)
    record = simulate(asked.config.replace({"run.out": tmp_path / "run"}))
    measured = trial(asked, "another", tmp_path)
    # equal inputs, equal key: the very same noise, whatever the name of the run
    assert measured.figures == record.figures
    assert measured.claimed is not None
    worth = record.privacy["true_value_of_paper_claim"]
    assert measured.claimed.true_eps_per_round == worth["eps_per_round"]


def test_every_fold_is_charged_as_a_run_of_its_own_and_repeating_is_free(tmp_path: Path) -> None:
    asked = cell(data__eval="random", most={"folds": 2}, dp__noise_layers="all", **GAUSSIAN1)
    first = trial(asked, "folds", tmp_path / "a")
    spent = {run: n for run, n in releases_of().items() if run.startswith("folds")}
    assert spent == {"folds-0": 2, "folds-1": 2}
    assert first.folds == 2
    again = trial(asked, "folds", tmp_path / "b")
    assert again.model_copy(update={"seconds": first.seconds}) == first
    assert {run: n for run, n in releases_of().items() if run.startswith("folds")} == spent


def test_the_worth_of_a_claim_is_that_of_the_golden_table(tmp_path: Path) -> None:
    asked = cell(data__eval="blocks", dp__delta=1e-5, **GAUSSIAN1)
    claimed = trial(asked, "worth", tmp_path).claimed
    assert claimed is not None
    # sd = Df sqrt(2 ln(1.25 / delta)) / eps with Df = 2C / 1000 (Dwork & Roth 2014)
    assert claimed.noise_sd == pytest.approx(0.002 * math.sqrt(2 * math.log(1.25e5)) / 5)
    # privacy notes, section 2: a claimed eps of 5 is 536,947 for one round, sensitivity 2C
    assert claimed.true_eps_per_round == pytest.approx(536_947, rel=1e-5)
    assert (claimed.unit, claimed.adjacency, claimed.rounds) == ("client", "replace_one", 2)


def test_noise_for_t_rounds_counts_the_rounds_of_one_fold(tmp_path: Path) -> None:
    asked = cell(
        data__eval="random", dp__mechanism="paper-gaussian2", dp__eps_per_round=5.0,
        dp__delta=1e-5,
    )  # fmt: skip
    claimed = trial(asked, "t-rounds", tmp_path).claimed
    assert claimed is not None
    # Eq. 13: Df sqrt(2 q T ln(1/delta)) / eps with q = 1 and T = 2, not 5 folds of 2
    expected = 0.002 * math.sqrt(2 * 2 * math.log(1e5)) / 5
    assert claimed.noise_sd == pytest.approx(expected)


def test_one_client_is_central_training() -> None:
    asked = cell(data__eval="blocks", federation__clients=1, federation__rounds=3)
    experiment = experiment_of(asked)
    fold, side = experiment.folds[0], client_side(experiment)
    trainer = Trainer(side.factory.build(), side.strategy, side.plan)
    rows = np.flatnonzero(fold.train)
    labels = {"stress": experiment.table.stress[rows], "identity": fold.identity[rows]}
    pooled = ClientData(0, fold.features[rows], labels)
    params = torch.as_tensor(side.factory.initial(0))
    for epoch in (1, 2, 3):
        update, _ = trainer.train(params, pooled, 0, epoch)
        params = params + update
    federated = train(experiment, "central").params[0]
    np.testing.assert_allclose(federated, params.numpy(), rtol=0, atol=1e-12)


def test_windows_and_enrolment_are_limited_and_nobody_is_lost() -> None:
    whole = experiment_of(cell(data__eval="random"))
    small = experiment_of(cell(data__eval="random", most={"windows": 9, "enrolled": 12}))
    before, after = whole.folds[0], small.folds[0]
    for dealt, kept in zip(before.partition.clients, after.partition.clients, strict=True):
        assert len(kept) == 9
        assert set(kept) < set(dealt)
    assert after.enrol.sum() <= 12 + len(small.table.subjects)
    assert not (after.enrol & ~before.enrol).any()
    people = small.table.subject
    assert set(people[after.enrol]) == set(people[before.enrol])
    assert len(experiment_of(cell(data__eval="random", most={"folds": 3})).folds) == 3


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    asked = cell(
        data__eval="blocks", federation__lr=1e200, federation__max_grad_norm="none",
        federation__rounds=4,
    )  # fmt: skip
    measured = trial(asked, "diverged", tmp_path)
    assert measured.stopped.startswith("diverged")
    assert measured.model_dump_json()  # no figure is infinite
