"""Public backbones: weights that were trained on people who are not to be protected.

A file is safetensors with the card as JSON in its metadata. It holds one set of weights for every
scaling of the features that it was trained for (``public``, ``subject``), under
``SCALING/PARAMETER``, and for each the principal axes of the embedding of the public people:
``SCALING/axes.centre`` (H,) and ``SCALING/axes.directions`` (H, H), rows in order of variance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fedaffect.atomic_file import write_bytes_atomic
from fedaffect.errors import DataError
from fedaffect.models.backbone_card import BackboneCard
from fedaffect.models.shipped import SHIPPED
from fedaffect.registry import did_you_mean

LARGEST_BYTES = 256 * 1024**2
CENTRE, DIRECTIONS = "axes.centre", "axes.directions"


@dataclass(frozen=True)
class PublicWeights:
    """The weights for one scaling of the features.

    Args:
        values: Parameter name to its values.
        centre: Mean embedding of the public people, (H,).
        directions: Principal axes of their embeddings, rows in order of variance, (H, H).
    """

    values: Mapping[str, np.ndarray]
    centre: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class Backbone:
    """A public backbone.

    Args:
        card: What is said of it.
        weights: Scaling of the features to the weights for it.
        sha256: Hex digest of its file.
    """

    card: BackboneCard
    weights: Mapping[str, PublicWeights]
    sha256: str


def load_backbone(name: str) -> Backbone:
    """Read a backbone that is shipped, or the file at a path.

    Args:
        name: A name of ``SHIPPED``, or a path.

    Raises:
        DataError: E380 there is none; E381 the file is not a backbone.
    """
    raw = _bytes_of(name)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        card = BackboneCard.model_validate_json(_metadata(raw)["card"])
        tensors = load(raw)
        found: dict[str, dict[str, np.ndarray]] = {}
        for key, values in tensors.items():
            scaling, _, parameter = key.partition("/")
            found.setdefault(scaling, {})[parameter] = _finite(values)
        weights = {
            scaling: PublicWeights(values, values.pop(CENTRE), values.pop(DIRECTIONS))
            for scaling, values in sorted(found.items())
        }
    except (SafetensorError, ValidationError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            "E381",
            f"--backbone {name}: not a backbone ({_first_line(error)})",
            do="give a file that fedaffect pretrain wrote",
        ) from error
    return Backbone(card, weights, hashlib.sha256(raw).hexdigest())


def save_backbone(path: Path, card: BackboneCard, weights: Mapping[str, PublicWeights]) -> None:
    """Write a backbone: the same bytes for the same card and weights.

    Raises:
        StorageError: E803 the disk refuses.
    """
    from safetensors.numpy import save

    tensors = {}
    for scaling, of in weights.items():
        parts = {**of.values, CENTRE: of.centre, DIRECTIONS: of.directions}
        for parameter, values in parts.items():
            tensors[f"{scaling}/{parameter}"] = np.ascontiguousarray(values, dtype=np.float32)
    write_bytes_atomic(path, save(tensors, metadata={"card": card.model_dump_json()}))


def _bytes_of(name: str) -> bytes:
    if name in SHIPPED:
        file = resources.files("fedaffect.models").joinpath("shipped").joinpath(SHIPPED[name])
        return file.read_bytes()
    path = Path(name).expanduser()
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError("E381", f"--backbone {name}: larger than {LARGEST_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            "E380",
            f"--backbone {name}: neither shipped nor a file that can be read",
            do=f"{did_you_mean(name, list(SHIPPED))}, or a file that fedaffect pretrain wrote",
        ) from error


def _metadata(raw: bytes) -> Mapping[str, str]:
    """Return the metadata of a safetensors file: its JSON header says where it is."""
    import json

    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    metadata: Mapping[str, str] = header["__metadata__"]
    return metadata


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError("a weight is not finite")
    return values


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
