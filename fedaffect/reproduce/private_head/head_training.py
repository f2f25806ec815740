"""Local training of many logistic heads at once on the fixed embedding of one client's windows.

The order of windows within a full batch changes nothing but rounding, so nothing is drawn.
"""

from __future__ import annotations

import numpy as np
import torch

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.models.base import MISSING_LABEL, MultitaskModel
from fedaffect.tuning.affine_head import Person
from fedaffect.tuning.federation import HeadClient, LocalTraining


def head_client(model: MultitaskModel, data: ClientData, balanced: bool = False) -> HeadClient:
    """Return the labelled windows of ``data`` as a head with a constant, H + 1 numbers, sees them.

    Args:
        model: The network; its shared block never moves.
        data: The windows of a client.
        balanced: Both classes count alike (``federation.class_weights = client``).
    """
    seen = data.labels["stress"] != MISSING_LABEL
    dtype = next(model.parameters()).dtype
    with torch.inference_mode():
        h = model.embed({"features": torch.tensor(data.features[seen], dtype=dtype)}).numpy()
    inputs = np.hstack([h.astype(np.float64), np.ones((len(h), 1))])
    stressed = data.labels["stress"][seen].astype(np.float64)
    return HeadClient(Person(inputs, np.zeros(len(h)), stressed), balanced)


def trained(heads: np.ndarray, client: HeadClient, plan: TrainPlan) -> np.ndarray:
    """Return the updates (B, H + 1) of a client that trains each of ``heads`` (B, H + 1).

    Args:
        heads: Weights and constant of the logit of stress; that of no stress is 0.
        client: The client's windows.
        plan: How it trains: full-batch SGD.

    Raises:
        ValueError: ``plan`` asks for other steps.
    """
    if plan.optimizer != "sgd" or plan.batch_size < len(client):
        raise ValueError("heads are trained by full-batch SGD only")
    training = LocalTraining(1, plan.local_epochs, plan.momentum, plan.max_grad_norm)
    start = torch.from_numpy(heads.T.copy())  # (H + 1, B)
    rate = torch.full((len(heads),), plan.lr, dtype=torch.float64)
    update: np.ndarray = client.train(start, training, rate).numpy().T - heads
    return update
