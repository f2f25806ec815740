"""Backbones that come with the package: name to file of this folder."""

from __future__ import annotations

SHIPPED = {
    "stress-predict": "stress-predict.safetensors",
    "synthetic": "synthetic.safetensors",
}
