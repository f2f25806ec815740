"""Pad, convolve along time, max-pool, ReLU: one operation, for one network or several at once.

A step of a small network takes PyTorch longer for its convolutions and poolings than for all the
rest. Here windows lie with their channels side by side, so that a convolution is one matrix
product and pooling compares whole rows. The meaning, the place of a maximum among equal ones and
the gradient of zero included, is that of the stock layers; sums are taken in another order.

Shapes: K networks, B windows in the batch of each, C channels in and O out, L places, T places
with padding, k taps of the kernel, R places after the convolution, P after pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vjp, vmap

# what autograd itself calls; bound once, since to look one up takes as long as a small operation
_pool = torch.ops.aten.max_pool2d_with_indices.default
_pool_backward = torch.ops.aten.max_pool2d_with_indices_backward.default
_relu_backward = torch.ops.aten.threshold_backward.default
_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # by torch.func


def convolved(
    x: Tensor, layer: nn.Conv1d, padding: tuple[int, int], window: int, stride: int
) -> Tensor:
    """Return ``relu(max_pool(layer(pad(x))))``, (B, O, P).

    PyTorch's own layers do it where nothing is trained, where someone listens to the layer through
    hooks, and on a GPU.

    Args:
        x: (B, C, L).
        layer: The convolution, which moves by 1 and pads nothing itself.
        padding: Zeros to the left and to the right.
        window: Places that pooling takes the maximum of.
        stride: Places between two windows of pooling.
    """
    weight, bias = layer.weight, layer.bias
    if bias is None or layer._forward_hooks or not torch.is_grad_enabled() or x.is_cuda:
        return F.relu(F.max_pool1d(layer(F.pad(x, padding)), window, stride))
    return _convolved(x, weight, bias, padding, window, stride)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, *how: Any) -> Tensor:
    transformed = _is_wrapped(x) or _is_wrapped(weight) or _is_wrapped(bias)
    operation = _Transformed if transformed else _Convolved
    pooled: Tensor = operation.apply(x, weight, bias, *how)  # type: ignore[no-untyped-call]
    return pooled


def _stock(
    networks: bool, padding: tuple[int, int], window: int, stride: int
) -> Callable[..., Tensor]:
    """Return what PyTorch's own operations make of ``x``, ``weight`` and ``bias``.

    Args:
        networks: Whether all of them have K in front.
        padding: See :func:`convolved`, as for the others.
        window: Places that pooling takes the maximum of.
        stride: Places between two windows of pooling.
    """

    def of(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        maps = F.conv1d(F.pad(x, padding), weight, bias)
        return F.relu(F.max_pool1d(maps, window, stride))

    return vmap(of) if networks else of


class _Convolved(torch.autograd.Function):
    """``x`` (B, C, L) and the parameters of a network, or all of them with K in front."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        padding: tuple[int, int],
        window: int,
        stride: int,
    ) -> Tensor:
        """Return (B, O, P)."""
        *stacks, windows, channels, length = x.shape
        networks = stacks[0] if stacks else 1
        outputs, taps = weight.shape[-3], weight.shape[-1]
        places, wide = sum(padding) + length, taps * channels
        rows, batch = places - taps + 1, networks * windows
        padded = torch.constant_pad_nd(x.transpose(-1, -2), (0, 0, *padding)).contiguous()
        columns = padded.as_strided((batch, rows, wide), (places * channels, channels, 1)).reshape(
            networks, windows * rows, wide
        )
        kernel = weight.transpose(-1, -2).reshape(networks, outputs, wide)
        maps = torch.bmm(columns, kernel.transpose(1, 2))  # (K, B R, O)
        maps = maps.view(batch, 1, rows, outputs).permute(0, 3, 1, 2)  # channels last in memory
        found, chosen = _pool(maps, (1, window), (1, stride))  # (K B, O, 1, P)
        found = found.permute(0, 2, 3, 1).view(*stacks, windows, chosen.shape[-1], outputs)
        # the bias is the same at all places: added after pooling, it is added less often
        found.add_(bias.view(*stacks, 1, 1, outputs)).relu_()
        pooled: Tensor = found.transpose(-1, -2)
        ctx.how = padding, window, stride, rows
        ctx.save_for_backward(x, weight, bias, pooled, columns, kernel, chosen)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``x``, ``weight`` and ``bias``."""
        x, weight, bias, pooled, columns, kernel, chosen = ctx.saved_tensors
        padding, window, stride, rows = ctx.how
        if torch.is_grad_enabled():  # it will be differentiated once more
            again = vjp(_stock(x.dim() > 3, padding, window, stride), x, weight, bias)[1]
            return *again(gradients[0]), None, None, None
        channels, length = x.shape[-2:]
        networks, outputs, wide = kernel.shape
        batch, left = len(chosen), chosen.shape[-1]
        of_pooled = _relu_backward(gradients[0], pooled, 0).transpose(-1, -2)
        of_pooled = of_pooled.reshape(networks, batch // networks * left, outputs)
        of_maps = _pool_backward(
            of_pooled.view(batch, 1, left, outputs).permute(0, 3, 1, 2),
            # tells sizes and the order in memory
            columns.new_empty(batch, 1, rows, outputs).permute(0, 3, 1, 2),
            (1, window),
            (1, stride),
            (0, 0),
            (1, 1),
            False,
            chosen,
        )
        of_maps = of_maps.permute(0, 2, 3, 1).view(networks, batch // networks * rows, outputs)
        of_kernel = torch.bmm(of_maps.transpose(1, 2), columns)  # (K, O, k C)
        of_weight = of_kernel.view(*weight.shape[:-2], -1, channels).transpose(-1, -2)
        of_bias = of_pooled.sum(1).view(bias.shape)
        if not ctx.needs_input_grad[0]:
            return None, of_weight, of_bias, None, None, None
        of_columns = torch.bmm(of_maps, kernel).view(batch, rows, wide)
        of_x = _overlapped(of_columns, channels).narrow(1, padding[0], length)
        return of_x.transpose(1, 2).view(x.shape), of_weight, of_bias, None, None, None


class _Transformed(torch.autograd.Function):
    """The same under ``torch.func``: ``vmap`` lays networks side by side."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, *how: Any) -> Tensor:
        """Return (B, O, P)."""
        return _stock(x.dim() > 3, *how)(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what the gradient needs."""
        ctx.save_for_backward(*inputs[:3])
        ctx.how = inputs[3:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``x``, ``weight`` and ``bias``."""
        given = ctx.saved_tensors
        again = vjp(_stock(given[0].dim() > 3, *ctx.how), *given)[1]
        return *again(gradients[0]), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *given: Any) -> tuple[Tensor, int]:
        """Lay the networks side by side; those that are stacks already become a longer one."""
        tensors = [
            one.expand(info.batch_size, *one.shape) if dim is None else one.movedim(dim, 0)
            for one, dim in zip(given[:3], in_dims, strict=False)
        ]
        stacks = tensors[0].shape[:-3]
        flat = [one.flatten(0, len(stacks) - 1) for one in tensors]
        pooled = _convolved(*flat, *given[3:])
        return pooled.view(*stacks, *pooled.shape[1:]), 0


def _overlapped(columns: Tensor, step: int) -> Tensor:
    """Return the sum of rows that begin ``step`` numbers after each other.

    Args:
        columns: (n, R, wide), contiguous.
        step: A divisor of ``wide``.

    Returns:
        (n, R - 1 + wide / step, step).
    """
    n, rows, wide = columns.shape
    apart = wide // step  # rows this far apart do not overlap
    total = columns.new_zeros(n, rows - 1 + apart, step)
    length = total.stride(0)
    for first in range(min(apart, rows)):
        size = (n, (rows - first + apart - 1) // apart, wide)
        total.as_strided(size, (length, wide, 1), first * step).add_(
            columns.as_strided(size, (rows * wide, apart * wide, 1), first * wide)
        )
    return total
