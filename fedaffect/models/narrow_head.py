"""A model whose primary head is corrected by few numbers: what ``--release N`` trains.

The correction reads the leading principal axes of the embedding, which were computed from public
people: with p axes and K classes it has (K - 1)(p + 1) numbers. Everything else stays as it was.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fedaffect.errors import UsageError
from fedaffect.models.base import Batch, MultitaskModel, Task

BLOCK = "narrow"  # name of the block of the few numbers


class NarrowHead(MultitaskModel):
    """``inner`` with a linear correction of its primary head, zero at first.

    Args:
        inner: A model.
        numbers: Most numbers that the correction may have.
        width: Width H of the shared representation of ``inner``.

    Raises:
        UsageError: E228 so few numbers correct nothing.
    """

    def __init__(self, inner: MultitaskModel, numbers: int, width: int) -> None:
        super().__init__()
        self.tasks = inner.tasks
        self.primary = inner.tasks[0]
        axes = axes_of(numbers, self.primary, width)
        self.inner = inner
        self.centre = nn.Parameter(torch.zeros(width))  # (H,)
        self.directions = nn.Parameter(torch.eye(width)[:axes])  # (p, H)
        self.narrow = nn.Linear(axes, _outputs(self.primary))
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def embed(self, batch: Batch) -> Tensor:
        """Return the embedding of ``inner``, (B, H)."""
        return self.inner.embed(batch)

    def layers(self, batch: Batch) -> dict[str, Tensor]:
        """Return the layers of ``inner``, with the corrected logits."""
        return self.inner.layers(batch) | self.head_layers(self.embed(batch))

    def heads(self, h: Tensor) -> dict[str, Tensor]:
        """Return the outputs of ``inner``, those of the primary task corrected."""
        outputs = self.inner.heads(h)
        score = self.narrow((h - self.centre) @ self.directions.T)
        if self.primary.kind == "classification":  # logits matter up to a constant
            score = torch.cat([torch.zeros_like(score[:, :1]), score], dim=1)
        return outputs | {self.primary.name: outputs[self.primary.name] + score}

    def blocks(self) -> dict[str, list[str]]:
        """Return the blocks of ``inner`` with the axes among the shared, then ``narrow``."""
        blocks = {
            name: [f"inner.{parameter}" for parameter in parameters]
            for name, parameters in self.inner.blocks().items()
        }
        blocks["shared"] += ["centre", "directions"]
        return blocks | {BLOCK: ["narrow.weight", "narrow.bias"]}


def axes_of(numbers: int, task: Task, width: int) -> int:
    """Return how many axes a correction of ``numbers`` numbers reads, 1 to ``width``.

    Raises:
        UsageError: E228 fewer numbers than one axis and one constant take.
    """
    outputs = _outputs(task)
    least = 2 * outputs
    if numbers < least:
        raise UsageError(
            "E228",
            f"--release {numbers} is fewer numbers than a weight and a constant for {task.name}",
            do=f"--release {least} or more, or head",
        )
    return min(numbers // outputs - 1, width)


def _outputs(task: Task) -> int:
    """Return the free outputs of a task: of K logits, one is free of cost."""
    return task.n_outputs - 1 if task.kind == "classification" else task.n_outputs
