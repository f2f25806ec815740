"""Local training of many logistic heads at once on the fixed embedding of one client's windows.

The same steps as ``fedaffect.clients.local.Trainer`` takes with a frozen shared block: full-batch
gradient descent with momentum, a bounded gradient, and classes that may be weighed. The order of
windows within a batch changes nothing but rounding, so nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect.clients.local import MISSING_LABEL, ClientData, TrainPlan
from fedaffect.models.base import MultitaskModel


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one person as their head sees them.

    Args:
        inputs: Embedding, and a 1 for the constant, (n, H + 1).
        stress: 0 or 1, (n,).
        weight: Weight of each window in the mean of the loss, adds up to 1, (n,).
    """

    inputs: np.ndarray
    stress: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, model: MultitaskModel, data: ClientData, balanced: bool = False) -> Windows:
        """Return the labelled windows of ``data`` as the shared block of ``model`` embeds them.

        Args:
            model: The network; its shared block never moves.
            data: The windows of a client.
            balanced: Both classes count alike (``federation.class_weights = client``).
        """
        import torch

        labels = data.labels["stress"]
        seen = labels != MISSING_LABEL
        dtype = next(model.parameters()).dtype
        with torch.inference_mode():
            h = model.embed({"features": torch.tensor(data.features[seen], dtype=dtype)}).numpy()
        y = labels[seen].astype(np.float64)
        counts = np.bincount(labels[seen], minlength=2)
        share = 1 / ((counts > 0).sum() * counts[labels[seen]]) if balanced else 1 / len(y)
        ones = np.ones((len(h), 1))
        return cls(np.hstack([h.astype(np.float64), ones]), y, np.broadcast_to(share, y.shape))


def trained(heads: np.ndarray, windows: Windows, plan: TrainPlan) -> np.ndarray:
    """Return the updates (B, H + 1) of a client that trains each of ``heads`` (B, H + 1).

    Args:
        heads: Weights and constant of the logit of stress; that of no stress is 0.
        windows: The client's windows.
        plan: How it trains: full-batch SGD.

    Raises:
        ValueError: ``plan`` asks for other steps.
    """
    if plan.optimizer != "sgd" or plan.batch_size < len(windows.stress):
        raise ValueError("heads are trained by full-batch SGD only")
    moved = heads.T.copy()  # (H + 1, B)
    velocity = np.zeros_like(moved)
    for _ in range(plan.local_epochs):
        called = 1 / (1 + np.exp(-(windows.inputs @ moved)))  # (n, B)
        off = windows.weight[:, None] * (called - windows.stress[:, None])
        gradient = windows.inputs.T @ off  # (H + 1, B)
        if plan.max_grad_norm is not None:
            length = np.linalg.norm(gradient, axis=0)
            gradient *= plan.max_grad_norm / np.maximum(length, plan.max_grad_norm)
        velocity = plan.momentum * velocity + gradient
        moved -= plan.lr * velocity
    update: np.ndarray = moved.T - heads
    return update
