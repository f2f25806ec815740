"""What is told of inverted uploads: how close, with which labels, and whom they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from fedaffect.audit_record import AttackRow
from fedaffect.metrics import estimate
from fedaffect.privacy.attacks.base import IdentityAttack
from fedaffect.privacy.attacks.channels import channels_of
from fedaffect.privacy.attacks.evidence import Evidence, Windows
from fedaffect.privacy.attacks.reconstruction_scores import (
    Attacked,
    correlation,
    matched,
    mean_over,
    psnr,
    renamed,
    right_labels,
)
from fedaffect.rng import generator

RENAMED = "re-identification top-1"
Role = Literal["attack", "baseline"]
Windowed = Callable[[Attacked], np.ndarray]


@dataclass(frozen=True, eq=False)
class Setting:
    """What was inverted in one setting.

    Args:
        name: What was uploaded.
        attacked: The people.
        enrol: Windows that the attacker knows people by, (N,) bool.
        names_people: Whether each upload stems from one person.
    """

    name: str
    attacked: tuple[Attacked, ...]
    enrol: np.ndarray
    names_people: bool


def labels_of(w: Windows) -> dict[str, np.ndarray]:
    """Return task to the labels of all windows, (N,)."""
    return {"stress": w.stress, "identity": w.identity}


def names_in(e: Evidence, setting: Setting, name: str, windows: Windowed) -> IdentityAttack:
    """Return how often the people are recognised in windows of theirs."""
    features, subject = e.windows.features[setting.enrol], e.windows.subject[setting.enrol]
    return renamed(name, setting.attacked, windows, features, subject, e.seed)


def rows_of(e: Evidence, setting: Setting) -> list[AttackRow]:
    """Return figures of the reconstruction and of what it is compared with."""
    w = e.windows
    enrol = w.features[setting.enrol].astype(np.float64)
    peak = float(np.ptp(enrol))
    everything = np.arange(w.features.shape[1])
    draw = generator(e.seed, "inversion", "baseline", setting.name)
    others = []
    for one in setting.attacked:
        strangers = np.flatnonzero(setting.enrol & (w.subject != one.person))
        others.append(w.features[draw.choice(strangers, len(one.made))].astype(np.float64))
    mean = enrol.mean(axis=0)
    made = {
        "reconstruction": setting.attacked,
        "mean window": _instead(
            setting, [np.tile(mean, (len(a.made), 1)) for a in setting.attacked]
        ),
        "another person's window": _instead(setting, others),
    }
    rows = []
    role: Role
    for name, attacked in made.items():
        role = "attack" if name == "reconstruction" else "baseline"
        figures = {
            "correlation": mean_over(attacked, lambda a: correlation(a, everything), 0.0, e.seed),
            "PSNR in dB": mean_over(attacked, lambda a: psnr(a, peak), None, e.seed),
        }
        if name == "reconstruction":
            for channel, columns in channels_of(w).items():
                score = partial(correlation, columns=columns)
                figures[f"correlation, {channel}"] = mean_over(attacked, score, 0.0, e.seed)
            for task in attacked[0].labels:
                right, luck = partial(right_labels, task=task), _most_common(w, task)
                figures[f"label accuracy, {task}"] = mean_over(attacked, right, luck, e.seed)
        rows += [
            AttackRow(name=name, where=setting.name, metric=m, figure=f, role=role)
            for m, f in figures.items()
        ]
    if setting.names_people:
        made_and_true: tuple[tuple[str, Windowed, Role], ...] = (
            ("reconstruction", lambda a: a.made, "attack"),
            ("true windows", lambda a: a.true, "baseline"),
        )
        for name, windows, role in made_and_true:
            found = names_in(e, setting, name, windows)
            figure = estimate(found.accuracy, found.chance)
            rows.append(
                AttackRow(name=name, where=setting.name, metric=RENAMED, figure=figure, role=role)
            )
    return rows


def _instead(setting: Setting, made: Sequence[np.ndarray]) -> tuple[Attacked, ...]:
    return tuple(
        matched(a.person, a.true, m, {}, {}) for a, m in zip(setting.attacked, made, strict=True)
    )


def _most_common(w: Windows, task: str) -> float:
    """Return how often the most common label of ``task`` in training is right."""
    labels = labels_of(w)[task][w.train]
    labels = labels[labels >= 0]
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0
