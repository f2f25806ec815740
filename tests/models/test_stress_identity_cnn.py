import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fedaffect.errors import UsageError
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN, pooled_length
from fedaffect.params import Layout


def table_2(n_features: int, n_identities: int) -> tuple[nn.Sequential, nn.Linear, nn.Sequential]:
    """Table II of the paper, line by line, pooling after relu; trunk, stress and identity head."""
    flat = nn.Sequential(
        *_convolution(1, 20, 2), *_convolution(20, 40, 8), *_convolution(40, 60, 2), nn.Flatten()
    )
    width = flat(torch.zeros(1, 1, n_features)).shape[1]
    return (
        nn.Sequential(flat, nn.Linear(width, 100), nn.ReLU()),
        nn.Linear(100, 2),
        nn.Sequential(nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, n_identities)),
    )


def _convolution(inputs: int, outputs: int, pool: int) -> list[nn.Module]:
    return [
        nn.ConstantPad1d((3, 4), 0.0),
        nn.Conv1d(inputs, outputs, kernel_size=8, stride=1, padding=0),
        nn.ReLU(),
        nn.MaxPool1d(pool, stride=2),
    ]


def pair(
    n_features: int, n_identities: int, seed: int
) -> tuple[StressIdentityCNN, list[nn.Module], torch.Tensor]:
    """Our model and the oracle with the same parameters in float64, and 7 windows."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ours = StressIdentityCNN(n_features, n_identities).double()
        x = torch.randn(7, n_features, dtype=torch.float64)
    oracle: list[nn.Module] = [part.double() for part in table_2(n_features, n_identities)]
    theirs = [p for part in oracle for p in part.parameters()]
    # order of ours: conv_1, conv_4, conv_7, fc_1, linear_1, fc_2, linear_2, as in the table
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs, strict=True):
            other.copy_(mine)
    return ours, oracle, x


def test_parameters_are_those_of_table_2() -> None:
    layout = ModelFactory(
        StressIdentityCNN, {"n_features": 60, "n_identities": 15}, "float32"
    ).layout
    # conv: in * out * 8 + out; linear: in * out + out, from the printed layer sizes
    by_hand = [180, 6_440, 19_260, 36_100, 202, 30_300, 4_515]
    per_layer: dict[str, int] = {}
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        layer = name.partition(".")[0]
        per_layer[layer] = per_layer.get(layer, 0) + int(np.prod(shape))
    assert list(per_layer.values()) == by_hand
    assert list(per_layer) == [
        "conv_1", "conv_4", "conv_7", "fc_1", "linear_1", "fc_2", "linear_2",
    ]  # fmt: skip
    assert layout.size == sum(by_hand) == 96_997
    assert layout.block_sizes == {"shared": 61_980, "task:stress": 202, "task:identity": 34_815}


def test_shapes_inside_are_those_of_table_2() -> None:
    model = StressIdentityCNN(60, 15)
    seen: dict[str, tuple[int, ...]] = {}
    for name, layer in model.named_children():
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update(
                {name + " in": tuple(inputs[0].shape), name: tuple(output.shape)}
            )
        )
    model({"features": torch.zeros(3, 60)})
    assert seen == {
        "conv_1 in": (3, 1, 67),  # 60 and seven zeros
        "conv_1": (3, 20, 60),
        "conv_4 in": (3, 20, 37),
        "conv_4": (3, 40, 30),
        "conv_7 in": (3, 40, 19),
        "conv_7": (3, 60, 12),
        "fc_1 in": (3, 360),  # "IN=360"
        "fc_1": (3, 100),
        "linear_1 in": (3, 100),
        "linear_1": (3, 2),
        "fc_2 in": (3, 100),
        "fc_2": (3, 300),
        "linear_2 in": (3, 300),
        "linear_2": (3, 15),
    }


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([20, 33, 60, 61, 65, 80, 140]), st.integers(1, 20), st.integers(0, 10**6))
def test_equal_to_the_table_written_out(n_features: int, n_identities: int, seed: int) -> None:
    ours, (trunk, stress, identity), x = pair(n_features, n_identities, seed)
    with torch.no_grad():
        h = trunk(x.unsqueeze(1))
        assert torch.equal(ours.embed({"features": x}), h)
        said = ours({"features": x})
        assert torch.equal(said["stress"], stress(h))
        assert torch.equal(said["identity"], identity(h))

    h, said = trunk(x.unsqueeze(1)), ours({"features": x})  # training sums in another order
    assert list(said) == ["stress", "identity"]
    torch.testing.assert_close(said["stress"], stress(h), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(said["identity"], identity(h), rtol=1e-12, atol=1e-14)
    weight = torch.linspace(-1, 2, 7, dtype=torch.float64).unsqueeze(1)
    (weight * (said["stress"].sum(1, keepdim=True) + said["identity"] ** 2)).sum().backward()
    (weight * (stress(h).sum(1, keepdim=True) + identity(h) ** 2)).sum().backward()
    theirs = [p.grad for part in (trunk, stress, identity) for p in part.parameters()]
    for mine, other in zip(ours.parameters(), theirs, strict=True):
        torch.testing.assert_close(mine.grad, other, rtol=1e-12, atol=1e-12)


def test_a_window_does_not_see_its_neighbours_in_the_batch() -> None:
    ours, _, x = pair(60, 15, 3)
    together = ours.embed({"features": x})
    for i in range(len(x)):
        torch.testing.assert_close(
            ours.embed({"features": x[i : i + 1]})[0], together[i], rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize(("modality", "n_features"), [("wrist", 60), ("chest", 80), ("both", 140)])
def test_every_modality_fits(modality: str, n_features: int) -> None:
    model = StressIdentityCNN(n_features, 9)
    assert model({"features": torch.zeros(2, n_features)})["identity"].shape == (2, 9)
    assert model.fc_1.in_features == 60 * pooled_length(n_features)


@given(st.integers(0, 400))
def test_pooled_length_is_what_pooling_leaves(n: int) -> None:
    left = n
    for window in (2, 8, 2):  # count the places where a window fits, two apart
        left = len([start for start in range(0, left, 2) if start + window <= left])
    assert pooled_length(n) == left
    assert (pooled_length(n) >= 1) == (n >= 20)


@pytest.mark.parametrize("n_features", [0, 1, 7, 15, 19])
def test_too_few_features_are_refused(n_features: int) -> None:
    with pytest.raises(UsageError, match=f"give {n_features}") as caught:
        StressIdentityCNN(n_features, 2)
    assert caught.value.code == "E230"


def test_blocks_follow_the_use_of_the_layers() -> None:
    ours, _, x = pair(60, 4, 0)
    layout = Layout.of(ours, ours.blocks())
    assert list(layout.blocks) == ["shared", "task:stress", "task:identity"]
    for task, block in (("stress", "task:stress"), ("identity", "task:identity")):
        ours.zero_grad()
        ours({"features": x})[task].square().sum().backward()
        moved = {name for name, p in ours.named_parameters() if p.grad is not None}
        assert moved == {*layout.blocks["shared"], *layout.blocks[block]}


def test_initial_values_depend_on_the_seed_alone() -> None:
    options = {"n_features": 60, "n_identities": 15}
    double = ModelFactory(StressIdentityCNN, options, "float64")
    single = ModelFactory(StressIdentityCNN, options, "float32")
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = double.initial(7)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    assert np.array_equal(double.initial(7), first)
    assert np.array_equal(single.initial(7), first)
    assert not np.array_equal(double.initial(8), first)
    assert first.dtype == np.float64
    # PyTorch draws from U(-1/sqrt(fan in), 1/sqrt(fan in)); 360 inputs of FC_1
    fc_1 = first[double.layout.slices["fc_1.weight"]]
    assert 0.99 / 360**0.5 < np.abs(fc_1).max() <= 1 / 360**0.5
    model = single.with_params(first)
    assert not model.training
    assert np.array_equal(
        torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy(),
        first.astype(np.float32),
    )


def test_layers_are_those_of_the_table_after_pooling_and_relu() -> None:
    ours, (trunk, stress, identity), x = pair(60, 15, seed=3)
    flat = trunk[0]
    assert isinstance(flat, nn.Sequential)
    h, table = x.unsqueeze(1), {"input": x}
    for number, name in enumerate(("conv_1", "conv_4", "conv_7")):
        h = flat[4 * number : 4 * number + 4](h)
        table[name] = h.flatten(1)
    table["fc_1"] = trunk(x.unsqueeze(1))
    table |= {"task:stress": stress(table["fc_1"]), "task:identity": identity(table["fc_1"])}
    with torch.no_grad():
        layers = ours.layers({"features": x})
    assert [(name, h.shape[1]) for name, h in layers.items()] == [
        ("input", 60), ("conv_1", 600), ("conv_4", 480), ("conv_7", 360), ("fc_1", 100),
        ("task:stress", 2), ("task:identity", 15),
    ]  # fmt: skip
    assert all(torch.equal(h, table[name]) for name, h in layers.items())
