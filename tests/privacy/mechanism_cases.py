"""Calibrated mechanisms on small layouts, for the tests of privacy."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fedaffect import registry
from fedaffect.params import Layout
from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.spec import ClipSpec, PrivacySpec

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())
# Table II of the paper: shared 61,980, stress head 202, identity head 34,815 parameters.
TABLE_II = Layout(
    ("cnn", "stress", "identity"),
    ((61_980,), (101, 2), (34_815,)),
    {"shared": ("cnn",), "task:stress": ("stress",), "task:identity": ("identity",)},
)
# A layout with a 0-d parameter and a parameter without values.
SMALL = Layout(
    ("a", "scalar", "empty", "b"),
    ((3,), (), (0, 4), (2,)),
    {"shared": ("a", "scalar", "empty"), "task:stress": ("b",)},
)
PLAN = ReleasePlan(40, 20, 1.0, "full", 20, 1, 1)
KEY = SecretNoiseKey(bytes(32))


def planned(**changes: Any) -> ReleasePlan:
    """Return ``PLAN`` with other fields."""
    return dataclasses.replace(PLAN, **changes)


def calibrated(
    name: str,
    plan: ReleasePlan = PLAN,
    layout: Layout = TABLE_II,
    clip: ClipSpec | float = 1.0,
    **spec: Any,
) -> Any:
    """Return the mechanism ``name``, for a total eps of 5 unless told otherwise."""
    clip = clip if isinstance(clip, ClipSpec) else ClipSpec(clip)
    budget = {} if "z" in spec else {"eps": 5.0}
    asked = PrivacySpec(name, clip=clip, **budget | spec)
    return mechanism_of(asked, registry.resolve("dp", name)).calibrate(plan, layout)


def sent(mechanism: Any, update: Any) -> np.ndarray:
    """Return the contribution of a client that started from zero."""
    contribution: np.ndarray = mechanism.on_client(update, np.zeros(np.shape(update)))
    return contribution


def slow_norm(values: np.ndarray, norm: str) -> float:
    """Return a norm exact to a rounding, by ``math``: an oracle that shares no code."""
    if norm == "linf":
        return max((abs(v) for v in values.tolist()), default=0.0)
    return math.fsum(abs(v) for v in values.tolist()) if norm == "l1" else math.hypot(*values)
