"""Defences in per-window private steps: every window's gradient is its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.clients.loss import per_sample_losses
from fedaffect.clients.private_local import PrivateTrainer, WindowNoise
from fedaffect.defences.base import NOISE, Defence
from fedaffect.defences.bottleneck import Bottleneck
from fedaffect.defences.gradient_reversal import GradientReversal
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.privacy.mechanisms.per_sample import PerSampleGradients
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.strategies.fedavg import FedAvg

PLAIN = ModelFactory(StressIdentityCNN, {"n_features": 20, "n_identities": 3}, "float64")
LAYOUT, START = PLAIN.layout, PLAIN.initial(0)
KEY = SecretNoiseKey(bytes(range(32)))
PLAN = TrainPlan(
    seed=3,
    local_epochs=1,
    batch_size=6,
    lr=0.1,
    momentum=0.0,
    optimizer="sgd",
    max_grad_norm=None,
)
DEFENCES = [GradientReversal(0.7), Bottleneck(0.3)]


def client(n: int) -> ClientData:
    draw = np.random.default_rng(7)
    labels = {"stress": draw.integers(0, 2, n), "identity": draw.integers(0, 3, n)}
    return ClientData(7, draw.normal(size=(n, 20)).astype(np.float32), labels)


def gradient_of_window(defence: Defence, data: ClientData, i: int, noise: np.ndarray) -> np.ndarray:
    """Return the gradient (d,) of one window, alone in its batch."""
    model = replace(PLAIN, defence=defence).with_params(START)
    batch = {
        "features": torch.tensor(data.features[i : i + 1]).double(),
        **{task: torch.tensor(y[i : i + 1]) for task, y in data.labels.items()},
        NOISE: torch.from_numpy(noise[i : i + 1]),
    }
    loss = per_sample_losses(model.tasks, model(batch), batch).sum()
    parts = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    return torch.cat([part.reshape(-1) for part in parts]).numpy()


@pytest.mark.parametrize("defence", DEFENCES)
@pytest.mark.parametrize("clip", [0.01, 1.0, 1e6])
def test_clipped_sum_is_that_of_a_loop_over_windows(defence: Defence, clip: float) -> None:
    data, noise = client(9), np.random.default_rng(0).normal(size=(9, 100))
    ours = PerSampleGradients(replace(PLAIN, defence=defence).with_params(START))
    batch = {
        "features": torch.tensor(data.features).double(),
        **{task: torch.tensor(y) for task, y in data.labels.items()},
        NOISE: torch.from_numpy(noise),
    }
    found = ours.clipped_sum(
        batch, lambda out: per_sample_losses(ours.model.tasks, out, batch), clip
    )
    expected = np.zeros(LAYOUT.size)
    for i in range(9):
        g = gradient_of_window(defence, data, i, noise)
        expected += g * min(1.0, clip / float(np.linalg.norm(g)))
    np.testing.assert_allclose(found.total, expected, rtol=1e-9, atol=1e-12)


def update_of(defence: Defence, data: ClientData) -> np.ndarray:
    """Return one step with all windows in it and next to no noise, (d,)."""
    blocks = tuple((b, LAYOUT.indices(b)) for b in LAYOUT.blocks)
    trainer = PrivateTrainer(
        replace(PLAIN, defence=defence).build(),
        FedAvg(),
        replace(PLAN, batch_size=len(data)),
        WindowNoise(1e-9, 0.5, blocks),
    )
    update, _ = trainer.train(
        torch.from_numpy(START.copy()),
        data,
        1,
        2,
        release=1,
        key=KEY.client(7),
        draws=KEY.draws("a"),
    )
    return update.numpy()


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_window_that_leaves_moves_a_step_by_its_own_clipped_gradient(defence: Defence) -> None:
    """Noise of the bottleneck belongs to a window, not to its place in a batch: sensitivity C."""
    data, n = client(8), 8
    gone = ClientData(7, data.features[:-1], {t: y[:-1] for t, y in data.labels.items()})
    total = update_of(defence, data) * n / -PLAN.lr
    without = update_of(defence, gone) * (n - 1) / -PLAN.lr
    apart = float(np.linalg.norm(total - without))
    assert 1e-3 < apart <= 0.5 * (1 + 1e-6)
