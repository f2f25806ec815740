"""The interface of a multitask affect model.

Shapes used in this package: B windows in a batch, F features a window, H width of the shared
representation, K outputs of a task, d parameters in all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from fedaffect.defences.base import Defence
from fedaffect.defences.none import UNDEFENDED
from fedaffect.errors import UsageError
from fedaffect.registry import did_you_mean

EMBEDDING = "embedding"  # column (B, H) of a batch: the shared representation of its windows
MISSING_LABEL = -1  # class of a window without a label of the task

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


def chosen_tasks(known: Sequence[Task], names: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks called ``names``, in this order, the first of them as the primary one.

    Raises:
        UsageError: E210 a name is not known, is given twice, or none is given.
    """
    by_name = {task.name: task for task in known}
    if not names or len(set(names)) < len(names):
        raise UsageError(
            "E210", f"--tasks {','.join(names)!r} names no task, or one twice", do="--tasks stress"
        )
    for name in names:
        if name not in by_name:
            raise UsageError(
                "E210", f"--tasks {name!r} is not known", do=did_you_mean(name, list(by_name))
            )
    first, *others = (by_name[name] for name in names)
    return (replace(first, role="primary"), *others)


class MultitaskModel(nn.Module, ABC):
    """A shared representation with one head a task; only the tasks that are trained have one."""

    tasks: tuple[Task, ...]
    defence: Defence = UNDEFENDED

    @abstractmethod
    def embed(self, batch: Batch) -> Tensor:
        """Return the released shared representation, (B, H): what an attacker probes."""

    @abstractmethod
    def heads(self, h: Tensor) -> dict[str, Tensor]:
        """Return task name to (B, K), from the shared representation ``h`` (B, H)."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return what training sees: task name to (B, K), and what the defence adds to it.

        ``heads`` of ``embed`` is what a recipient of the model computes. A batch may bring the
        shared representation as its column ``EMBEDDING``, where no training changes it.
        """
        h = batch[EMBEDDING] if EMBEDDING in batch else self.embed(batch)
        return self.defence.outputs(h, self.heads, batch)

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
