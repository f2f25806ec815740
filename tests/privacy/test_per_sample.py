"""Clipped per-sample gradients against a loop over the samples, one backward pass each."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import HIDDEN, N_FEATURES, REFUSED, SUPPORTED, small
from torch import Tensor, nn

from fedaffect import registry
from fedaffect.clients.loss import per_sample_losses
from fedaffect.errors import UsageError
from fedaffect.models.base import MISSING_LABEL, MultitaskModel
from fedaffect.models.factory import ModelFactory
from fedaffect.params import Layout
from fedaffect.privacy.mechanisms.per_sample import (
    ROWS,
    ClippedGradients,
    PerSampleGradients,
    supports,
)


def batch_of(n: int, n_features: int = N_FEATURES, seed: int = 0) -> dict[str, Tensor]:
    draw = np.random.default_rng(seed)
    return {
        "features": torch.from_numpy(draw.normal(size=(n, n_features))),
        "stress": torch.from_numpy(draw.integers(0, 2, n)),
        "identity": torch.from_numpy(draw.integers(MISSING_LABEL, 3, n)),
    }


def losses_of(
    model: MultitaskModel, batch: dict[str, Tensor]
) -> Callable[[dict[str, Tensor]], Tensor]:
    return lambda outputs: per_sample_losses(model.tasks, outputs, batch)


def clipped(
    ours: PerSampleGradients, batch: dict[str, Tensor], clip: float = 1.0
) -> ClippedGradients:
    return ours.clipped_sum(batch, losses_of(ours.model, batch), clip)


def loop(
    model: MultitaskModel, batch: dict[str, Tensor], trainable: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients (B, d) and losses (B,) of the samples, each alone in its batch."""
    rows, losses = [], []
    for i in range(len(batch["features"])):
        said = model({"features": batch["features"][i : i + 1]})
        total = torch.zeros(())
        for task in ("stress", "identity"):
            label = int(batch[task][i])
            if label != MISSING_LABEL:
                total = total - torch.log_softmax(said[task][0], 0)[label]
        parts = torch.autograd.grad(total, list(model.parameters()), materialize_grads=True)
        rows.append(torch.cat([part.reshape(-1) for part in parts]).double().numpy())
        losses.append(total.item())
    gradients = np.array(rows)
    return gradients * (1 if trainable is None else trainable), np.array(losses)


def sum_of_clipped(gradients: np.ndarray, clip: float) -> np.ndarray:
    total = np.zeros(gradients.shape[1])
    for row in gradients:
        norm = math.sqrt(math.fsum(x * x for x in row))
        total += row * (clip / norm if norm > clip else 1.0)
    return total


@pytest.mark.parametrize("name", SUPPORTED)
@pytest.mark.parametrize("clip", [1e-3, 1.5, 1e6])
def test_equal_to_a_loop_over_the_samples(name: str, clip: float) -> None:
    model, batch = small(SUPPORTED[name]), batch_of(9)
    ours = PerSampleGradients(model)
    ours.verify({"features": batch["features"][:3]})
    gradients, losses = loop(model, batch)
    said = clipped(ours, batch, clip)
    assert np.abs(gradients).max() > 1e-2
    np.testing.assert_allclose(said.total, sum_of_clipped(gradients, clip), rtol=0, atol=1e-12)
    np.testing.assert_allclose(said.losses, losses, rtol=0, atol=1e-12)
    assert said.refused == 0


@pytest.mark.parametrize("name", sorted(registry.MODELS))
def test_every_registered_model_has_per_sample_gradients(name: str) -> None:
    options = {"n_features": 60, "n_identities": 3}
    factory = ModelFactory(registry.resolve("model", name), options, "float64")
    model = factory.with_params(factory.initial(0)).train()
    ours, batch = PerSampleGradients(model), batch_of(5, 60)
    ours.verify({"features": batch["features"][:3]})
    gradients, _ = loop(model, batch)
    clip = float(np.median(np.linalg.norm(gradients, axis=1)))  # some are clipped, some are not
    np.testing.assert_allclose(
        clipped(ours, batch, clip).total, sum_of_clipped(gradients, clip), rtol=0, atol=1e-12
    )


def test_single_precision_is_that_of_double() -> None:
    batch, double = batch_of(20), small(SUPPORTED["convolution"])
    single = small(SUPPORTED["convolution"], torch.float32)
    narrow = {**batch, "features": batch["features"].float()}
    found = clipped(PerSampleGradients(single), narrow, 0.5)
    assert found.total.dtype == np.float64
    expected = sum_of_clipped(loop(double, batch)[0], 0.5)
    np.testing.assert_allclose(found.total, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, ROWS, ROWS + 1, 2 * ROWS + 3])
def test_any_number_of_samples(n: int) -> None:
    model, batch = small(SUPPORTED["convolution"]), batch_of(n)
    ours = PerSampleGradients(model)
    said = clipped(ours, batch, 0.7)
    assert said.total.shape == (sum(p.numel() for p in model.parameters()),)
    assert said.losses.shape == (n,)
    if n:
        expected = sum_of_clipped(loop(model, batch)[0], 0.7)
        np.testing.assert_allclose(said.total, expected, rtol=0, atol=1e-11)
    else:
        assert not said.total.any()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 8),
    st.floats(-12, 12),
    st.floats(-6, 6),
    st.sampled_from(["linear", "convolution", "used twice"]),
)
def test_no_sample_moves_the_sum_by_more_than_the_clip(
    gone: int, log_size: float, log_clip: float, name: str
) -> None:
    batch, clip = batch_of(9), 10.0**log_clip
    batch["features"][gone] *= 10.0**log_size
    ours = PerSampleGradients(small(SUPPORTED[name]))
    without = {key: torch.cat([v[:gone], v[gone + 1 :]]) for key, v in batch.items()}
    moved = clipped(ours, batch, clip).total - clipped(ours, without, clip).total
    assert np.linalg.norm(moved) <= clip * (1 + 1e-9)
    alone = {key: v[gone : gone + 1] for key, v in batch.items()}
    norm = np.linalg.norm(loop(ours.model, alone)[0])
    length = np.linalg.norm(clipped(ours, alone, clip).total)
    assert length == pytest.approx(min(norm, clip), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_a_gradient_that_is_not_finite_counts_as_zero_and_is_counted(value: float) -> None:
    model, batch = small(SUPPORTED["linear"]), batch_of(6)
    ours = PerSampleGradients(model)
    broken = {**batch, "features": batch["features"].clone()}
    broken["features"][[1, 4]] = value
    kept = {key: v[[0, 2, 3, 5]] for key, v in batch.items()}
    said = clipped(ours, broken)
    if value == 1e300:  # saturates the network: finite, and clipped like any other
        assert np.isfinite(said.total).all()
        assert np.linalg.norm(said.total - clipped(ours, kept).total) <= 2 * (1 + 1e-9)
    else:
        np.testing.assert_array_equal(said.total, clipped(ours, kept).total)
        assert (said.refused, clipped(ours, kept).refused) == (2, 0)


def test_gradients_of_zero_stay_zero() -> None:
    batch = batch_of(4)
    batch["stress"][:] = batch["identity"][:] = MISSING_LABEL
    said = clipped(PerSampleGradients(small(SUPPORTED["convolution"])), batch)
    assert not said.total.any() and not said.losses.any() and said.refused == 0


@pytest.mark.parametrize("block", ["shared", "task:stress", "task:identity"])
def test_frozen_coordinates_are_zero_and_do_not_count_in_the_norm(block: str) -> None:
    model, batch = small(SUPPORTED["convolution"]), batch_of(7)
    layout = Layout.of(model, model.blocks())
    frozen = np.zeros(layout.size, dtype=bool)
    frozen[layout.indices(block)] = True
    gradients, _ = loop(model, batch, ~frozen)
    said = clipped(PerSampleGradients(model, frozen), batch, 0.4)
    assert not said.total[frozen].any()
    np.testing.assert_allclose(said.total, sum_of_clipped(gradients, 0.4), rtol=0, atol=1e-12)


def test_masks_that_do_not_fit_are_refused() -> None:
    model = small(SUPPORTED["linear"])
    d = sum(p.numel() for p in model.parameters())
    for mask in (np.zeros(d - 1, dtype=bool), np.zeros(d + 1, dtype=bool), np.arange(d) == 3):
        with pytest.raises(ValueError, match=r"mask|frozen"):
            PerSampleGradients(model, mask)


@pytest.mark.parametrize("name", REFUSED)
def test_layers_without_per_sample_gradients_are_named(name: str) -> None:
    trunk, layer, why = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        supports(small(trunk) if name not in ("lstm", "attention") else _unbuilt(trunk))
    assert caught.value.code == "E231"
    assert f"layer {layer} " in caught.value.message and why in caught.value.message
    assert "--unit client" in caught.value.do


def _unbuilt(trunk: Callable[[], nn.Module]) -> MultitaskModel:
    """Return a network that is looked at, but never run."""
    from small_networks import Small

    return Small(trunk())


@pytest.mark.parametrize("name", HIDDEN)
def test_a_probe_finds_what_the_layers_do_not_show(name: str) -> None:
    trunk, layer, why = HIDDEN[name]
    ours = PerSampleGradients(small(trunk))  # every layer by itself is fine
    with pytest.raises(UsageError) as caught:
        ours.verify({"features": batch_of(3)["features"]})
    assert caught.value.code == "E231"
    assert f"layer {layer} " in caught.value.message and why in caught.value.message


def test_a_frozen_layer_needs_no_per_sample_gradient() -> None:
    model = _unbuilt(REFUSED["lstm"][0])
    frozen = np.concatenate(
        [np.full(p.numel(), name.startswith("trunk")) for name, p in model.named_parameters()]
    )
    supports(model, frozen)
    with pytest.raises(UsageError, match="LSTM"):
        supports(model, ~frozen)


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan, math.inf])
def test_a_clip_that_bounds_nothing_is_refused(clip: float) -> None:
    with pytest.raises(ValueError, match="clip norm"):
        clipped(PerSampleGradients(small(SUPPORTED["linear"])), batch_of(2), clip)


def test_losses_must_be_one_a_sample() -> None:
    ours = PerSampleGradients(small(SUPPORTED["linear"]))
    with pytest.raises(ValueError, match="4 samples"):
        ours.clipped_sum(batch_of(4), lambda outputs: outputs["stress"].sum(), 1.0)


def test_looking_at_the_model_leaves_no_trace() -> None:
    batch, model = batch_of(5), small(SUPPORTED["convolution"])
    ours = PerSampleGradients(model)
    first = clipped(ours, batch).total
    with torch.no_grad():
        model(batch)
    model(batch)
    np.testing.assert_array_equal(clipped(ours, batch).total, first)
    assert all(p.grad is None for p in model.parameters())
