"""What a global model achieves on people and blocks that it was not trained on.

After a round: stress and identity on held-out windows and a quick fresh probe. At the end: the
figures of the run with intervals over people, and the fresh identity attackers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fedaffect import metrics
from fedaffect.build import Experiment, Fold
from fedaffect.models.base import MultitaskModel
from fedaffect.privacy.attacks.base import IdentityAttack, IdentityAttacker
from fedaffect.privacy.attacks.identity import (
    ATTACKERS,
    LinearProbe,
    attack_identity,
    quick_probe,
    strongest,
)
from fedaffect.record import Estimate, Figures, PersonFigures

PROBE_ENROL, PROBE_TEST = 1500, 600  # windows of the per-round probe
CHUNK = 2048
NOT_ATTACKED = Estimate(value=None, note="n/a (one person)")
NOT_RELEASED = Estimate(value=None, note="n/a (head kept)")  # on the clients, never uploaded
NO_CLASS = -1  # what a model without a head says


@dataclass(frozen=True)
class Outputs:
    """What the model says of every window: predicted classes (-1 without a head), embeddings."""

    stress: np.ndarray  # (N,) predicted class
    identity: np.ndarray  # (N,) predicted identity
    embedding: np.ndarray  # (N, H) float32


def infer(model: MultitaskModel, features: np.ndarray) -> Outputs:
    """Return the model's outputs for ``features`` (N, F)."""
    dtype = next(model.parameters()).dtype
    said: dict[str, list[torch.Tensor]] = {"stress": [], "identity": []}
    embedding = []
    with torch.inference_mode():
        for start in range(0, len(features), CHUNK):
            x = torch.tensor(features[start : start + CHUNK], dtype=dtype)
            h = model.embed({"features": x})
            logits = model.heads(h)
            embedding.append(h.float())
            for task, parts in said.items():
                silent = torch.full((len(h),), NO_CLASS)
                parts.append(logits[task].argmax(1) if task in logits else silent)
    return Outputs(*(torch.cat(parts).numpy() for parts in (*said.values(), embedding)))


class RoundEvaluation:
    """Scores of one fold after a round, on the windows that the curves need and no more."""

    def __init__(self, experiment: Experiment, fold: Fold) -> None:
        self.factory, self.people = experiment.factory, len(fold.seen)
        self.has_own_head = silent_head(experiment, "identity") is None
        self.has_stress_head = silent_head(experiment, "stress") is None
        enrol = _thinned(fold.enrol, PROBE_ENROL)
        test = _thinned(fold.identity_test, PROBE_TEST)
        used = np.unique(np.concatenate([np.flatnonzero(fold.stress_test), enrol, test]))
        self.features = fold.features[used]
        self.stress = experiment.table.stress[used]
        self.identity = fold.identity[used]
        self.is_stress_test = fold.stress_test[used]
        self.enrol = np.searchsorted(used, enrol)
        self.test = np.searchsorted(used, test)

    def scores(self, params: np.ndarray) -> dict[str, float | None]:
        """Return stress balanced accuracy and macro-F1, own-head and fresh-probe identity."""
        out = infer(self.factory.with_params(params), self.features)
        y, said = self.stress[self.is_stress_test], out.stress[self.is_stress_test]
        of_test = self.identity[self.test]
        return {
            "stress_balanced_accuracy": metrics.balanced_accuracy(y, said)
            if self.has_stress_head
            else None,
            "stress_macro_f1": metrics.macro_f1(y, said) if self.has_stress_head else None,
            "identity_own_head": float(np.mean(of_test == out.identity[self.test]))
            if self.has_own_head
            else None,
            "identity_probe": self._probe(out.embedding) if self.people > 1 else None,
        }

    def _probe(self, embedding: np.ndarray) -> float:
        """Return how often a fresh probe on ``embedding`` (n, H) names the right person."""
        return quick_probe(
            embedding[self.enrol],
            self.identity[self.enrol],
            embedding[self.test],
            self.identity[self.test],
        )


def silent_head(experiment: Experiment, task: str) -> Estimate | None:
    """Return why the server has no head of ``task``, as a figure; ``None`` where it has one."""
    layout, blocks = experiment.factory.layout, experiment.mechanism.blocks
    if f"task:{task}" not in layout.blocks:
        return Estimate(value=None, note=f"n/a (no {task} head)")
    kept = np.isin(layout.indices(f"task:{task}"), blocks.kept).any()
    return NOT_RELEASED if kept else None


def identity_head_is_released(experiment: Experiment) -> bool:
    """Return whether the server has an identity head: one is trained, and is not kept."""
    return silent_head(experiment, "identity") is None


def _thinned(mask: np.ndarray, at_most: int) -> np.ndarray:
    """Return at most ``at_most`` evenly spaced positions of ``mask``."""
    places = np.flatnonzero(mask)
    if len(places) <= at_most:
        return places
    return places[np.linspace(0, len(places) - 1, at_most).astype(np.int64)]


def final_figures(experiment: Experiment, params: list[np.ndarray]) -> Figures:
    """Return the figures of a finished training.

    Stress and the own identity head are scored over the test windows of all folds; the fresh
    attackers attack the model of the first fold.

    Args:
        experiment: What was trained.
        params: Final parameters (d,) of each fold.
    """
    table, seed = experiment.table, experiment.config.run.seed
    outputs = [
        infer(experiment.factory.with_params(p), fold.features)
        for p, fold in zip(params, experiment.folds, strict=True)
    ]
    stress = _Answers.of(
        [
            (table.stress[f.stress_test], o.stress[f.stress_test], table.subject[f.stress_test])
            for f, o in zip(experiment.folds, outputs, strict=True)
        ]
    )
    own = _Answers.of(
        [
            (
                f.identity[f.identity_test],
                o.identity[f.identity_test],
                table.subject[f.identity_test],
            )
            for f, o in zip(experiment.folds, outputs, strict=True)
        ]
    )
    first, people = experiment.folds[0], len(experiment.folds[0].seen)

    def attack(
        embedding: np.ndarray, attackers: tuple[IdentityAttacker, ...]
    ) -> list[IdentityAttack]:
        return attack_identity(
            embedding, table.subject, first.enrol, first.identity_test, seed, attackers
        )

    attacked: dict[str, Estimate] = {}
    best_name, best, raw = "none", NOT_ATTACKED, NOT_ATTACKED
    if people > 1:
        attacks = attack(outputs[0].embedding, ATTACKERS)
        attacked = {a.name: _attacked(a) for a in attacks}
        headline = strongest(attacks, seed)
        best_name, best = headline.name, _attacked(headline)
        raw = _attacked(attack(first.features, (LinearProbe(),))[0])
    return Figures(
        **_stress(stress, silent_head(experiment, "stress"), seed),
        identity_own_head=silent_head(experiment, "identity") or _own_head(own, people, seed),
        identity_attacks=attacked,
        identity_strongest=best,
        strongest_attack=best_name,
        raw_features_attack=raw,
        per_person=_per_person(experiment, stress, own),
    )


def _stress(stress: _Answers, silent: Estimate | None, seed: int) -> dict[str, Estimate]:
    """Return the scores of the stress head by the name of their field; ``silent`` without one."""
    if silent is not None:
        return {f"stress_{name}": silent for name in metrics.STRESS_SCORES}
    scores = metrics.stress_scores(stress.true, stress.said, stress.people, seed=seed)
    chance = metrics.stress_chance(stress.true)
    return {f"stress_{name}": _estimate(score, chance[name]) for name, score in scores.items()}


def _own_head(own: _Answers, people: int, seed: int) -> Estimate:
    hits = metrics.hits_per_person(own.true, own.said, own.people)
    interval = metrics.bootstrap_over_people(hits, metrics.accuracy_of, seed=seed)
    return _estimate(interval, metrics.identity_chance(people))


@dataclass(frozen=True)
class _Answers:
    """True and predicted classes of test windows of all folds, and whose windows they are."""

    true: np.ndarray
    said: np.ndarray
    people: np.ndarray

    @classmethod
    def of(cls, parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> _Answers:
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _attacked(attack: IdentityAttack) -> Estimate:
    return _estimate(attack.accuracy, attack.chance)


def _estimate(interval: metrics.Interval | None, chance: float | None) -> Estimate:
    if interval is None:
        return Estimate(value=None, chance=chance, note="n/a (one class)")
    return metrics.estimate(interval, chance)


def _per_person(
    experiment: Experiment, stress: _Answers, own: _Answers
) -> tuple[PersonFigures, ...]:
    names = experiment.table.subjects
    trained = {s for fold in experiment.folds for s in fold.seen}
    has_own_head = silent_head(experiment, "identity") is None
    has_stress_head = silent_head(experiment, "stress") is None
    rows = []
    for person in np.unique(np.concatenate([stress.people, own.people])):
        of_stress, of_own = stress.people == person, own.people == person
        true, said = stress.true[of_stress], stress.said[of_stress]
        rows.append(
            PersonFigures(
                person=names[person],
                seen_in_training=int(person) in trained,
                windows=int(of_stress.sum()) or int(of_own.sum()),
                stress_balanced_accuracy=metrics.balanced_accuracy(true, said)
                if has_stress_head
                else None,
                stress_accuracy=metrics.accuracy(true, said) if has_stress_head else None,
                identity_own_head=float(np.mean(own.true[of_own] == own.said[of_own]))
                if of_own.any() and has_own_head
                else None,
            )
        )
    return tuple(rows)
