"""What a client minimises under a defence, against formulas and loops written out in float64."""

from __future__ import annotations

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
from fedaffect.defences.base import NOISE, PENALTY, Defence
from fedaffect.defences.bottleneck import Bottleneck, divergence
from fedaffect.defences.gradient_reversal import GradientReversal, reverse_gradient
from fedaffect.defences.none import UNDEFENDED
from fedaffect.models.base import MultitaskModel
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.rng import generator
from fedaffect.strategies.fedavg import FedAvg
from fedaffect.strategies.fedprox import FedProx

PLAN = TrainPlan(
    seed=3,
    local_epochs=2,
    batch_size=5,
    lr=0.1,
    momentum=0.9,
    optimizer="sgd",
    max_grad_norm=None,
)
PLAIN = ModelFactory(StressIdentityCNN, {"n_features": 20, "n_identities": 3}, "float64")
START = PLAIN.initial(0)


def client(n: int = 12) -> ClientData:
    draw = np.random.default_rng(7)
    labels = {"stress": draw.integers(0, 2, n), "identity": draw.integers(0, 3, n)}
    return ClientData(7, draw.normal(size=(n, 20)).astype(np.float32), labels)


def batch_of(n: int) -> dict[str, torch.Tensor]:
    data = client(n)
    noise = np.random.default_rng(1).normal(size=(n, 100))
    return {
        "features": torch.tensor(data.features).double(),
        **{task: torch.tensor(y) for task, y in data.labels.items()},
        NOISE: torch.from_numpy(noise),
    }


def gradient(model: MultitaskModel, loss: torch.Tensor) -> np.ndarray:
    parts = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    return torch.cat([part.reshape(-1) for part in parts]).numpy()


def cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (torch.logsumexp(logits, 1) - logits[torch.arange(len(y)), y]).mean()


def objective(defence: Defence, batch: dict[str, torch.Tensor]) -> tuple[float, np.ndarray]:
    model = replace(PLAIN, defence=defence).with_params(START)
    loss = multitask_loss(model.tasks, model(batch), batch)
    return loss.item(), gradient(model, loss)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 50), st.integers(1, 9))
def test_reversal_is_two_gradients_put_together(strength: float, n: int) -> None:
    """Ganin & Lempitsky 2015, (13) to (15): shared dLs - lambda dLi, each head its own loss."""
    batch = batch_of(n)
    model = PLAIN.with_params(START)
    of_stress, of_identity = (
        gradient(model, cross_entropy(model(batch)[task], batch[task]))
        for task in ("stress", "identity")
    )
    expected = of_stress + of_identity
    shared = PLAIN.layout.indices("shared")
    expected[shared] = of_stress[shared] - strength * of_identity[shared]
    loss, found = objective(GradientReversal(strength), batch)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
    assert loss == pytest.approx(objective(UNDEFENDED, batch)[0], abs=1e-14)  # forward: nothing


def test_a_reversed_gradient_is_minus_lambda_times_the_gradient() -> None:
    h = torch.tensor([[1.5, -2.0]], dtype=torch.float64, requires_grad=True)
    said = reverse_gradient(h, 0.25)
    assert torch.equal(said, h)
    (said.pow(3).sum()).backward()
    np.testing.assert_array_equal(h.grad, -0.25 * 3 * h.detach() ** 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-6, 6), min_size=1, max_size=12))
def test_divergence_is_that_of_torch_distributions(mean: list[float]) -> None:
    mu = torch.tensor([mean, [0.0] * len(mean)], dtype=torch.float64)
    unit = torch.ones_like(mu)
    normal = torch.distributions.Normal
    parts = torch.distributions.kl_divergence(normal(mu, unit), normal(0 * mu, unit))
    torch.testing.assert_close(divergence(mu)[:, 0], parts.sum(1), rtol=1e-12, atol=1e-12)


def test_divergence_against_draws() -> None:
    """KL = E_z[log N(z; h, I) - log N(z; 0, I)], by Monte-Carlo."""
    h = np.array([0.7, -1.1, 0.3])
    z = h + np.random.default_rng(0).normal(size=(200_000, 3))
    ratio = (-((z - h) ** 2) / 2 + z**2 / 2).sum(1)
    exact = divergence(torch.from_numpy(h)[None]).item()
    assert abs(ratio.mean() - exact) < 5 * ratio.std() / np.sqrt(len(z))


@pytest.mark.parametrize("strength", [0.003, 2.0])
def test_bottleneck_reads_noise_and_pays_for_length(strength: float) -> None:
    batch = batch_of(6)
    model = PLAIN.with_params(START)
    h = model.embed(batch)
    heads = model.heads(h + batch[NOISE])
    expected = sum(cross_entropy(heads[task], batch[task]) for task in ("stress", "identity"))
    expected = expected + strength * (h**2).sum() / 2 / 6
    loss, found = objective(Bottleneck(strength), batch)
    assert loss == pytest.approx(expected.item(), abs=1e-13)
    np.testing.assert_allclose(found, gradient(model, expected), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("defence", [UNDEFENDED, GradientReversal(0.7), Bottleneck(0.1)])
def test_losses_of_windows_average_to_the_objective(defence: Defence) -> None:
    batch = batch_of(8)
    model = replace(PLAIN, defence=defence).with_params(START)
    alone = per_sample_losses(model.tasks, model(batch), batch)
    assert alone.shape == (8,)
    assert alone.mean().item() == pytest.approx(objective(defence, batch)[0], abs=1e-13)
    np.testing.assert_allclose(
        gradient(model, alone.mean()), objective(defence, batch)[1], rtol=1e-10, atol=1e-13
    )


def test_what_is_released_has_no_noise() -> None:
    model = replace(PLAIN, defence=Bottleneck(0.1)).with_params(START)
    plain, batch = PLAIN.with_params(START), batch_of(4)
    assert torch.equal(model.embed(batch), plain.embed(batch))
    assert {PENALTY} == set(model(batch)) - set(plain(batch))
    assert set(model.heads(model.embed(batch))) == {"stress", "identity"}


def trained(defence: Defence, mu: float = 0.0, **changes: object) -> np.ndarray:
    trainer = Trainer(
        replace(PLAIN, defence=defence).build(),
        FedProx(mu=mu) if mu else FedAvg(),
        replace(PLAN, **changes),  # type: ignore[arg-type]
    )
    return trainer.train(torch.from_numpy(START.copy()), client(), 1, 4)[0].numpy()


@pytest.mark.parametrize("mu", [0.0, 0.3])
@pytest.mark.parametrize("defence", [GradientReversal(0.8), Bottleneck(0.05)])
def test_training_is_that_of_a_slow_loop(defence: Defence, mu: float) -> None:
    """Batches, noise by window, FedProx and momentum written out; gradients as tested above."""
    data, w, velocity = client(), START.copy(), np.zeros_like(START)
    order_of = generator(PLAN.seed, "batch", 1, 7, 4)
    noise_of = generator(PLAN.seed, "defence", 1, 7, 4)
    model_of = replace(PLAIN, defence=defence)
    for _ in range(PLAN.local_epochs):
        order = order_of.permutation(len(data))
        noise = noise_of.standard_normal((len(data), 100))
        for first in range(0, len(order), PLAN.batch_size):
            rows = order[first : first + PLAN.batch_size]
            batch = {
                "features": torch.tensor(data.features[rows]).double(),
                **{task: torch.tensor(y[rows]) for task, y in data.labels.items()},
                NOISE: torch.from_numpy(noise[rows]),
            }
            model = model_of.with_params(w)
            slope = gradient(model, multitask_loss(model.tasks, model(batch), batch))
            velocity = PLAN.momentum * velocity + slope + mu * (w - START)
            w = w - PLAN.lr * velocity
    found = trained(defence, mu)
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found, w - START, rtol=0, atol=1e-11)


def test_same_seed_same_noise_and_another_one_in_another_run() -> None:
    assert np.array_equal(trained(Bottleneck(0.1)), trained(Bottleneck(0.1)))
    assert not np.array_equal(
        trained(Bottleneck(0.1), batch_size=12), trained(Bottleneck(0.1), batch_size=12, seed=4)
    )


@pytest.mark.parametrize("strength", [1.0, 20.0])
def test_reversal_stays_finite_with_bounded_steps(strength: float) -> None:
    update = trained(GradientReversal(strength), local_epochs=15, max_grad_norm=1.0)
    assert np.isfinite(update).all()
    assert np.linalg.norm(update) < 0.1 * 45 / (1 - 0.9)  # rate x steps / (1 - momentum)
