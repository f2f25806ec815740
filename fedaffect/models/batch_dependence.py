"""Layers whose output for a window depends on chance, or on the other windows of its batch."""

from __future__ import annotations

from torch import nn


def batch_dependent(model: nn.Module) -> str:
    """Return the first such layer with what it does, in words; empty where there is none."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            return f"layer {name} mixes the windows of a batch"
        if isinstance(layer, nn.modules.dropout._DropoutNd) or getattr(layer, "dropout", None):
            return f"layer {name} drops values at random"
    return ""
