"""A model's parameters as one flat vector, with a layout that names every piece.

Updates travel, are clipped, noised and averaged as flat vectors, so that no tensor (0-d
parameters included) can escape clipping or noise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Layout:
    """Names, shapes and blocks of the parameters in a flat vector of length ``size``."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    blocks: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, model: nn.Module, blocks: Mapping[str, list[str]]) -> Layout:
        """Read the layout of ``model``; ``blocks`` must be a partition of its parameters.

        Raises:
            ValueError: a parameter is in no block or in two, or the model has buffers.
        """
        parameters = dict(model.named_parameters())
        in_blocks = [name for names in blocks.values() for name in names]
        if sorted(in_blocks) != sorted(parameters):
            odd = set(in_blocks) ^ set(parameters)
            raise ValueError(f"blocks are not a partition of the parameters: {sorted(odd)}")
        if buffers := [name for name, _ in model.named_buffers()]:
            raise ValueError(f"buffers would leave outside every block: {buffers}")
        return cls(
            tuple(parameters),
            tuple(tuple(p.shape) for p in parameters.values()),
            {block: tuple(names) for block, names in blocks.items()},
        )

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Parameter name to its place in the flat vector."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        starts = [0, *ends[:-1].tolist()]
        return {
            name: slice(int(a), int(b)) for name, a, b in zip(self.names, starts, ends, strict=True)
        }

    @cached_property
    def size(self) -> int:
        """Number of parameters d."""
        return int(sum(int(np.prod(shape)) for shape in self.shapes))

    @cached_property
    def block_sizes(self) -> dict[str, int]:
        """Block name to its number of parameters."""
        sizes = dict(zip(self.names, self.shapes, strict=True))
        return {b: int(sum(np.prod(sizes[n]) for n in names)) for b, names in self.blocks.items()}

    def indices(self, block: str) -> np.ndarray:
        """Return the positions of ``block`` in the flat vector, ascending, (d_block,)."""
        parts = [np.arange(self.slices[n].start, self.slices[n].stop) for n in self.blocks[block]]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of names, shapes and blocks: two parties must agree on it."""
        text = json.dumps([self.names, self.shapes, [[b, *n] for b, n in self.blocks.items()]])
        return hashlib.sha256(text.encode()).hexdigest()


def read_flat(model: nn.Module) -> torch.Tensor:
    """Return a copy of all parameters, (d,)."""
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def write_flat(model: nn.Module, vector: torch.Tensor) -> None:
    """Overwrite all parameters with ``vector`` (d,), in place.

    Raises:
        ValueError: the vector has another length.
    """
    parameters = list(model.parameters())
    if vector.shape != (sum(p.numel() for p in parameters),):
        raise ValueError(f"vector of shape {tuple(vector.shape)} does not fit the model")
    at = 0
    with torch.no_grad():
        for p in parameters:
            p.copy_(vector[at : at + p.numel()].view_as(p))
            at += p.numel()
