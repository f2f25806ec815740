"""Heads of all folds and draws at once are those of the round loop over a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny

from fedaffect.build import Experiment
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.clients.side import client_side
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.private_head.head_rounds import head_rounds
from fedaffect.reproduce.private_head.head_training import head_client, trained
from fedaffect.reproduce.trial import experiment_of
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid

HEAD = {"data.eval": "loso", "model.release": "head", "federation.rounds": 3}
DP = {"dp.mechanism": "gaussian", "dp.eps": 2.0, "dp.delta": 1e-5}


def experiment(**changes: Any) -> Experiment:
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return experiment_of(Cell("head", "head", tiny(HEAD | dotted), folds=99))


def over_a_grid(e: Experiment, fold: int, key: str | None) -> np.ndarray:
    grid = LocalGrid("head")
    grid.place(client_side(e, "head"))
    training = Training(e, "head", TestNoiseKey(key) if key is not None else None)
    sizes = [len(rows) for rows in e.folds[fold].partition.clients]
    start = e.factory.initial(e.config.run.seed)
    return training.loop(grid).train(start, sizes, fold, lambda outcome: None)


@pytest.mark.parametrize("weights", ["none", "client"])
def test_private_heads_are_those_of_the_round_loop(weights: str) -> None:
    e = experiment(**{k.replace(".", "__"): v for k, v in DP.items()},
                   federation__class_weights=weights)  # fmt: skip
    rounds = head_rounds(e, ["a", "b"])
    released = e.mechanism.blocks.released
    for fold in (0, 3):
        for draw, key in enumerate("ab"):
            params = over_a_grid(e, fold, key)
            np.testing.assert_allclose(rounds.final[fold, draw], params[released], atol=1e-12)
    frozen = np.setdiff1d(np.arange(len(params)), released)
    np.testing.assert_array_equal(params[frozen], e.factory.initial(0)[frozen])
    assert np.abs(rounds.final[:, 0] - rounds.final[:, 1]).min() > 0  # two draws, two heads
    assert rounds.left_out.tolist() == [0, 1, 2, 3, 4]


def test_heads_without_dp_are_those_of_the_round_loop() -> None:
    e = experiment()
    rounds = head_rounds(e, ["unused"])
    params = over_a_grid(e, 2, None)
    np.testing.assert_allclose(rounds.final[2, 0], params[e.mechanism.blocks.released], atol=1e-12)
    assert rounds.noise_sd == 0


def test_added_is_clipped_and_makes_up_the_noised_sum() -> None:
    e = experiment(**{k.replace(".", "__"): v for k, v in DP.items()}, dp__clip=0.05)
    rounds = head_rounds(e, ["a"])
    length = np.linalg.norm(rounds.added, axis=-1)
    assert length.max() <= 0.05 * (1 + 1e-6)
    assert (length > 0.0499).mean() > 0.9  # so short a clip bites
    planned = e.plan.clients_per_round
    takes_part = rounds.left_out[:, None] != np.arange(5)  # (F, P)
    sums = np.einsum("tpfdh,fp->tfdh", rounds.added, takes_part.astype(float))
    noise = planned * np.diff(rounds.heads, axis=0) - sums
    # 3 rounds, 5 folds, 9 numbers: a standard deviation of 135 draws, off by 6 % (one sigma)
    assert noise.std() == pytest.approx(rounds.noise_sd, rel=0.25)
    assert rounds.noise_sd == pytest.approx(0.05 * e.mechanism.scale)


def test_a_release_of_more_than_the_head_is_refused() -> None:
    with pytest.raises(ValueError, match="task:stress"):
        head_rounds(experiment(model__release="adapter"), ["a"])


def test_training_is_a_slow_loop_of_gradient_steps() -> None:
    e = experiment()
    draw = np.random.default_rng(5)
    data = ClientData(0, draw.normal(size=(40, 60)).astype(np.float32),
                      {"stress": (draw.random(40) < 0.3).astype(np.int64)})  # fmt: skip
    model = e.factory.with_params(e.factory.initial(0))
    client, y = head_client(model, data, balanced=True), data.labels["stress"]
    with torch.no_grad():
        h = model.embed({"features": torch.tensor(data.features, dtype=torch.float64)}).numpy()
    inputs = np.hstack([h, np.ones((40, 1))])
    weight = np.where(y == 1, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    plan = TrainPlan(seed=0, local_epochs=7, batch_size=64, lr=0.7, momentum=0.6,
                     optimizer="sgd", max_grad_norm=0.05)  # fmt: skip
    heads = draw.normal(size=(3, inputs.shape[1]))
    moved = heads + trained(heads, client, plan)
    for head, found in zip(heads, moved, strict=True):
        w, v = head.copy(), np.zeros_like(head)
        for _ in range(7):
            g = np.zeros_like(w)
            for x, label, share in zip(inputs, y, weight, strict=True):
                g += share * (1 / (1 + np.exp(-(x @ w))) - label) * x
            if np.sqrt(g @ g) > 0.05:
                g *= 0.05 / np.sqrt(g @ g)
            v = 0.6 * v + g
            w = w - 0.7 * v
        np.testing.assert_allclose(found, w, atol=1e-12)


def test_other_steps_are_refused() -> None:
    e = experiment(federation__batch_size=8)
    with pytest.raises(ValueError, match="full-batch"):
        head_rounds(e, ["a"])
