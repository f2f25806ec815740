"""A correction by few numbers: what it starts as, what it can say, how many numbers it has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fedaffect.errors import UsageError
from fedaffect.models.backbone import PublicWeights
from fedaffect.models.base import Task
from fedaffect.models.compact_encoder import CompactEncoder
from fedaffect.models.factory import ModelFactory
from fedaffect.models.narrow_head import axes_of
from fedaffect.models.stress_identity_cnn import StressIdentityCNN

WIDTH, FEATURES = 6, 20
rng = np.random.default_rng(3)


def public(width: int = WIDTH) -> PublicWeights:
    """Weights of a network that is not the one a seed gives, with known axes."""
    model = CompactEncoder(FEATURES, 3, ("stress",), hidden=5, width=width)
    values = {n: rng.normal(size=tuple(p.shape)) for n, p in model.named_parameters()}
    axes = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return PublicWeights(values, rng.normal(size=width), axes)


PUBLIC = public()
OPTIONS = {"n_features": FEATURES, "n_identities": 3, "tasks": ("stress",), "hidden": 5}
PLAIN = ModelFactory(CompactEncoder, OPTIONS | {"width": WIDTH}, "float64", public=PUBLIC)


def narrow(numbers: int) -> ModelFactory:
    return ModelFactory(
        CompactEncoder, OPTIONS | {"width": WIDTH}, "float64", public=PUBLIC, numbers=numbers
    )


@pytest.mark.parametrize("numbers", range(2, WIDTH + 2))
def test_so_many_numbers_are_trained_and_no_more(numbers: int) -> None:
    assert narrow(numbers).layout.block_sizes["narrow"] == numbers


def test_more_numbers_than_the_embedding_can_use_are_not_made_up() -> None:
    assert narrow(500).layout.block_sizes["narrow"] == WIDTH + 1


@pytest.mark.parametrize(
    ("task", "numbers", "axes"),
    [
        (Task("stress", "classification", 2, "primary"), 5, 4),
        (Task("emotion", "classification", 4, "primary"), 9, 2),
        (Task("emotion", "classification", 4, "primary"), 11, 2),
        (Task("valence", "regression", 1, "primary"), 3, 2),
    ],
)
def test_axes_by_the_kind_of_task(task: Task, numbers: int, axes: int) -> None:
    assert axes_of(numbers, task, width=50) == axes


def test_one_number_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="--release 1 is fewer") as error:
        narrow(1).build()
    assert error.value.code == "E228"
    assert "--release 2" in error.value.do


def batch(n: int = 9) -> dict[str, torch.Tensor]:
    return {"features": torch.tensor(rng.normal(size=(n, FEATURES)))}


def test_it_starts_as_the_public_network_whatever_the_seed() -> None:
    x = batch()
    want = PLAIN.with_params(PLAIN.initial(0))(x)["stress"]
    for seed in (0, 1):
        factory = narrow(4)
        got = factory.with_params(factory.initial(seed))(x)["stress"]
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


def test_it_adds_a_line_through_the_leading_axes() -> None:
    """Against the closed form: logit += w . U_p (h - c) + b."""
    factory, x = narrow(4), batch()
    model = factory.with_params(factory.initial(0))
    before, h = model(x)["stress"], model.embed(x).detach().numpy()
    w, b = rng.normal(size=3), 0.7
    with torch.no_grad():
        model.narrow.weight.copy_(torch.tensor(w[None]))
        model.narrow.bias.fill_(b)
    moved = (model(x)["stress"] - before).detach().numpy()
    axes = PUBLIC.directions[:3]
    want = [w @ axes @ (row - PUBLIC.centre) + b for row in h]
    np.testing.assert_allclose(moved[:, 1], want, rtol=1e-6)
    assert not moved[:, 0].any()


def test_with_all_axes_it_can_say_what_the_head_can() -> None:
    """Any line through the embedding is the public line and a correction."""
    factory, x = narrow(WIDTH + 1), batch()
    model = factory.with_params(factory.initial(0))
    h = model.embed(x)
    wanted, constant = rng.normal(size=WIDTH), 0.3
    head = model.inner.stress
    change = wanted - head.weight.detach().numpy()[0]
    shift = constant - head.bias.item() + change @ PUBLIC.centre
    with torch.no_grad():
        model.narrow.weight.copy_(torch.tensor((PUBLIC.directions @ change)[None]))
        model.narrow.bias.fill_(shift)
    want = h.detach().numpy() @ wanted + constant
    np.testing.assert_allclose(model.heads(h)["stress"][:, 1].detach().numpy(), want, rtol=1e-6)


def test_works_for_the_network_of_the_paper() -> None:
    options = {"n_features": FEATURES, "n_identities": 3, "tasks": ("stress",)}
    of = StressIdentityCNN(**options)
    values = {n: p.detach().numpy() for n, p in of.named_parameters()}
    weights = PublicWeights(values, np.zeros(100), np.eye(100))
    factory = ModelFactory(StressIdentityCNN, options, "float64", public=weights, numbers=9)
    assert factory.layout.block_sizes["narrow"] == 9
    model, x = factory.with_params(factory.initial(5)), batch()
    torch.testing.assert_close(
        model(x)["stress"].float(), of({"features": x["features"].float()})["stress"],
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip
    assert set(model.layers(x)) >= {"input", "conv_1", "fc_1", "task:stress"}
