"""The attacked network, to be asked with any parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedaffect.models.base import MultitaskModel
from fedaffect.models.factory import ModelFactory

CHUNK = 2048  # windows at a time


@dataclass(frozen=True)
class FactoryNetwork:
    """The network of a run.

    Args:
        factory: Builds it.
    """

    factory: ModelFactory

    def layers(self, params: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
        """Return layer name to activations (N, H), from the input to the heads, in order.

        Args:
            params: Parameters (d,).
            features: Windows (N, F).
        """
        model = self.factory.with_params(params)
        with torch.inference_mode():
            return _joined([model.layers(batch) for batch in _batches(model, features)])

    def probabilities(self, params: np.ndarray, features: np.ndarray, task: str) -> np.ndarray:
        """Return softmax probabilities (N, K) float64 of ``task``.

        Args:
            params: Parameters (d,).
            features: Windows (N, F).
            task: Name of the task.
        """
        model = self.factory.with_params(params)
        with torch.inference_mode():
            logits = [model(batch)[task] for batch in _batches(model, features)]
            probabilities: np.ndarray = torch.cat(logits).double().softmax(1).numpy()
        return probabilities


def _batches(model: MultitaskModel, features: np.ndarray) -> list[dict[str, Tensor]]:
    dtype = next(model.parameters()).dtype
    chunks = torch.split(torch.as_tensor(features), CHUNK)
    return [{"features": chunk.to(dtype)} for chunk in chunks]


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
