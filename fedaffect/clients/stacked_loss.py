"""The training loss of several clients at once: for each what ``loss.multitask_loss`` gives it.

Shapes: K clients, B windows in the batch of each, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fedaffect.defences.base import PENALTY
from fedaffect.models.base import MISSING_LABEL, Task


def stacked_losses(
    tasks: Sequence[Task],
    outputs: Mapping[str, Tensor],
    batch: Mapping[str, Tensor],
    present: Tensor,
    weights: Mapping[str, Tensor],
) -> Tensor:
    """Return for every client the sum over tasks of its mean loss, and its mean penalty, (K,).

    Args:
        tasks: What is trained.
        outputs: Task name to (K, B, C), and the defence's penalty (K, B, 1) if it has one.
        batch: Labels by task, (K, B); none has a label where ``present`` is false.
        present: Which rows are windows and not fillers, (K, B).
        weights: Weight of every class by task, (K, C); empty where all weigh alike.
    """
    total = next(iter(outputs.values())).new_zeros(len(present))
    for task in tasks:
        given, y = outputs[task.name], batch[task.name]
        if task.kind == "regression":
            seen = ~torch.isnan(y)
            lost = (given.squeeze(-1) - torch.nan_to_num(y)).square() * seen
        else:
            seen = y != MISSING_LABEL
            lost = F.cross_entropy(
                given.flatten(0, 1), y.flatten(), ignore_index=MISSING_LABEL, reduction="none"
            ).view(y.shape)
            if task.name in weights:
                lost = lost * weights[task.name].gather(1, y.clamp(min=0))
        total = total + lost.sum(1) / seen.sum(1).clamp(min=1)
    if PENALTY in outputs:
        total = total + (outputs[PENALTY].squeeze(-1) * present).sum(1) / present.sum(1)
    return total
