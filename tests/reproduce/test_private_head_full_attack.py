"""The attacker on a whole network: what it expects differs from what it sees by the noise alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import tiny

from fedaffect.build import Experiment
from fedaffect.private_training import train_privately
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.private_head.full_attack import (
    EveryRelease,
    FirstRelease,
    Watched,
    attack_on,
)
from fedaffect.reproduce.trial import experiment_of, train

GAUSSIAN = {"dp.mechanism": "gaussian", "dp.eps": 2.0, "dp.delta": 1e-5}
STRESS = {"model.tasks": ("stress",), "federation.batch_size": 4096}
PAPER = {
    "dp.mechanism": "paper-gaussian1",
    "dp.eps_per_round": 2.0,
    "dp.delta": 1e-5,
    "dp.noise_layers": "all",
}


def experiment(changes: dict[str, Any]) -> Experiment:
    config = tiny(
        {
            "data.eval": "loso",
            "model.release": "full",
            "run.dtype": "float64",
            "dp.unsafe_test_noise": "key" if "dp.mechanism" in changes else None,
            **changes,
        }
    )
    return experiment_of(Cell("whole", "whole", config, folds=3))


def attacked(e: Experiment, fold: int, folder: Path) -> np.ndarray:
    """Return the log-likelihoods of one training of ``fold``."""
    attack = attack_on(e)
    watched = Watched(attack.watch_uploads)
    alone = replace(e, folds=(replace(e.folds[fold], number=0),))
    outcome = train_privately(
        alone, "run", folder,
        lambda key, budget, account: train(alone, "run", key, budget, account, on_uploads=watched),
    )  # fmt: skip
    return attack.likelihoods(fold, watched, outcome.training.params[-1])


@pytest.mark.parametrize(
    ("changes", "kind"),
    [(GAUSSIAN | STRESS, EveryRelease), (GAUSSIAN, FirstRelease), (PAPER, FirstRelease)],
)
def test_what_is_left_of_the_truth_is_noise_of_the_size_that_is_claimed(
    changes: dict[str, Any], kind: type, tmp_path: Path
) -> None:
    e = experiment(changes)
    attack = attack_on(e)
    assert isinstance(attack, kind)
    found = attacked(e, 1, tmp_path)
    numbers = attack.releases * len(e.mechanism.blocks.released)
    squares = -2 * found[attack.left_out[1]]  # chi-squared of that many degrees of freedom
    assert abs(squares / numbers - 1) < 5 * np.sqrt(2 / numbers)


@pytest.mark.parametrize("defence", ["none", "gradient-reversal", "head-local"])
def test_without_noise_nothing_is_left_of_the_truth(defence: str, tmp_path: Path) -> None:
    e = experiment({"defence.name": defence})
    attack = attack_on(e)
    assert isinstance(attack, FirstRelease)  # whoever is absent renumbers the others
    for fold in range(3):
        found = attacked(e, fold, tmp_path)
        assert found.argmax() == fold
        off = np.sqrt(-2 * found) * 1e-9  # distance of a step from what is expected
        assert off[fold] < 1e-12 < 1e-6 < np.delete(off, fold).min()


def test_a_lost_upload_leaves_no_figure(tmp_path: Path) -> None:
    e = experiment(GAUSSIAN | STRESS)
    attack, start = attack_on(e), e.factory.initial(0)
    rows = np.zeros((len(e.folds[0].seen) - 1, len(start)))
    assert np.isnan(attack.likelihoods(0, Watched(True, [start], [rows]), start)).all()
