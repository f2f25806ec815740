"""The training loss of a client: of a batch, and of every window of it.

Shapes: B windows in a batch, K classes of a task.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F

from fedaffect.clients.class_weights import NO_WEIGHTS, mean_cross_entropy
from fedaffect.defences.base import PENALTY
from fedaffect.models.base import MISSING_LABEL, Batch, Task


def multitask_loss(
    tasks: tuple[Task, ...],
    outputs: dict[str, torch.Tensor],
    batch: dict[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor] = NO_WEIGHTS,
) -> torch.Tensor:
    """Return the sum over tasks of the mean loss over labelled windows, and the mean penalty.

    A task without a labelled window in the batch adds zero (its head still gets a gradient of
    zeros, so that every parameter takes part in every step). ``weights`` are those of the classes,
    task name to (K,), where classes are weighted.
    """
    total = next(iter(outputs.values())).new_zeros(())
    for task in tasks:
        logits, y = outputs[task.name], batch[task.name]
        if task.kind == "regression":
            seen = ~torch.isnan(y)
            squared = (logits.squeeze(-1) - torch.nan_to_num(y)) ** 2
            total = total + (squared * seen).sum() / seen.sum().clamp(min=1)
        else:
            total = total + mean_cross_entropy(logits, y, weights.get(task.name))
    return total + outputs[PENALTY].mean() if PENALTY in outputs else total


def per_sample_losses(
    tasks: tuple[Task, ...], outputs: dict[str, torch.Tensor], batch: Batch
) -> torch.Tensor:
    """Return the sum over tasks of every window's own loss, and its penalty, (B,).

    A missing label adds zero. Nothing is divided by a count of labels: that would make a window's
    loss depend on the others in its batch.
    """
    total = next(iter(outputs.values())).new_zeros(len(batch["features"]))
    for task in tasks:
        logits, y = outputs[task.name], batch[task.name]
        if task.kind == "regression":
            squared = (logits.squeeze(-1) - torch.nan_to_num(y)) ** 2
            total = total + squared * ~torch.isnan(y)
        else:
            total = total + F.cross_entropy(logits, y, ignore_index=MISSING_LABEL, reduction="none")
    return total + outputs[PENALTY].squeeze(1) if PENALTY in outputs else total
