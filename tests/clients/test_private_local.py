"""Per-window private training against a slow loop, and what its noise and draws must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from small_networks import HIDDEN, REFUSED, small

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.clients.private_local import PrivateTrainer, WindowNoise
from fedaffect.errors import PrivacyError, UsageError
from fedaffect.models.base import MISSING_LABEL
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.strategies.base import Strategy
from fedaffect.strategies.fedavg import FedAvg
from fedaffect.strategies.fedprox import FedProx

PLAN = TrainPlan(
    seed=3,
    local_epochs=2,
    batch_size=4,
    lr=0.1,
    momentum=0.9,
    optimizer="sgd",
    max_grad_norm=None,
)
FACTORY = ModelFactory(StressIdentityCNN, {"n_features": 20, "n_identities": 3}, "float64")
LAYOUT = FACTORY.layout
START = FACTORY.initial(0)
KEY = SecretNoiseKey(bytes(range(32)))


def noise_of(z: float, clip: float, blocks: Sequence[str] = tuple(LAYOUT.blocks)) -> WindowNoise:
    return WindowNoise(z, clip, tuple((b, LAYOUT.indices(b)) for b in blocks))


def client(n: int, client_id: int = 7) -> ClientData:
    draw = np.random.default_rng(client_id)
    return ClientData(
        client_id,
        draw.normal(size=(n, 20)).astype(np.float32),
        {"stress": draw.integers(0, 2, n), "identity": draw.integers(MISSING_LABEL, 3, n)},
    )


def trained(
    data: ClientData,
    noise: WindowNoise,
    plan: TrainPlan = PLAN,
    strategy: Strategy | None = None,
    *,
    key: SecretNoiseKey | TestNoiseKey = KEY,
    run: str = "a",
    release: int = 5,
    server_round: int = 2,
    frozen: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    trainer = PrivateTrainer(FACTORY.build(), strategy or FedAvg(), plan, noise, frozen)
    update, loss = trainer.train(
        torch.from_numpy(START.copy()),
        data,
        1,
        server_round,
        release=release,
        key=key.client(data.client_id),
        draws=key.draws(run),
    )
    return update.numpy(), loss


def gradient_of_window(w: np.ndarray, data: ClientData, i: int) -> tuple[np.ndarray, float]:
    model = FACTORY.with_params(w)
    total = torch.zeros((), dtype=torch.float64)
    for task, labels in data.labels.items():
        if labels[i] != MISSING_LABEL:
            logits = model({"features": torch.tensor(data.features[i : i + 1]).double()})[task][0]
            total = total + torch.logsumexp(logits, 0) - logits[labels[i]]
    if not total.requires_grad:
        return np.zeros_like(w), 0.0
    total.backward()
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return np.concatenate([p.numpy().ravel() for p in parts]), total.item()


def slow(
    data: ClientData,
    noise: WindowNoise,
    plan: TrainPlan = PLAN,
    mu: float = 0.0,
    moving: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, float]:
    """One round written out: a loop over the windows, test noise, the optimiser in NumPy."""
    key, w, velocity = TestNoiseKey("t"), START.copy(), np.zeros_like(START)
    losses = []
    for step in range(plan.local_epochs * round(len(data) / plan.batch_size)):
        q = plan.batch_size / len(data)
        total = np.zeros_like(w)
        for i in key.draws("").windows(1, 2, data.client_id, step, len(data), q):
            gradient, loss = gradient_of_window(w, data, i)
            gradient = gradient * moving
            total += gradient * min(1.0, noise.clip / np.linalg.norm(gradient))
            losses.append(loss)
        for block, at in noise.blocks:
            name = f"{block}, step {step}"
            stream = key.client(data.client_id).stream(release=5, block=name, inputs=b"")
            total[at] += noise.z * noise.clip * stream.gaussian(len(at))
        gradient = total / plan.batch_size + mu * (w - START) * moving
        length = np.linalg.norm(gradient)
        if plan.max_grad_norm is not None and length > plan.max_grad_norm:
            gradient = gradient / length * plan.max_grad_norm
        velocity = plan.momentum * velocity + gradient
        w = w - plan.lr * velocity
    return w - START, float(np.mean(losses))


@pytest.mark.parametrize("mu", [0.0, 0.3])
@pytest.mark.parametrize("changes", [{}, {"max_grad_norm": 0.5}, {"momentum": 0.0, "lr": 0.02}])
def test_update_is_that_of_a_slow_loop(mu: float, changes: dict[str, float]) -> None:
    plan, data, noise = replace(PLAN, **changes), client(18), noise_of(0.4, 1.2)  # type: ignore[arg-type]
    update, loss = trained(data, noise, plan, FedProx(mu=mu), key=TestNoiseKey("t"))
    expected, expected_loss = slow(data, noise, plan, mu)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(update, expected, rtol=0, atol=1e-11)
    assert loss == pytest.approx(expected_loss, abs=1e-12)


@pytest.mark.parametrize("block", ["shared", "task:identity"])
def test_frozen_coordinates_get_no_noise_and_do_not_count_in_the_norm(block: str) -> None:
    frozen = np.zeros(len(START), dtype=bool)
    frozen[LAYOUT.indices(block)] = True
    noise, data = noise_of(0.4, 0.3, [b for b in LAYOUT.blocks if b != block]), client(18)
    found = trained(data, noise, strategy=FedProx(mu=0.2), key=TestNoiseKey("t"), frozen=frozen)
    assert not found[0][frozen].any()
    expected = slow(data, noise, mu=0.2, moving=~frozen)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-11)


def test_noise_has_the_standard_deviation_z_c_over_the_batch_size() -> None:
    plan = replace(PLAN, local_epochs=1, momentum=0.0, lr=1.0)
    data = client(4)  # q = 1 and one step: all four windows are in it
    signal, _ = trained(data, noise_of(1e-12, 0.3), plan)
    update, _ = trained(data, noise_of(2.5, 0.3), plan)
    drawn = (update - signal) / (2.5 * 0.3 / 4)
    assert stats.kstest(drawn, "norm").pvalue > 1e-6
    for wrong in (2 / 3, 3 / 2):
        assert stats.kstest(drawn * wrong, "norm").pvalue < 1e-6
    assert abs(drawn.std() - 1) < 4 / np.sqrt(2 * len(drawn))
    for block in LAYOUT.blocks:
        at = LAYOUT.indices(block)
        assert abs(drawn[at].std() - 1) < 4.5 / np.sqrt(2 * len(at))


def test_an_empty_batch_still_makes_a_noisy_step() -> None:
    plan = replace(PLAN, local_epochs=1, batch_size=1, momentum=0.0, lr=1.0)
    data, run = client(2), 0
    while any(len(KEY.draws(str(run)).windows(1, 2, 7, step, 2, 0.5)) for step in (0, 1)):
        run += 1
    update, loss = trained(data, noise_of(1.0, 0.3), plan, run=str(run))
    assert loss == 0.0
    assert stats.kstest(update / (0.3 * np.sqrt(2)), "norm").pvalue > 1e-6  # two steps of noise


def test_equal_inputs_repeat_and_everything_else_is_independent() -> None:
    noise, plan = noise_of(1.0, 1e-9), replace(PLAN, momentum=0.0)  # the noise is all there is
    base = trained(client(8), noise, plan)[0]
    np.testing.assert_array_equal(trained(client(8), noise, plan)[0], base)
    touched = client(8)
    touched.features[:] += 1e-3
    others = [
        trained(touched, noise, plan)[0],
        trained(client(8), noise, plan, release=6)[0],
        trained(client(8), noise, plan, run="b")[0],
        trained(client(8), noise, plan, server_round=3)[0],
        trained(client(8), noise, plan, key=SecretNoiseKey(bytes(32)))[0],
        trained(client(8, client_id=8), noise, plan)[0],
    ]
    together = np.corrcoef([base, *others])[np.triu_indices(7, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(len(base))


def test_two_runs_never_share_the_noise_of_equal_sums() -> None:
    noise, total = noise_of(1.0, 1.0), np.zeros(LAYOUT.size)
    stream = {"key": KEY, "release": 1, "step": 0}
    one, two = (noise.noisy(total, salt=KEY.draws(r).salt, **stream) for r in "ab")
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(LAYOUT.size)
    changed = [
        noise.noisy(total, salt=b"", **stream | {"step": 1}),
        noise.noisy(total, salt=b"", **stream | {"release": 2}),
        noise.noisy(np.nextafter(total, 1), salt=b"", **stream),
        noise.noisy(total, salt=b"", **stream),
    ]
    together = np.corrcoef(changed)[np.triu_indices(4, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(LAYOUT.size)


def test_update_does_not_depend_on_who_trained_before() -> None:
    noise = noise_of(0.3, 1.0)
    clients = [client(5 + 3 * i, client_id=i) for i in range(3)]
    alone = [trained(c, noise)[0] for c in clients]
    trainer = PrivateTrainer(FACTORY.build(), FedAvg(), PLAN, noise)
    for i in (2, 0, 1, 1, 0):
        key = KEY.client(i)
        start = torch.from_numpy(START.copy())
        update, _ = trainer.train(start, clients[i], 1, 2, release=5, key=key, draws=KEY.draws("a"))
        np.testing.assert_array_equal(update.numpy(), alone[i])


def test_a_window_that_is_not_finite_costs_itself_only() -> None:
    broken = client(8)
    broken.features[3, 2] = np.nan
    update, _ = trained(broken, noise_of(0.3, 1.0))
    assert np.isfinite(update).all()


def test_steps_that_are_not_noised_everywhere_are_refused() -> None:
    frozen = np.zeros(LAYOUT.size, dtype=bool)
    frozen[LAYOUT.indices("task:stress")] = True
    every, double = tuple(LAYOUT.blocks), (*LAYOUT.blocks, "shared")
    for blocks, mask in ((every[:-1], None), (double, None), (every, frozen)):
        with pytest.raises(PrivacyError) as caught:
            PrivateTrainer(FACTORY.build(), FedAvg(), PLAN, noise_of(1, 1, blocks), mask)
        assert caught.value.code == "E406"


def test_models_without_per_sample_gradients_are_refused() -> None:
    def trainer(trunk: str, table: dict) -> PrivateTrainer:
        model = small(table[trunk][0])
        d = sum(p.numel() for p in model.parameters())
        noise = WindowNoise(1.0, 1.0, (("all", np.arange(d)),))
        return PrivateTrainer(model, FedAvg(), PLAN, noise)

    with pytest.raises(UsageError, match="BatchNorm1d"):
        trainer("batch norm", REFUSED)
    mixing = trainer("mean of the batch", HIDDEN)
    data = client(8)
    data = replace(data, features=data.features[:, :12])
    start = mixing.vector.clone()
    with pytest.raises(UsageError, match="mixes the samples"):
        mixing.train(start, data, 0, 1, release=1, key=KEY.client(7), draws=KEY.draws("a"))
    assert torch.equal(mixing.vector, start)  # refused before the first step
