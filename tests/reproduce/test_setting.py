"""The training setting is chosen without a look at what is tested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_study import PRINTED, cell

from fedaffect.build import Experiment
from fedaffect.reproduce.setting import Setting, best, held_out_loss, validation_loss
from fedaffect.reproduce.trial import experiment_of


def spoiled(experiment: Experiment, rows: np.ndarray) -> Experiment:
    """Return ``experiment`` with features, labels and people of ``rows`` (N,) bool made wrong."""
    fold, table = experiment.folds[0], experiment.table
    features, stress, identity = fold.features.copy(), table.stress.copy(), fold.identity.copy()
    features[rows] = 7.0
    stress[rows] = 1 - stress[rows]
    identity[rows] = 0
    other = replace(fold, features=features, identity=identity)
    return replace(experiment, folds=(other,), table=replace(table, stress=stress))


def test_test_windows_do_not_count_and_training_windows_do() -> None:
    experiment = experiment_of(cell(data__eval="random"))
    fold = experiment.folds[0]
    loss = held_out_loss(experiment)
    assert held_out_loss(spoiled(experiment, fold.stress_test | fold.identity_test)) == loss
    assert held_out_loss(spoiled(experiment, fold.train)) != loss


def test_a_net_that_does_not_move_has_the_loss_of_its_first_answers() -> None:
    experiment = experiment_of(cell(data__eval="random"))
    still = experiment_of(cell(data__eval="random", federation__lr=1e-12))
    fold = experiment.folds[0]
    model = experiment.factory.with_params(experiment.factory.initial(0))
    rows = np.sort(np.concatenate(fold.partition.clients))
    with torch.inference_mode():
        said = model({"features": torch.tensor(fold.features[rows], dtype=torch.float64)})
    by_hand = 0.0
    for task, truth in (("stress", experiment.table.stress), ("identity", fold.identity)):
        logits = said[task].numpy()
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        right = shifted[np.arange(len(rows)), truth[rows]] / shifted.sum(axis=1)
        by_hand -= float(np.mean(np.log(right)))
    # the held-out fifth is a sample of these windows
    assert held_out_loss(still) == pytest.approx(by_hand, rel=0.05)


@pytest.mark.slow
def test_a_setting_that_learns_beats_the_printed_one() -> None:
    learns = cell(data__eval="random", federation__rounds=8, federation__local_epochs=2)
    printed = replace(learns, config=PRINTED.of(learns.config))
    losses = {PRINTED: validation_loss(printed), Setting(0.1): validation_loss(learns)}
    assert best(losses) == Setting(0.1)


def test_the_smallest_finite_loss_is_chosen_and_the_first_of_equals() -> None:
    losses = {Setting(0.3): None, Setting(0.2): 2.0, Setting(0.1): 1.0, Setting(0.05): 1.0}
    assert best(losses) == Setting(0.1)


def test_a_training_that_diverges_has_no_loss() -> None:
    wild = cell(federation__lr=1e200, federation__max_grad_norm="none", federation__rounds=4)
    assert validation_loss(wild) is None


def test_a_setting_is_written_into_the_configuration() -> None:
    config = PRINTED.of(cell().config)
    f = config.federation
    assert (f.lr, f.momentum, f.max_grad_norm, f.local_epochs) == (0.0005, 0.0, "none", 1)
