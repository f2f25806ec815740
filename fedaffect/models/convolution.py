"""Pad, convolve along time, max-pool, ReLU: one operation, for one network or several at once.

A step of a small network takes PyTorch longer for its convolutions and poolings than for all the
rest. Here windows lie with their channels side by side, so that a convolution is one matrix
product and pooling compares whole rows. The meaning, the place of a maximum among equal ones and
the gradient of zero included, is that of the stock layers; sums are taken in another order.

Shapes: K networks, B windows in the batch of each, C channels in and O out, L places, k taps of
the kernel, R places after the convolution, P after pooling.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# what autograd itself calls; bound once, since looking an operation up takes as long as a small one
_pool = torch.ops.aten.max_pool2d_with_indices.default
_pool_backward = torch.ops.aten.max_pool2d_with_indices_backward.default
_relu_backward = torch.ops.aten.threshold_backward.default


def convolved(
    x: Tensor, layer: nn.Conv1d, padding: tuple[int, int], window: int, stride: int
) -> Tensor:
    """Return ``relu(max_pool(layer(pad(x))))``, (B, O, P).

    Args:
        x: (B, C, L).
        layer: The convolution, which moves by 1 and pads nothing itself. Where someone listens to
            it through hooks, it is called.
        padding: Zeros to the left and to the right.
        window: Places that pooling takes the maximum of.
        stride: Places between two windows of pooling.
    """
    bias = layer.bias
    if bias is None or layer._forward_hooks or not torch.is_grad_enabled() or x.is_cuda:
        return F.relu(F.max_pool1d(layer(F.pad(x, padding)), window, stride))
    pooled, *_ = _Convolved.apply(x, layer.weight, bias, padding, window, stride)  # type: ignore[no-untyped-call]
    assert isinstance(pooled, Tensor)
    return pooled


def _stock(
    x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], window: int, stride: int
) -> Tensor:
    """Return the same from PyTorch's own operations, for one network."""
    return F.relu(F.max_pool1d(F.conv1d(F.pad(x, padding), weight, bias), window, stride))


class _Convolved(torch.autograd.Function):
    """``x`` (B, C, L) and the parameters of a network, or all of them with K in front."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], window: int, stride: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (B, O, P), and for the gradient: columns, kernel, places of the maxima."""
        networks = x.shape[:-3].numel()
        windows, channels, length = x.shape[-3:]
        outputs, _, taps = weight.shape[-3:]
        padded = torch.constant_pad_nd(x.transpose(-1, -2), (0, 0, *padding)).contiguous()
        step = channels * (length + sum(padding))
        rows = length + sum(padding) - taps + 1
        columns = padded.as_strided(
            (networks, windows, rows, taps * channels), (windows * step, step, channels, 1)
        ).reshape(networks, windows * rows, taps * channels)
        kernel = weight.transpose(-1, -2).reshape(networks, outputs, taps * channels)
        maps = torch.bmm(columns, kernel.transpose(1, 2))  # (K, B R, O)
        pooled, places = _pool(
            maps.view(networks * windows, 1, rows, outputs).permute(0, 3, 1, 2),
            (1, window),
            (1, stride),
        )  # (K B, O, 1, P), channels last in memory
        pooled = pooled.permute(0, 2, 3, 1).view(networks, -1, outputs)
        # the bias is the same at all places: added after pooling, it is added less often
        pooled.add_(bias.view(networks, 1, outputs)).relu_()
        pooled = pooled.view(*x.shape[:-2], places.shape[-1], outputs).transpose(-1, -2)
        return pooled, columns, kernel, places

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the gradient needs."""
        x, weight, bias, *ctx.sizes = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, bias, *output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``x``, ``weight`` and ``bias``."""
        if gradients[0] is None:
            return (None,) * 6
        x, weight, bias, pooled, columns, kernel, places = ctx.saved_tensors
        padding, window, stride = ctx.sizes
        if torch.is_grad_enabled():  # it will be differentiated once more
            stock = partial(_stock, padding=padding, window=window, stride=stride)
            of_all = stock if x.dim() == 3 else torch.func.vmap(stock)
            return *torch.func.vjp(of_all, x, weight, bias)[1](gradients[0]), None, None, None
        networks, by_row, wide = columns.shape
        windows, channels, length = x.shape[-3:]
        outputs, rows = kernel.shape[1], length + sum(padding) - weight.shape[-1] + 1
        of_pooled = _relu_backward(gradients[0], pooled, 0)  # 0 where ReLU cut off
        of_pooled = of_pooled.transpose(-1, -2).reshape(networks, -1, outputs)  # (K, B P, O)
        batch, left = networks * windows, pooled.shape[-1]
        of_maps = _pool_backward(
            of_pooled.view(batch, 1, left, outputs).permute(0, 3, 1, 2),
            # tells sizes and the order in memory
            columns.new_empty(batch, 1, rows, outputs).permute(0, 3, 1, 2),
            (1, window),
            (1, stride),
            (0, 0),
            (1, 1),
            False,
            places,
        )
        of_maps = of_maps.permute(0, 2, 3, 1).view(networks, by_row, outputs)
        of_kernel = torch.bmm(of_maps.transpose(1, 2), columns)  # (K, O, k C)
        of_weight = (
            of_kernel.view(*weight.shape[:-2], weight.shape[-1], channels)
            .transpose(-1, -2)
            .contiguous()
        )
        of_x = None
        if ctx.needs_input_grad[0]:
            of_columns = torch.bmm(of_maps, kernel).view(batch, rows * wide)
            of_padded = _overlapped(of_columns, rows, wide, channels)
            of_x = of_padded.narrow(1, padding[0], length).transpose(1, 2).view(x.shape)
        return of_x, of_weight, of_pooled.sum(1).view(bias.shape), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *given: Any) -> tuple[Any, Any]:
        """Lay the networks side by side; those that are stacks already become a longer one."""
        tensors = [
            one.expand(info.batch_size, *one.shape) if dim is None else one.movedim(dim, 0)
            for one, dim in zip(given[:3], in_dims, strict=False)
        ]
        stacks = tensors[0].shape[:-3]
        flat = [one.flatten(0, len(stacks) - 1) for one in tensors]
        pooled, *rest = _Convolved.apply(*flat, *given[3:])  # type: ignore[no-untyped-call]
        return (pooled.unflatten(0, stacks), *rest), 0


def _overlapped(columns: Tensor, rows: int, wide: int, step: int) -> Tensor:
    """Return the sum of rows that begin ``step`` after each other.

    Args:
        columns: (n, rows wide).
        rows: Rows in each of n.
        wide: Length of a row, a multiple of ``step``.
        step: Numbers between the beginnings of two rows.

    Returns:
        (n, rows - 1 + wide / step, step).
    """
    n, apart = len(columns), wide // step  # rows this far apart do not overlap
    length = rows - 1 + apart
    total = columns.new_zeros(n, length, step)
    for first in range(min(apart, rows)):
        count = (rows - first + apart - 1) // apart
        ends = total.as_strided((n, count, wide), (length * step, wide, 1), first * step)
        ends.add_(
            columns.as_strided((n, count, wide), (rows * wide, apart * wide, 1), first * wide)
        )
    return total
