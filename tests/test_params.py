from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fedaffect.params import Layout, read_flat, write_flat


class Odd(nn.Module):
    """Parameters of every rank, a 0-d one and an empty one among them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.empty = nn.Parameter(torch.zeros(0, 4))
        self.layer = nn.Linear(3, 2)
        self.cube = nn.Parameter(torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2).contiguous())


BLOCKS = {"b": ["layer.weight", "scale"], "a": ["cube"], "c": ["layer.bias", "empty"]}


@pytest.fixture
def model() -> Odd:
    return Odd()


def test_layout_against_a_slow_loop(model: Odd) -> None:
    layout = Layout.of(model, BLOCKS)
    at = 0
    for name, p in model.named_parameters():
        assert layout.slices[name] == slice(at, at + p.numel())
        at += p.numel()
    assert layout.size == at == 1 + 0 + 6 + 2 + 24
    assert layout.block_sizes == {"b": 7, "a": 24, "c": 2}
    assert list(layout.block_sizes) == list(BLOCKS)


def test_every_coordinate_is_in_exactly_one_block(model: Odd) -> None:
    layout = Layout.of(model, BLOCKS)
    indices = [layout.indices(block) for block in BLOCKS]
    assert sorted(np.concatenate(indices)) == list(range(layout.size))
    assert all((np.diff(i) > 0).all() for i in indices)
    named = dict(model.named_parameters())
    flat = read_flat(model).numpy()
    inside = {float(v) for n in BLOCKS["a"] for v in named[n].detach().flatten()}
    assert {float(v) for v in flat[layout.indices("a")]} == inside


@pytest.mark.parametrize(
    "blocks",
    [
        {"a": ["layer.weight", "scale", "cube", "layer.bias"]},  # one forgotten
        {**BLOCKS, "d": ["scale"]},  # one twice
        {**BLOCKS, "d": ["nothing"]},  # one that is not there
        {},
    ],
)
def test_blocks_must_be_a_partition(model: Odd, blocks: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="not a partition"):
        Layout.of(model, blocks)


def test_buffers_would_leave_unprotected() -> None:
    model = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="buffers"):
        Layout.of(model, {"a": ["weight", "bias"]})


@given(st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(seed: int) -> None:
    model = Odd()
    vector = torch.randn(33, generator=torch.Generator().manual_seed(seed))
    write_flat(model, vector)
    assert torch.equal(read_flat(model), vector)
    layout = Layout.of(model, BLOCKS)
    for name, p in model.named_parameters():
        part = vector[layout.slices[name]]
        assert torch.equal(p.detach(), part.reshape(p.shape))


def test_reading_is_a_copy(model: Odd) -> None:
    flat = read_flat(model)
    flat.zero_()
    assert model.scale.item() == 3.0
    assert not flat.requires_grad


@pytest.mark.parametrize("shape", [(32,), (34,), (33, 1), ()])
def test_a_vector_of_another_shape_changes_nothing(model: Odd, shape: tuple[int, ...]) -> None:
    before = read_flat(model)
    with pytest.raises(ValueError, match="does not fit"):
        write_flat(model, torch.zeros(shape))
    assert torch.equal(read_flat(model), before)


def test_digest_tells_layouts_apart(model: Odd) -> None:
    layout = Layout.of(model, BLOCKS)
    assert layout.digest == Layout.of(Odd(), BLOCKS).digest
    renamed = Layout(("x", *layout.names[1:]), layout.shapes, layout.blocks)
    reshaped = Layout(layout.names, ((1,), *layout.shapes[1:]), layout.blocks)
    moved = Layout.of(model, {**BLOCKS, "a": ["cube", "scale"], "b": ["layer.weight"]})
    assert len({layout.digest, renamed.digest, reshaped.digest, moved.digest}) == 4
