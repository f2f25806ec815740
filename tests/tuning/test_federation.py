"""Training many settings at once against the Trainer and the mechanism that ``simulate`` uses."""

import numpy as np
import pytest
import torch
from tiny import tiny

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer, TrainPlan
from fedaffect.errors import UsageError
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.strategies.fedavg import FedAvg
from fedaffect.tuning.affine_head import Person, affine_scores
from fedaffect.tuning.federation import LocalTraining, train_heads
from fedaffect.tuning.released import Released
from fedaffect.tuning.trial import Noise

CONFIG = tiny({"dp.mechanism": "gaussian", "dp.eps": 2.0, "model.tasks": ("stress",)})
PLANNED = 6  # clients that the noise is divided by
KEY = TestNoiseKey("tuning")


def dealt(released: Released, seed: int = 0) -> list[ClientData]:
    """Four clients with few stressed windows, one of them with none."""
    draw = np.random.default_rng(seed)
    sizes, stressed = (30, 17, 8, 12), (6, 9, 0, 3)
    return [
        ClientData(
            i,
            draw.normal(size=(n, 60)).astype(np.float32),
            {"stress": (np.arange(n) < m).astype(np.int64)},
        )
        for i, (n, m) in enumerate(zip(sizes, stressed, strict=True))
    ]


def people_of(released: Released, data: list[ClientData]) -> list[Person]:
    start = released.factory.initial(0)
    return [
        Person(
            *affine_scores(released.factory, released.places, start, d.features),
            d.labels["stress"].astype(np.float64),
        )
        for d in data
    ]


def trained_as_simulate(
    released: Released, data: list[ClientData], training: LocalTraining, lr: float, clip: float
) -> np.ndarray:
    """Rounds of the real Trainer, clip and noise; return the change of the released numbers."""
    mechanism = released.planned(training.rounds)[0]
    assert isinstance(mechanism, NoisedSum)
    mechanism = mechanism.at_bounds((clip,))
    plan = TrainPlan(
        seed=5,
        local_epochs=training.local_epochs,
        batch_size=4096,
        lr=lr,
        momentum=training.momentum,
        optimizer="sgd",
        max_grad_norm=training.max_grad_norm,
        class_weights="client" if training.weighted else "none",
    )
    trainer = Trainer(released.factory.build(), FedAvg(), plan, mechanism.blocks.frozen)
    start = released.factory.initial(0)
    params = start.copy()
    drawn = Noise(KEY, 0, mechanism.scale, PLANNED).on_mean(
        0, training.rounds, len(released.places), 1
    )[1]
    for server_round in range(1, training.rounds + 1):
        total = np.zeros(len(released.places))
        for client in data:
            now = torch.from_numpy(params.copy())
            update, _ = trainer.train(now, client, 0, server_round)
            total += mechanism.on_client(update.numpy(), params)
        params[released.places] += total / len(data) + clip * drawn[server_round - 1]
    moved = np.flatnonzero(params != start)
    assert set(moved) <= set(released.places)
    return params[released.places] - start[released.places]


@pytest.mark.parametrize(
    ("release", "weighted", "bound"),
    [(2, False, 1.0), (5, True, 0.05), ("head", False, None), ("head", True, 1.0)],
)
def test_all_settings_train_as_simulate_does(
    release: str | int, weighted: bool, bound: float | None
) -> None:
    released = Released.of(CONFIG, release)
    data = dealt(released)
    training = LocalTraining(3, 7, 0.9, bound, weighted)
    lr, clip = np.array([0.1, 2.0, 0.5]), np.array([4.0, 0.1, 1e-3])
    mechanism = released.planned(3)[0]
    drawn = Noise(KEY, 0, mechanism.scale, PLANNED).on_mean(0, 3, len(released.places), 1)[1]
    columns = np.repeat(drawn[:, :, None], 3, axis=2)
    found = train_heads(people_of(released, data), training, lr, clip, columns)
    for column in range(3):
        expected = trained_as_simulate(released, data, training, lr[column], clip[column])
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(found[:, column], expected, rtol=0, atol=1e-9)


def test_noise_of_a_mean_is_that_of_the_mechanism() -> None:
    """The same key, release and block name give what the mechanism adds to a sum, over n."""
    released = Released.of(CONFIG, "head")
    mechanism = released.planned(4)[0]
    assert isinstance(mechanism, NoisedSum)
    group = mechanism.groups[0]
    assert group.noise == pytest.approx(mechanism.scale * group.clip)
    zero = ClippedSum(np.zeros(9), PLANNED, mechanism.bounds, mechanism.norm)
    on_sums = np.array([mechanism.add_noise(zero, KEY, r + 1).total for r in range(600)])
    on_means = Noise(KEY, 0, mechanism.scale, PLANNED).on_mean(0, 4, 9, 150)[1:]
    assert on_means.shape == (150, 4, 9)
    ratio = on_means.std() / (on_sums.std() / PLANNED)
    assert ratio == pytest.approx(1, abs=0.07)  # 5,400 draws each: 5 standard errors
    correlation = np.corrcoef(on_means.reshape(150, -1), rowvar=False) - np.eye(36)
    assert np.abs(correlation).max() < 6 / np.sqrt(150)


def test_first_draw_is_no_noise_and_draws_repeat() -> None:
    first = Noise(KEY, 1, 2.0, 5).on_mean(0, 2, 3, 2)
    assert not first[0].any()
    assert first[1:].all()
    np.testing.assert_array_equal(first, Noise(KEY, 1, 2.0, 5).on_mean(0, 2, 3, 2))
    for other in (
        Noise(KEY, 0, 2.0, 5).on_mean(0, 2, 3, 2),
        Noise(KEY, 1, 2.0, 5).on_mean(1, 2, 3, 2),
    ):
        assert not np.isclose(first[1:], other[1:]).any()
    np.testing.assert_allclose(Noise(KEY, 1, 4.0, 5).on_mean(0, 2, 3, 2), 2 * first)
    np.testing.assert_allclose(Noise(KEY, 1, 2.0, 10).on_mean(0, 2, 3, 2), first / 2)


def test_scores_are_those_of_the_network() -> None:
    released = Released.of(CONFIG, 4)
    data, start = dealt(released)[0], released.factory.initial(0)
    design, offset = affine_scores(released.factory, released.places, start, data.features)
    change = np.array([0.3, -2.0, 1.5, 0.7])
    moved = start.copy()
    moved[released.places] += change
    with torch.no_grad():
        x = {"features": torch.from_numpy(data.features).double()}
        logits = released.factory.with_params(moved)(x)["stress"].numpy()
    expected = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(offset + design @ change, expected, rtol=0, atol=1e-12)


def test_numbers_before_the_last_layer_are_refused() -> None:
    factory = ModelFactory(StressIdentityCNN, {"n_features": 60, "tasks": ("stress",)}, "float64")
    places = factory.layout.indices("shared")[-3:]
    features = np.random.default_rng(0).normal(size=(9, 60))
    with pytest.raises(UsageError, match="along a line"):
        affine_scores(factory, places, factory.initial(0), features)
    ok = factory.layout.indices("task:stress")[:3]
    design, _ = affine_scores(factory, ok, factory.initial(0), features)
    assert design.shape == (9, 3)


def test_noise_grows_as_the_accountant_says() -> None:
    """At q = 1 the noise multiplier of T releases is that of one, times the root of T."""
    released = Released.of(CONFIG, "head")
    (one, ratio), (four, ratio_of_four) = released.planned(1), released.planned(4)
    assert four.scale == pytest.approx(2 * one.scale, rel=1e-6)
    clients = CONFIG.federation.clients
    assert ratio == pytest.approx(one.scale * 3 / clients)  # 9 numbers: z sqrt(9) / n
    assert ratio_of_four == pytest.approx(2 * ratio, rel=1e-6)


def test_released_of_float32_runs_is_close_to_float64() -> None:
    single = Released.of(CONFIG.replace({"run.dtype": "float32"}), 5)
    double = Released.of(CONFIG, 5)
    data = dealt(double)
    lr, clip, none = np.array([0.5]), np.array([1.0]), np.zeros((2, 5, 1))
    training = LocalTraining(2, 10)
    found = train_heads(people_of(single, data), training, lr, clip, none)
    expected = train_heads(people_of(double, data), training, lr, clip, none)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
