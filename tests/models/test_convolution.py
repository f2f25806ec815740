"""Pad, convolve, max-pool, ReLU in one operation: against PyTorch's own, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fedaffect.models.convolution import convolved

Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


class Layered(nn.Module):
    """The layer in a network, whose parameters may be replaced."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.layer = nn.Conv1d(shape.channels, shape.outputs, shape.taps, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        shape = self.shape
        return convolved(x, self.layer, shape.padding, shape.window, shape.stride)


@dataclass(frozen=True)
class Shape:
    """Sizes of one layer, of what it reads, and of how many networks there are."""

    networks: int = 3
    windows: int = 4
    channels: int = 2
    outputs: int = 5
    length: int = 11
    taps: int = 4
    padding: tuple[int, int] = (1, 2)
    window: int = 3
    stride: int = 2

    @property
    def ours(self) -> Operation:
        layered = Layered(self)

        def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            parameters = {"layer.weight": weight, "layer.bias": bias}
            found: Tensor = functional_call(layered, parameters, (x,))
            return found

        return run

    def stock(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the same from PyTorch's operations, pooling after ReLU."""
        maps = F.conv1d(F.pad(x, self.padding), weight, bias)
        return F.max_pool1d(F.relu(maps), self.window, self.stride)

    def draw(self, seed: int, grid: bool = False) -> list[Tensor]:
        """Return windows (K, B, C, L), weights (K, O, C, k) and biases (K, O).

        On a grid all are small whole numbers: sums are exact, and many maxima and zeros tie.
        """
        sizes = [
            (self.networks, self.windows, self.channels, self.length),
            (self.networks, self.outputs, self.channels, self.taps),
            (self.networks, self.outputs),
        ]
        random = torch.Generator().manual_seed(seed)
        tensors = [torch.randn(size, generator=random, dtype=torch.float64) for size in sizes]
        return [(t.round() if grid else t).requires_grad_() for t in tensors]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    taps, window = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    padding = (draw(st.integers(0, 8)), draw(st.integers(0, 8)))
    least = max(1, taps + window - 1 - sum(padding))
    return Shape(
        networks=draw(st.integers(1, 3)),
        windows=draw(st.integers(1, 4)),
        channels=draw(st.integers(1, 4)),
        outputs=draw(st.integers(1, 5)),
        length=draw(st.integers(least, least + 12)),
        taps=taps,
        padding=padding,
        window=window,
        stride=draw(st.integers(1, 4)),
    )


def assert_same(ours: Operation, theirs: Operation, given: list[Tensor], exact: bool) -> None:
    """Compare values, and gradients with respect to everything that is given."""
    found, expected = ours(*given), theirs(*given)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).double()
    weight = weight.round() if exact else weight
    pairs = [(found, expected)]
    pairs += zip(
        torch.autograd.grad(found, given, weight),
        torch.autograd.grad(expected, given, weight),
        strict=True,
    )
    for mine, other in pairs:
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=0.0 if exact else 1e-12)


@settings(max_examples=60, deadline=None)
@given(shapes(), st.integers(0, 10**6), st.booleans())
def test_values_and_gradients_are_those_of_pytorch(shape: Shape, seed: int, grid: bool) -> None:
    alone = [t[0].detach().requires_grad_() for t in shape.draw(seed, grid)]
    assert_same(shape.ours, shape.stock, alone, exact=grid)


@settings(max_examples=40, deadline=None)
@given(
    shapes(),
    st.integers(0, 10**6),
    st.booleans(),
    st.sampled_from([(0, 0, 0), (0, None, None), (None, 0, 0), (0, 0, None), (0, None, 0)]),
)
def test_networks_side_by_side_are_those_alone(
    shape: Shape, seed: int, grid: bool, stacked: tuple[int | None, ...]
) -> None:
    drawn = zip(shape.draw(seed, grid), stacked, strict=True)
    given = [(t[0] if dim is None else t).detach().requires_grad_() for t, dim in drawn]

    def one_by_one(*all_of: Tensor) -> Tensor:
        own = [
            [t if dim is None else t[k] for t, dim in zip(all_of, stacked, strict=True)]
            for k in range(shape.networks)
        ]
        return torch.stack([shape.stock(*tensors) for tensors in own])

    assert_same(vmap(shape.ours, in_dims=stacked), one_by_one, given, exact=grid)


def test_stacks_of_stacks() -> None:
    shape = Shape()
    given = [torch.stack([t.detach(), -t.detach()]) for t in shape.draw(0)]
    found = vmap(vmap(shape.ours))(*given)
    for outer in range(2):
        for inner in range(shape.networks):
            alone = shape.stock(*(t[outer, inner] for t in given))
            torch.testing.assert_close(found[outer, inner], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stacked", [False, True])
def test_gradients_of_gradients(stacked: bool) -> None:
    shape = Shape(networks=2, windows=2, outputs=3, length=6, window=2)
    given = shape.draw(5)
    ours: Operation = vmap(shape.ours) if stacked else shape.ours
    if not stacked:
        given = [t[0].detach().requires_grad_() for t in given]
    assert torch.autograd.gradcheck(ours, given)
    assert torch.autograd.gradgradcheck(ours, given)


def test_per_sample_gradients_from_torch_func() -> None:
    shape = Shape()
    ours, (x, weight, bias) = shape.ours, (t[0].detach() for t in shape.draw(2))

    def loss(weight: Tensor, bias: Tensor, window: Tensor) -> Tensor:
        return ours(window[None], weight, bias).square().sum()

    found = vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(None, None, 0))(weight, bias, x)
    for n in range(shape.windows):
        moved = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]
        expected = torch.autograd.grad(shape.stock(x[n : n + 1], *moved).square().sum(), moved)
        for mine, other in zip(found, expected, strict=True):
            torch.testing.assert_close(mine[n], other, rtol=1e-12, atol=1e-12)


def test_relu_is_flat_at_zero_and_the_first_of_equal_maxima_moves() -> None:
    layer = nn.Conv1d(1, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()  # type: ignore[union-attr]
    x = torch.tensor([[[2.0, 3.0, 3.0, 3.0, 0.0, 0.0, -1.0, 1.0]]], dtype=torch.float64)
    x.requires_grad_()
    pooled = convolved(x, layer, (0, 0), 2, 2)
    assert pooled.tolist() == [[[3.0, 3.0, 0.0, 1.0]]]
    moved = torch.autograd.grad(pooled.sum(), x)[0]
    assert moved.tolist() == [[[0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]]]


def test_who_listens_to_the_layer_hears_it() -> None:
    shape = Shape()
    x = shape.draw(0)[0][0].detach()
    layer = nn.Conv1d(shape.channels, shape.outputs, shape.taps, dtype=torch.float64)
    quiet = convolved(x, layer, shape.padding, shape.window, shape.stride)
    heard: list[tuple[int, ...]] = []
    hook = layer.register_forward_hook(lambda _, inputs, said: heard.append(tuple(said.shape)))
    loud = convolved(x, layer, shape.padding, shape.window, shape.stride)
    assert heard == [(shape.windows, shape.outputs, shape.length + 3 - shape.taps + 1)]
    torch.testing.assert_close(quiet, loud, rtol=1e-12, atol=1e-12)
    hook.remove()
    convolved(x, layer, shape.padding, shape.window, shape.stride)
    assert len(heard) == 1


def test_a_layer_without_bias_and_an_empty_batch() -> None:
    bare = nn.Conv1d(2, 3, 4, bias=False, dtype=torch.float64)
    x = torch.randn(2, 2, 9, dtype=torch.float64)
    expected = F.relu(F.max_pool1d(bare(F.pad(x, (1, 1))), 2))
    assert torch.equal(convolved(x, bare, (1, 1), 2, 2), expected)
    layer = nn.Conv1d(2, 3, 4, dtype=torch.float64)
    nothing = convolved(x[:0], layer, (1, 1), 2, 2)
    assert nothing.shape == (0, 3, 4)
    moved = torch.autograd.grad(nothing.sum(), layer.weight)[0]
    assert torch.equal(moved, torch.zeros_like(layer.weight))


def test_without_gradients_it_is_pytorch_itself() -> None:
    shape = Shape()
    x, weight, bias = (t[0] for t in shape.draw(4))
    with torch.no_grad():
        assert torch.equal(shape.ours(x, weight, bias), shape.stock(x, weight, bias))


def test_single_precision_is_close() -> None:
    shape = Shape(windows=8, channels=20, outputs=40, length=30, taps=8)
    double = [t[0].detach() for t in shape.draw(3)]
    single = [t.float().requires_grad_() for t in double]
    found = shape.ours(*single)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), shape.stock(*(t.detach().double() for t in single)), rtol=1e-4, atol=1e-4
    )
    assert all(g.dtype == torch.float32 for g in torch.autograd.grad(found.sum(), single))
