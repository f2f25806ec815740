"""What a backbone does on public people who were left out of its training.

Shapes: N windows, H width of the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fedaffect import registry
from fedaffect.data.schema import WindowTable
from fedaffect.data.splits import make_split
from fedaffect.errors import DataError
from fedaffect.metrics import Interval, stress_scores
from fedaffect.models.backbone import Backbone
from fedaffect.models.base import MultitaskModel
from fedaffect.pretraining.windows import scaled_features
from fedaffect.privacy.attacks.base import IdentityAttack
from fedaffect.privacy.attacks.identity import attack_identity, strongest
from fedaffect.rng import generator

LEFT_OUT = 0.25  # share of the public people
GAP_S = 60.0


@dataclass(frozen=True)
class Measured:
    """Figures on people left out of the training.

    Args:
        stress: Balanced accuracy of stress, with its interval over people; ``None`` where a class
            is missing.
        identity: Strongest fresh identity attacker on the embedding, across recordings, or blocks
            of one recording where people have one; ``None`` where it could not run.
        people: Who was left out.
        not_run: Why the attacker could not run; empty where it did.
    """

    stress: Interval | None
    identity: IdentityAttack | None
    people: tuple[str, ...]
    not_run: str = ""

    def numbers(self, scaling: str) -> dict[str, float]:
        """Return the figures by name, for the card."""
        found: dict[str, float] = {f"{scaling}/people_left_out": float(len(self.people))}
        if self.stress is not None:
            found |= _interval(f"{scaling}/stress_balanced_accuracy", self.stress)
        if self.identity is not None:
            found |= _interval(f"{scaling}/identity_accuracy", self.identity.accuracy)
            found[f"{scaling}/identity_chance"] = self.identity.chance
        return {name: round(value, 4) for name, value in found.items()}


def left_out(people: int, seed: int) -> np.ndarray:
    """Return which of ``people`` are left out of a measured training, at least 1, ascending."""
    count = max(1, round(people * LEFT_OUT))
    return np.sort(generator(seed, "pretrain", "left out").permutation(people)[:count])


def embeddings(network: MultitaskModel, scaled: np.ndarray) -> np.ndarray:
    """Return the embeddings (N, H) float32 of scaled features (N, F)."""
    with torch.no_grad():
        h: np.ndarray = network.embed({"features": torch.from_numpy(scaled)}).numpy()
    return h


def measure(
    network: MultitaskModel, table: WindowTable, scaling: str, away: np.ndarray, seed: int
) -> Measured:
    """Return the figures of ``network`` on the people ``away``.

    Stress is tested as on people without a client: their own constants, where the scaling has
    any, are of all their windows. The attacker meets people with a client: their constants are of
    the windows that it learns from.

    Args:
        network: Trained on the others.
        table: Windows of all public people.
        scaling: Scaling of the features that it was trained for.
        away: Numbers of the people left out, ascending.
        seed: Seed of attackers and resamples.
    """
    rows = np.isin(table.subject, away)
    h = embeddings(network, scaled_features(table, scaling)[rows])
    with torch.no_grad():
        logits = network.heads(torch.from_numpy(h))["stress"].numpy()
    answers = logits.argmax(axis=1)
    scores = stress_scores(table.stress[rows], answers, table.subject[rows], seed=seed)
    people = tuple(table.subjects[i] for i in away)
    try:
        attack = _identity(network, table, scaling, rows, seed)
    except DataError as error:
        return Measured(scores["balanced_accuracy"], None, people, error.message)
    return Measured(scores["balanced_accuracy"], attack, people)


def _identity(
    network: MultitaskModel, table: WindowTable, scaling: str, rows: np.ndarray, seed: int
) -> IdentityAttack:
    """Return the strongest attacker among the people of ``rows``."""
    split = make_split(table, "blocks", clients=len(table.subjects), seed=seed, gap_s=GAP_S)
    fold = split.folds[0]
    h = embeddings(network, scaled_features(table, scaling, fold.enrol))
    enrol, test = fold.enrol & rows, fold.identity_test & rows
    return strongest(attack_identity(h, table.subject, enrol, test, seed), seed)


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def measure_backbone(backbone: Backbone, table: WindowTable, seed: int = 0) -> dict[str, Measured]:
    """Return the figures of a finished backbone on people who did not make it, by scaling.

    Args:
        backbone: As ``load_backbone`` reads it.
        table: Windows of other people.
        seed: Seed of attackers and resamples.
    """
    card, everyone = backbone.card, np.arange(len(table.subjects))
    options = {"n_features": len(card.feature_names), "tasks": card.tasks, **card.options}
    found = {}
    for scaling, weights in backbone.weights.items():
        network: MultitaskModel = registry.resolve("model", card.model)(**options)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(torch.from_numpy(weights.values[name]))
        found[scaling] = measure(network.eval(), table, scaling, everyone, seed)
    return found
