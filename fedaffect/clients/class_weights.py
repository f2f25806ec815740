"""Weighing classes on the device: the rarer class of a client's own windows counts as much.

The weights are computed from a client's own labels and never leave it: what leaves is its update,
clipped as ever, so that differential privacy for a client covers them. For single windows it does
not, since the weight of a window depends on the labels of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F

from fedaffect.models.base import MISSING_LABEL, Task

ClassWeights = Literal["none", "client"]
NO_WEIGHTS: Mapping[str, torch.Tensor] = MappingProxyType({})


def own_class_weights(
    tasks: Sequence[Task], labels: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Return the weight of every class of the classification tasks, task name to (classes,).

    Class c weighs n / (K n_c): n windows have a label, n_c of them c, and K classes are there. So
    the weights of all windows add up to n, and every class that is there has the same share.
    Source: scikit-learn, ``class_weight="balanced"``, after King & Zeng 2001.

    Args:
        tasks: The tasks that are trained.
        labels: A client's own labels by task, (n,) int64; ``MISSING_LABEL`` counts nowhere.
        dtype: Precision of the weights.
    """
    weights = {}
    for task in tasks:
        if task.kind == "classification":
            y = labels[task.name]
            counts = torch.bincount(y[y != MISSING_LABEL], minlength=task.n_outputs).to(dtype)
            share = counts.sum() / (counts > 0).sum().clamp(min=1)
            weights[task.name] = torch.where(counts > 0, share / counts.clamp(min=1), 0.0)
    return weights


def mean_cross_entropy(
    logits: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Return the mean over labelled windows of the cross-entropy times the weight of the class.

    It is zero, with a gradient of zeros, where no window has a label.

    Args:
        logits: (B, K).
        y: Labels (B,), ``MISSING_LABEL`` where unknown.
        weights: Weight of every class, (K,); ``None``: all 1.
    """
    seen = y != MISSING_LABEL
    on_cpu = y.device.type == "cpu"  # elsewhere, to look at a value would wait for the device
    if on_cpu and not bool(seen.any()):
        return logits.sum() * 0.0
    if on_cpu and weights is None:
        return F.cross_entropy(logits, y, ignore_index=MISSING_LABEL)
    total = F.cross_entropy(logits, y, weights, ignore_index=MISSING_LABEL, reduction="sum")
    return total / seen.sum().clamp(min=1)
