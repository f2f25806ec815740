"""The windows of public people as tensors, under one scaling of the features.

Shapes: N windows, F features, P people, C conditions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fedaffect.data.normalise import normalise
from fedaffect.data.schema import WindowTable


@dataclass(frozen=True, eq=False)
class PublicWindows:
    """What a backbone is trained on.

    Args:
        features: Scaled features, (N, F) float32.
        stress: 0 or 1, (N,) int64.
        condition: Condition of the data set, numbered from 0 to C - 1, (N,) int64.
        person: Whose window it is, numbered from 0 to P - 1, (N,) int64.
        weight: Weight in the stress loss: every person counts the same, and so do both classes
            of one person; mean 1, (N,) float32.
        levels: Mean of every person, stress and no stress counting the same, (P, F) float32.
        conditions: Number C of conditions.
        sensor: Which sensor each feature comes from, numbered from 0, (F,) int64.
    """

    features: Tensor
    stress: Tensor
    condition: Tensor
    person: Tensor
    weight: Tensor
    levels: Tensor
    conditions: int
    sensor: Tensor

    @classmethod
    def of(cls, table: WindowTable, scaled: np.ndarray, rows: np.ndarray) -> PublicWindows:
        """Return the windows ``rows`` (N,) bool of ``table`` with their ``scaled`` features."""
        condition, person = (
            np.unique(column[rows], return_inverse=True)[1]
            for column in (table.condition, table.subject)
        )
        x, stress = scaled[rows], table.stress[rows]
        return cls(
            features=torch.from_numpy(x),
            stress=torch.from_numpy(stress),
            condition=torch.from_numpy(condition),
            person=torch.from_numpy(person),
            weight=torch.from_numpy(_weights(person, stress)),
            levels=torch.from_numpy(_levels(x, person, stress)),
            conditions=int(condition.max()) + 1,
            sensor=torch.from_numpy(sensors(table.feature_names)),
        )

    @property
    def people(self) -> int:
        """Number P of people."""
        return int(self.person.max()) + 1

    def labels(self, rows: Tensor) -> Mapping[str, Tensor]:
        """Return what is known of the windows ``rows`` (B,), besides their features as they are.

        ``deviation`` (B, F) is the difference of the features from their person's level.
        """
        columns = ("stress", "condition", "person", "weight")
        known = {name: getattr(self, name)[rows] for name in columns}
        return known | {"deviation": self.features[rows] - self.levels[self.person[rows]]}


def scaled_features(table: WindowTable, scaling: str, seen: np.ndarray | None = None) -> np.ndarray:
    """Return the features (N, F) float32 of public people.

    Args:
        table: Their windows.
        scaling: ``public`` or ``subject``.
        seen: Windows that a person's own constants are computed from, (N,) bool; ``None``: all.
    """
    train = np.ones(len(table), dtype=bool) if seen is None else seen
    known: dict[str, Any] = {"subject": table.subject, "feature_names": table.feature_names}
    scaled: np.ndarray = normalise(table.features, choice=scaling, train=train, **known)[0]
    return scaled


def sensors(feature_names: tuple[str, ...]) -> np.ndarray:
    """Return the number of the sensor of each feature, (F,): the axes of one are one sensor."""
    of = [re.sub("_[xyz]$", "", name.partition("/")[0]) for name in feature_names]
    numbers: np.ndarray = np.unique(of, return_inverse=True)[1]
    return numbers


def _weights(person: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """Return 1 / windows of the same person and class, with mean 1, (N,)."""
    cell = person * 2 + stress
    weight = 1.0 / np.bincount(cell)[cell]
    mean_one: np.ndarray = (weight / weight.mean()).astype(np.float32)
    return mean_one


def _levels(x: np.ndarray, person: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """Return the mean over classes of the mean over windows, of every person, (P, F)."""
    levels = np.empty((person.max() + 1, x.shape[1]), dtype=np.float32)
    for number in range(len(levels)):
        own = person == number
        classes = np.unique(stress[own])
        levels[number] = np.mean([x[own & (stress == k)].mean(axis=0) for k in classes], axis=0)
    return levels
