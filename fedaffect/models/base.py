"""The interface of a multitask affect model.

Shapes used in this package: B windows in a batch, F features a window, H width of the shared
representation, K outputs of a task, d parameters in all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Batch = Mapping[str, Tensor]  # "features" (B, F) and one (B,) tensor of labels a task


@dataclass(frozen=True)
class Task:
    """One thing that a model predicts.

    Args:
        name: Name of the task and of its labels in a batch.
        kind: Classification (cross-entropy) or regression (squared error).
        n_outputs: Number of classes, or of regression targets.
        role: ``primary`` is what the model is for; ``private`` is what should not be learned
            by others, such as identity.
    """

    name: str
    kind: Literal["classification", "regression"]
    n_outputs: int
    role: Literal["primary", "auxiliary", "private"]


class MultitaskModel(nn.Module, ABC):
    """A shared representation with one head a task."""

    tasks: tuple[Task, ...]

    @abstractmethod
    def embed(self, batch: Batch) -> Tensor:
        """Return the released shared representation, (B, H): what an attacker probes."""

    @abstractmethod
    def heads(self, h: Tensor) -> dict[str, Tensor]:
        """Return task name to (B, K), from the shared representation ``h`` (B, H)."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return task name to (B, K)."""
        return self.heads(self.embed(batch))

    def layers(self, batch: Batch) -> dict[str, Tensor]:
        """Return layer name to activations (B, width), in order from the input to the heads.

        The first is the input, the logits of a head are called ``task:NAME``, and the last layer
        before them is what :meth:`embed` returns. A model with more to show overrides this.
        """
        h = self.embed(batch)
        return {"input": batch["features"].flatten(1), "embedding": h} | self.head_layers(h)

    def head_layers(self, h: Tensor) -> dict[str, Tensor]:
        """Return ``task:NAME`` to logits (B, K), from the shared representation ``h`` (B, H)."""
        return {f"task:{name}": logits for name, logits in self.heads(h).items()}

    @abstractmethod
    def blocks(self) -> dict[str, list[str]]:
        """Return block name to its parameter names: a partition of all parameters.

        Names are ``shared`` and ``task:NAME``; order of the blocks is fixed.
        """
