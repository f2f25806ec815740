"""The round loop over the in-process engine, against the round written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import RAGGED, tiny, train_experiment, train_placed

from fedaffect.build import Experiment, build
from fedaffect.clients.local import Trainer
from fedaffect.clients.side import client_side
from fedaffect.errors import ClientsLostError, PrivacyError
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.server.rounds import mechanism_bounds
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid

DP = {"dp.mechanism": "gaussian", "dp.eps": 8, "dp.clip": 0.2, "dp.unsafe_test_noise": "k"}


def experiment_of(changes: dict[str, object]) -> Experiment:
    return build(tiny(RAGGED | {"federation.rounds": 1} | changes))


def spoiled(experiment: Experiment, *clients: int) -> Experiment:
    """Return ``experiment`` where training of some clients ends in NaN."""
    (fold,) = experiment.folds
    features = fold.features.copy()
    for client in clients:
        features[fold.partition.clients[client][0]] = np.nan
    return replace(experiment, folds=(replace(fold, features=features),))


def updates_of(
    experiment: Experiment, params: np.ndarray, server_round: int, fold: int = 0
) -> list[np.ndarray]:
    """Each client's update, every one trained by a trainer of its own."""
    side = client_side(experiment)
    updates = []
    for data in side.folds[fold]:
        trainer = Trainer(side.factory.build(), side.strategy, side.plan)
        update, _ = trainer.train(torch.from_numpy(params.copy()), data, fold, server_round)
        updates.append(update.numpy())
    return updates


def noise_of(experiment: Experiment, release: int = 1, key: str = "k") -> np.ndarray:
    """The noise of a release under a test key, whatever the sum."""
    mechanism = experiment.mechanism
    empty = ClippedSum(
        np.zeros(experiment.factory.layout.size), 0, mechanism_bounds(mechanism), mechanism.norm
    )
    noise: np.ndarray = mechanism.add_noise(empty, TestNoiseKey(key), release).total
    return noise


def run(experiment: Experiment) -> Training:
    return train_experiment(LocalGrid("test"), experiment)


def test_fedavg_weighs_clients_by_their_windows() -> None:
    experiment = experiment_of({"federation.rounds": 2})
    training = run(experiment)
    sizes = [len(rows) for rows in experiment.folds[0].partition.clients]
    assert len(set(sizes)) > 1
    params = experiment.factory.initial(0)
    for server_round in (1, 2):
        mean = np.zeros_like(params)
        for size, update in zip(sizes, updates_of(experiment, params, server_round), strict=True):
            mean += size / sum(sizes) * update  # |D_i| / |D|
        params = params + mean
    np.testing.assert_allclose(training.params[0], params, rtol=0, atol=1e-13)


def test_clients_that_fail_leave_the_mean_to_the_others() -> None:
    experiment = experiment_of({})
    training = run(spoiled(experiment, 1, 3))
    params = experiment.factory.initial(0)
    updates = updates_of(experiment, params, 1)
    sizes = {i: len(experiment.folds[0].partition.clients[i]) for i in (0, 2, 4)}
    expected = params + sum(n / sum(sizes.values()) * updates[i] for i, n in sizes.items())
    np.testing.assert_allclose(training.params[0], expected, rtol=0, atol=1e-13)
    (record,) = training.rounds
    assert (record.clients, record.clients_planned) == (3, 5)
    assert [line.partition(":")[0] for line in record.rejected] == ["client 1", "client 3"]


@pytest.mark.parametrize("lost", [(), (1, 3)])
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_dp_divides_by_the_planned_number_of_clients(lost: tuple[int, ...], mechanism: str) -> None:
    experiment = experiment_of(DP | {"dp.mechanism": mechanism})
    training = run(spoiled(experiment, *lost))
    params = experiment.factory.initial(0)
    order = 2 if mechanism == "gaussian" else 1
    total, longest = np.zeros_like(params), 0.0
    for i, update in enumerate(updates_of(experiment, params, 1)):
        norm = float(np.linalg.norm(update, order))
        longest = max(longest, norm)
        if i not in lost:
            total += update * min(1.0, 0.2 / norm)
    assert longest > 0.2  # the clip binds
    noise = noise_of(experiment)
    assert np.abs(noise).max() > 0
    np.testing.assert_allclose(training.params[0], params + (total + noise) / 5, rtol=0, atol=1e-12)


def test_dp_releases_noise_even_when_nobody_is_drawn() -> None:
    rare = {"federation.sampler": "bernoulli", "federation.fraction": 0.05}
    keyed = {"dp.mechanism": "moments", "dp.unsafe_test_noise": "a"}
    assert TestNoiseKey("a").draws("").bernoulli(1, list(range(5)), 0.05) == []
    experiment = experiment_of(DP | keyed | rare)
    training = run(experiment)
    noise = noise_of(experiment, key="a")
    assert np.array_equal(training.params[0], experiment.factory.initial(0) + noise / (5 * 0.05))
    assert training.rounds[0].clients is None  # who took part stays secret


def test_every_fold_has_noise_of_its_own() -> None:
    loso = {"data.eval": "loso", "data.partition": "subject", "federation.clients": 4}
    experiment = experiment_of(DP | loso)
    training = run(experiment)
    start, clip = experiment.factory.initial(0), 0.2
    for fold, params in enumerate(training.params):
        noise = noise_of(experiment, fold + 1)
        total = sum(
            (u * min(1.0, clip / float(np.linalg.norm(u))))
            for u in updates_of(experiment, start, 1, fold)
        )
        np.testing.assert_allclose(params, start + (total + noise) / 4, rtol=0, atol=1e-12)
    assert len(training.params) == experiment.plan.releases == 5


def test_without_dp_a_round_without_clients_changes_nothing() -> None:
    rare = {"federation.sampler": "bernoulli", "federation.fraction": 0.001}
    experiment = experiment_of(rare)
    training = run(experiment)
    assert np.array_equal(training.params[0], experiment.factory.initial(0))
    assert training.rounds[0].clients == 0


def test_grid_that_hosts_nobody_is_e701() -> None:
    experiment = build(tiny({}))
    grid = LocalGrid("test")
    grid.place(replace(client_side(experiment), folds=((),)))
    with pytest.raises(ClientsLostError, match="none of 1 nodes hosts a client"):
        train_placed(grid, experiment)


def test_private_release_needs_key_and_ledger() -> None:
    experiment = experiment_of(DP)
    for key in (None, SecretNoiseKey(b"0" * 32)):
        grid = LocalGrid("test")
        grid.place(client_side(experiment))
        with pytest.raises(PrivacyError) as caught:
            Training(experiment, key=key, evaluate_rounds=False).run(grid)
        assert caught.value.code == "E410"


def test_fedprox_with_mu_zero_is_fedavg() -> None:
    plain = run(experiment_of({})).params[0]
    prox = run(experiment_of({"federation.strategy": "fedprox", "federation.mu": 0})).params[0]
    assert np.array_equal(prox, plain)


def test_fedprox_holds_clients_near_the_global_model() -> None:
    moved = []
    for mu in (0, 0.5, 4, 30):
        gentle: dict[str, object] = {
            "federation.lr": 0.02,
            "federation.momentum": 0,
            "federation.local_epochs": 5,
        }
        prox: dict[str, object] = {"federation.strategy": "fedprox", "federation.mu": mu}
        experiment = experiment_of(gentle | prox)
        moved.append(
            float(np.linalg.norm(run(experiment).params[0] - experiment.factory.initial(0)))
        )
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < moved[0] / 4


def test_folds_train_one_after_another_from_the_same_start() -> None:
    experiment = build(tiny({"data.eval": "loso", "federation.rounds": 1, "federation.clients": 4}))
    training = run(experiment)
    assert len(training.params) == len(experiment.folds) == 5
    assert [(r.fold, r.round) for r in training.rounds] == [(f, 1) for f in range(5)]
    # fold 3 alone gives the model that it gives after folds 0 to 2
    alone = replace(experiment, folds=(experiment.folds[3],))
    side = client_side(experiment)
    grid = LocalGrid("test")
    grid.place(side)
    again = train_placed(grid, alone)
    assert np.array_equal(again.params[0], training.params[3])


@pytest.mark.parametrize("key", ["run.seed", "federation.lr", "federation.batch_size"])
def test_settings_reach_the_clients(key: str) -> None:
    value = {"run.seed": 1, "federation.lr": 0.05, "federation.batch_size": 7}[key]
    assert not np.allclose(
        run(experiment_of({key: value})).params[0] - run(experiment_of({})).params[0], 0, atol=1e-9
    )
