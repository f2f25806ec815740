"""Local training against a slow loop in float64 that shares no code with it but the network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.clients.local import (
    ClientData,
    Trainer,
    TrainPlan,
)
from fedaffect.clients.loss import multitask_loss, per_sample_losses
from fedaffect.models.base import MISSING_LABEL, Task
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.rng import generator
from fedaffect.strategies.base import Strategy
from fedaffect.strategies.fedavg import FedAvg
from fedaffect.strategies.fedprox import FedProx

PLAN = TrainPlan(
    seed=3,
    local_epochs=2,
    batch_size=5,
    lr=0.1,
    momentum=0.9,
    optimizer="sgd",
    max_grad_norm=1.0,
)
FACTORY = ModelFactory(StressIdentityCNN, {"n_features": 20, "n_identities": 3}, "float64")
START = FACTORY.initial(0)


def client(client_id: int, n: int, masked: str = "") -> ClientData:
    """Return ``n`` windows; ``masked`` hides some labels of identity, or all."""
    draw = np.random.default_rng(client_id)
    identity = draw.integers(0, 3, n)
    if masked == "some":
        identity[draw.random(n) < 0.5] = MISSING_LABEL
    if masked == "all":
        identity[:] = MISSING_LABEL
    return ClientData(
        client_id,
        draw.normal(size=(n, 20)).astype(np.float32),
        {"stress": draw.integers(0, 2, n), "identity": identity},
    )


def trained(
    data: ClientData,
    plan: TrainPlan = PLAN,
    strategy: Strategy | None = None,
    server_round: int = 4,
    frozen: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    trainer = Trainer(FACTORY.build(), strategy or FedAvg(), plan, frozen)
    update, loss = trainer.train(torch.from_numpy(START.copy()), data, 1, server_round)
    return update.numpy(), loss


def slow(
    data: ClientData,
    plan: TrainPlan,
    mu: float,
    server_round: int,
    moving: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, float]:
    """One round written out: one window at a time, arithmetic of the optimiser in NumPy."""
    w, velocity, square = START.copy(), np.zeros_like(START), np.zeros_like(START)
    order_of = generator(plan.seed, "batch", 1, data.client_id, server_round)
    losses, step = [], 0
    for _ in range(plan.local_epochs):
        order = order_of.permutation(len(data))
        for first in range(0, len(order), plan.batch_size):
            loss, gradient = gradient_at(w, data, order[first : first + plan.batch_size])
            losses.append(loss)
            gradient = gradient + mu * (w - START)  # of mu / 2 ||w - w_global||^2
            gradient = gradient * moving
            length = float(np.sqrt(np.sum(gradient**2)))
            if plan.max_grad_norm is not None and length > plan.max_grad_norm:
                gradient = gradient / length * plan.max_grad_norm
            step += 1
            if plan.optimizer == "sgd":
                velocity = plan.momentum * velocity + gradient
                w = w - plan.lr * velocity
            else:  # Kingma & Ba 2015, algorithm 1, beta 0.9 and 0.999, eps 1e-8
                velocity = 0.9 * velocity + 0.1 * gradient
                square = 0.999 * square + 0.001 * gradient**2
                mean, spread = velocity / (1 - 0.9**step), square / (1 - 0.999**step)
                w = w - plan.lr * mean / (np.sqrt(spread) + 1e-8)
    return w - START, float(np.mean(losses))


def gradient_at(w: np.ndarray, data: ClientData, chosen: np.ndarray) -> tuple[float, np.ndarray]:
    model = FACTORY.with_params(w)
    total = torch.zeros((), dtype=torch.float64)
    for task in ("stress", "identity"):
        known = [i for i in chosen if data.labels[task][i] != MISSING_LABEL]
        for i in known:
            logits = model({"features": torch.tensor(data.features[i : i + 1]).double()})[task][0]
            right = logits[data.labels[task][i]]
            total = total + (torch.logsumexp(logits, 0) - right) / len(known)
    total.backward()
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return total.item(), np.concatenate([p.numpy().ravel() for p in parts])


@pytest.mark.parametrize("masked", ["", "some", "all"])
@pytest.mark.parametrize("mu", [0.0, 0.3])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_grad_norm": None, "lr": 0.02},
        {"max_grad_norm": 0.05, "momentum": 0.0},
        {"optimizer": "adam", "lr": 0.003},
    ],
    ids=["sgd", "unbounded", "short steps", "adam"],
)
def test_update_is_that_of_a_slow_loop(masked: str, mu: float, changes: dict[str, object]) -> None:
    plan, data = replace(PLAN, **changes), client(7, 12, masked)  # type: ignore[arg-type]
    update, loss = trained(data, plan, FedProx(mu=mu))
    expected, expected_loss = slow(data, plan, mu, 4)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(update, expected, rtol=0, atol=1e-12)
    assert loss == pytest.approx(expected_loss, abs=1e-12)


@pytest.mark.parametrize("block", ["shared", "task:stress", "task:identity"])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "adam", "lr": 0.003}], ids=["sgd", "adam"])
def test_frozen_coordinates_stay_and_do_not_count(block: str, changes: dict[str, object]) -> None:
    frozen = np.zeros(len(START), dtype=bool)
    frozen[FACTORY.layout.indices(block)] = True
    plan = replace(PLAN, max_grad_norm=0.2, **changes)  # type: ignore[arg-type]
    update, loss = trained(client(7, 12), plan, FedProx(mu=0.3), frozen=frozen)
    expected, expected_loss = slow(client(7, 12), plan, 0.3, 4, moving=~frozen)
    assert not update[frozen].any() and update[~frozen].any()
    np.testing.assert_allclose(update, expected, rtol=0, atol=1e-12)
    assert loss == pytest.approx(expected_loss, abs=1e-12)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 17), st.integers(1, 20), st.integers(1, 3), st.integers(1, 9))
def test_any_size_and_batch(n: int, batch_size: int, local_epochs: int, server_round: int) -> None:
    plan = replace(PLAN, batch_size=batch_size, local_epochs=local_epochs)
    update, loss = trained(client(2, n), plan, FedAvg(), server_round)
    expected, expected_loss = slow(client(2, n), plan, 0.0, server_round)
    np.testing.assert_allclose(update, expected, rtol=0, atol=1e-11)
    assert loss == pytest.approx(expected_loss, abs=1e-11)


def test_plain_gradient_descent_in_one_step() -> None:
    data = client(1, 6)
    plan = replace(PLAN, local_epochs=1, batch_size=6, momentum=0.0, max_grad_norm=None)
    _, gradient = gradient_at(START, data, np.arange(6))
    np.testing.assert_allclose(trained(data, plan)[0], -0.1 * gradient, rtol=0, atol=1e-14)


def test_longest_step_is_the_gradient_norm_bound() -> None:
    plan = replace(PLAN, local_epochs=1, batch_size=50, momentum=0.0, max_grad_norm=1e-4)
    update, _ = trained(client(1, 6), plan)
    assert np.linalg.norm(update) == pytest.approx(0.1 * 1e-4, rel=1e-9)


def test_update_does_not_depend_on_who_trained_before() -> None:
    clients = [client(i, 5 + 3 * i, "some" if i % 2 else "") for i in range(4)]
    for changes in ({}, {"optimizer": "adam", "lr": 0.003}):
        plan = replace(PLAN, **changes)  # type: ignore[arg-type]
        alone = [trained(c, plan)[0] for c in clients]
        trainer = Trainer(FACTORY.build(), FedAvg(), plan)
        for i in (2, 0, 3, 3, 1, 0, 2):
            update, _ = trainer.train(torch.from_numpy(START.copy()), clients[i], 1, 4)
            assert np.array_equal(update.numpy(), alone[i])


def test_update_survives_a_client_that_diverged_before() -> None:
    broken = client(9, 8)
    broken.features[3, 2] = np.nan
    trainer = Trainer(FACTORY.build(), FedAvg(), PLAN)
    ruined, _ = trainer.train(torch.from_numpy(START.copy()), broken, 1, 4)
    assert not np.isfinite(ruined.numpy()).all()
    update, _ = trainer.train(torch.from_numpy(START.copy()), client(1, 8), 1, 4)
    assert np.array_equal(update.numpy(), trained(client(1, 8))[0])


def test_global_randomness_is_neither_used_nor_moved() -> None:
    seen = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        states = torch.random.get_rng_state(), np.random.get_state(legacy=True)[1].copy()
        seen.append(trained(client(1, 8))[0])
        assert torch.equal(torch.random.get_rng_state(), states[0])
        assert np.array_equal(np.random.get_state(legacy=True)[1], states[1])
    assert np.array_equal(seen[0], seen[1])


def test_inputs_stay_as_they_were() -> None:
    data, start = client(1, 8, "some"), torch.from_numpy(START.copy())
    before = data.features.copy(), {t: y.copy() for t, y in data.labels.items()}
    Trainer(FACTORY.build(), FedProx(mu=0.1), PLAN).train(start, data, 1, 4)
    assert np.array_equal(start.numpy(), START)
    assert np.array_equal(data.features, before[0])
    assert all(np.array_equal(data.labels[t], y) for t, y in before[1].items())


@pytest.mark.parametrize("name", ["seed", "fold", "round", "client"])
def test_batch_order_follows_its_four_names(name: str) -> None:
    def update(seed: int = 3, fold: int = 1, round_: int = 4, client_id: int = 7) -> np.ndarray:
        data = replace(client(7, 12), client_id=client_id)
        trainer = Trainer(FACTORY.build(), FedAvg(), replace(PLAN, seed=seed))
        return trainer.train(torch.from_numpy(START.copy()), data, fold, round_)[0].numpy()

    other = {"seed": 4, "fold": 2, "round_": 5, "client_id": 8}
    key = {"round": "round_", "client": "client_id"}.get(name, name)
    assert np.array_equal(update(), update())
    assert not np.allclose(update(), update(**{key: other[key]}), rtol=0, atol=1e-9)


def test_loss_counts_labelled_windows_only() -> None:
    tasks = (
        Task("stress", "classification", 2, "primary"),
        Task("arousal", "regression", 1, "auxiliary"),
    )
    draw = np.random.default_rng(0)
    logits, guess = draw.normal(size=(6, 2)), draw.normal(size=(6, 1))
    y = np.array([0, 1, -1, 1, -1, 0])
    level = np.array([0.5, np.nan, 1.5, np.nan, -1.0, 2.0])
    outputs = {"stress": torch.tensor(logits), "arousal": torch.tensor(guess, requires_grad=True)}
    got = multitask_loss(
        tasks, outputs, {"stress": torch.tensor(y), "arousal": torch.tensor(level)}
    )
    entropy = [
        np.log(np.exp(row).sum()) - row[k] for row, k in zip(logits, y, strict=True) if k >= 0
    ]
    squares = [(g - v) ** 2 for g, v in zip(guess[:, 0], level, strict=True) if not np.isnan(v)]
    assert got.item() == pytest.approx(np.mean(entropy) + np.mean(squares), abs=1e-12)
    got.backward()
    assert bool(torch.isfinite(outputs["arousal"].grad).all())  # type: ignore[arg-type]


def test_losses_of_windows_do_not_depend_on_each_other() -> None:
    tasks = (
        Task("stress", "classification", 2, "primary"),
        Task("arousal", "regression", 1, "auxiliary"),
    )
    draw = np.random.default_rng(0)
    logits, guess = draw.normal(size=(6, 2)), draw.normal(size=(6, 1))
    y = np.array([0, 1, -1, 1, -1, 0])
    level = np.array([0.5, np.nan, 1.5, np.nan, np.nan, 2.0])
    outputs = {
        "stress": torch.tensor(logits, requires_grad=True),
        "arousal": torch.tensor(guess, requires_grad=True),
    }
    batch = {
        "features": torch.zeros(6, 3),
        "stress": torch.tensor(y),
        "arousal": torch.tensor(level),
    }
    found = per_sample_losses(tasks, outputs, batch)
    entropy = [
        np.log(np.exp(row).sum()) - row[k] if k >= 0 else 0.0
        for row, k in zip(logits, y, strict=True)
    ]
    squares = np.nan_to_num((guess[:, 0] - level) ** 2)
    np.testing.assert_allclose(found.detach().numpy(), entropy + squares, rtol=0, atol=1e-12)
    assert found[4] == 0.0
    found[3].backward()
    moved = np.flatnonzero(outputs["stress"].grad.abs().sum(1))  # type: ignore[union-attr]
    assert list(moved) == [3]
    assert not outputs["arousal"].grad.any()  # type: ignore[union-attr]


def test_batch_without_a_label_costs_nothing_and_moves_nothing() -> None:
    data = client(5, 8, "all")
    data.labels["stress"][:] = MISSING_LABEL
    update, loss = trained(data)
    assert loss == 0.0
    assert not update.any()


def test_identity_head_stays_where_no_identity_is_known() -> None:
    update, _ = trained(client(5, 8, "all"))
    layout = FACTORY.layout
    assert not update[layout.indices("task:identity")].any()
    assert update[layout.indices("task:stress")].any()
    assert update[layout.indices("shared")].any()
