"""A small encoder: few numbers describe a window, and fewer still are trained on private people.

Two layers turn F features into ``width`` numbers between -1 and 1; the stress head is one line
through them: ``width + 1`` numbers. Not from a paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedaffect.models.base import Batch, MultitaskModel, Task, chosen_tasks


class CompactEncoder(MultitaskModel):
    """Two layers with tanh, a logistic stress head and a linear identity head.

    Args:
        n_features: Number F of features of a window.
        n_identities: Number of people that the identity head tells apart.
        tasks: Names of the tasks that are trained, the primary one first; others have no head.
        hidden: Width of the first layer.
        width: Width H of the shared representation.

    Raises:
        UsageError: E210 a task is not known.
    """

    def __init__(
        self,
        n_features: int = 60,
        n_identities: int = 15,
        tasks: Sequence[str] = ("stress", "identity"),
        hidden: int = 64,
        width: int = 8,
    ) -> None:
        super().__init__()
        stress = Task("stress", "classification", 2, "auxiliary")
        identity = Task("identity", "classification", n_identities, "private")
        self.tasks = chosen_tasks((stress, identity), tasks)
        self.hidden = nn.Linear(n_features, hidden)
        self.code = nn.Linear(hidden, width)
        if "stress" in tasks:
            self.stress = nn.Linear(width, 1)
        if "identity" in tasks:
            self.identity = nn.Linear(width, n_identities)

    def embed(self, batch: Batch) -> Tensor:
        """Return the code of every window, (B, width), within [-1, 1]."""
        return torch.tanh(self.code(torch.tanh(self.hidden(batch["features"]))))

    def layers(self, batch: Batch) -> dict[str, Tensor]:
        """Return the input, the hidden layer, the code and the logits."""
        hidden = torch.tanh(self.hidden(batch["features"]))
        code = torch.tanh(self.code(hidden))
        of = {"input": batch["features"], "hidden": hidden, "code": code}
        return of | self.head_layers(code)

    def heads(self, h: Tensor) -> dict[str, Tensor]:
        """Return stress (B, 2) and identity (B, n_identities) logits from ``h`` (B, width).

        The logit of no stress is 0, so that the head has no number that cancels out.
        """
        of = {"stress": self._stress, "identity": self._identity}
        return {task.name: of[task.name](h) for task in self.tasks}

    def _stress(self, h: Tensor) -> Tensor:
        score = self.stress(h)
        return torch.cat([torch.zeros_like(score), score], dim=1)

    def _identity(self, h: Tensor) -> Tensor:
        logits: Tensor = self.identity(h)
        return logits

    def blocks(self) -> dict[str, list[str]]:
        """Return the two shared layers, then the head of every task."""
        heads = {task.name for task in self.tasks}
        names = ["shared", *(f"task:{task.name}" for task in self.tasks)]
        blocks: dict[str, list[str]] = {name: [] for name in names}
        for name, _ in self.named_parameters():
            layer = name.partition(".")[0]
            blocks[f"task:{layer}" if layer in heads else "shared"].append(name)
        return blocks
