"""How many clients fit side by side into a GPU, counted from what everybody knows of a run.

The size of a stack changes rounding. So it follows from the network, the batch and the windows
and from a budget that is the same everywhere, never from the memory that a machine has free: the
same run gives the same numbers on any GPU that holds the budget.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from fedaffect.build import Experiment
from fedaffect.models.base import MultitaskModel

BUDGET = 4 * 1024**3  # bytes: half of a small GPU; a stack of 500 small networks fits
VECTORS = 11  # of a client, measured: 7 with SGD, 10 with Adam (parameters, gradients, moments ...)
KEPT_TIMES = 2  # what the backward pass needs, and what it makes of that: measured 1.3 to 2
PROBE = 2  # windows


def clients_that_fit(experiment: Experiment) -> int:
    """Return how many clients may train side by side within the budget, at least 1."""
    factory = experiment.factory
    size = torch.finfo(getattr(torch, factory.dtype)).bits // 8
    features = experiment.folds[0].features.shape[1]
    held = max(len(rows) for fold in experiment.folds for rows in fold.partition.clients)
    batch = min(held, experiment.config.batch_size)
    numbers = VECTORS * factory.layout.size
    numbers += held * (features + 8 / size * (1 + len(factory.build().tasks)))  # and int64
    kept = KEPT_TIMES * batch * kept_of_a_window(factory.build(), features)
    return max(1, int(BUDGET / (numbers * size + kept)))


def kept_of_a_window(model: MultitaskModel, features: int) -> float:
    """Return the bytes that automatic differentiation keeps of one window, parameters aside.

    Counted on the CPU, where the package's convolutions keep more than PyTorch's, which a GPU runs.

    Args:
        model: The network.
        features: Number F of features of a window.
    """
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no place is used twice
        return tensor

    windows = torch.zeros(PROBE, features, dtype=next(model.parameters()).dtype)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()({"features": windows})
    sizes = [t.untyped_storage().nbytes() for place, t in kept.items() if place not in own]
    return float(np.sum(sizes)) / PROBE
