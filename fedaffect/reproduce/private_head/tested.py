"""Answers on the test windows of people, and the figures that they bear out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.build import Experiment
from fedaffect.forecasts import forecast_of
from fedaffect.privacy.attacks.base import IdentityAttack
from fedaffect.privacy.attacks.identity import ATTACKERS, attack_identity, strongest
from fedaffect.record import Estimate, Figures
from fedaffect.reproduce.private_head.people_scores import of_person, pooled
from fedaffect.reproduce.private_head.released_attack import Attacked
from fedaffect.server.evaluation import infer
from fedaffect.study_record import ReleaseFigures

UNSEEN = "unseen people, one left out at a time"
OWN_TIME = "held-out blocks of time of the same people"
SAME_EMBEDDING = Estimate(value=None, note="n/a (the embedding of public only)")
NO_IDENTITY = Estimate(value=None, note="n/a (no identity head)")


@dataclass(frozen=True, eq=False)
class Tested:
    """Answers on the test windows of some people.

    Args:
        on: Whose windows, in words.
        people: Number of each person.
        true: Labels of each person's test windows, (n,).
        called: Answers of each draw, (D, n) a person.
        public: Answers of the public start, (1, n) a person.
    """

    on: str
    people: tuple[int, ...]
    true: tuple[np.ndarray, ...]
    called: tuple[np.ndarray, ...]
    public: tuple[np.ndarray, ...]


def calls(embedding: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Return what ``heads`` (D, H + 1) say of windows (n, H), (D, n) of 0 and 1."""
    score = heads[:, :-1] @ embedding.T + heads[:, -1:]
    answers: np.ndarray = (score > 0).astype(np.int64)
    return answers


def release_figures(
    experiment: Experiment, tested: Tested, status: str, attacked: Attacked
) -> ReleaseFigures:
    """Return scores by draw and person, with what was released and what attacks found.

    Args:
        experiment: What was trained.
        tested: The answers of every draw.
        status: Status of the statement that ``fedaffect simulate`` ends with, or that nothing is
            released.
        attacked: What the attacker on the released numbers found.
    """
    numbers = len(experiment.mechanism.blocks.released) if attacked.releases else 0
    config, told = experiment.config, forecast_of(experiment.outline)
    scores = [of_person(y, called) for y, called in zip(tested.true, tested.called, strict=True)]
    start = [of_person(y, called) for y, called in zip(tested.true, tested.public, strict=True)]
    kept = [at for at, score in enumerate(scores) if not np.isnan(score).any()]
    private = config.dp.mechanism != "none"
    return ReleaseFigures(
        tested_on=tested.on,
        people=tuple(experiment.table.subjects[tested.people[at]] for at in kept),
        stress=tuple(
            tuple(float(scores[at][draw]) for at in kept) for draw in range(len(scores[0]))
        ),
        public=tuple(float(start[at][0]) for at in kept),
        numbers=numbers,
        parameters=experiment.factory.layout.size,
        rounds=config.rounds if numbers else 0,
        eps=config.dp.eps if private else None,
        delta=config.dp.delta if private else None,
        noise_multiplier=told.noise_multiplier,
        break_even=told.break_even_clients,
        simulated_status=status,
        attacked_releases=attacked.releases,
        membership=attacked.membership,
        left_out=attacked.left_out,
    )


def figures_of(experiment: Experiment, tested: Tested, params: np.ndarray | None) -> Figures:
    """Return stress over all draws, and the fresh attackers on the embedding of ``params`` (d,).

    Args:
        experiment: What was trained.
        tested: The answers of every draw.
        params: Model of the first fold; ``None``: its embedding is attacked elsewhere.
    """
    seed, attacked = experiment.config.run.seed, SAME_EMBEDDING
    found: list[IdentityAttack] = []
    best = "none"
    if params is not None:
        fold = experiment.folds[0]
        embedding = infer(experiment.factory.with_params(params), fold.features).embedding
        who = experiment.table.subject
        found = attack_identity(embedding, who, fold.enrol, fold.identity_test, seed, ATTACKERS)
        headline = strongest(found, seed)
        best, attacked = headline.name, _attacked(headline)
    stress = pooled(tested.true, tested.called, tested.people, seed)
    return Figures(
        stress_accuracy=stress["stress_accuracy"],
        stress_macro_f1=stress["stress_macro_f1"],
        stress_balanced_accuracy=stress["stress_balanced_accuracy"],
        identity_own_head=NO_IDENTITY,
        identity_attacks={one.name: _attacked(one) for one in found},
        identity_strongest=attacked,
        strongest_attack=best,
        raw_features_attack=SAME_EMBEDDING,
    )


def _attacked(attack: IdentityAttack) -> Estimate:
    accuracy = attack.accuracy
    return Estimate(
        value=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        chance=attack.chance,
        n_people=accuracy.n_people,
    )


def of_folds(
    experiment: Experiment,
    people: Sequence[int],
    called: Sequence[np.ndarray],
    public: Sequence[np.ndarray],
) -> Tested:
    """Return the answers on the person whom each fold left out."""
    true = tuple(experiment.table.stress[fold.stress_test] for fold in experiment.folds)
    return Tested(UNSEEN, tuple(people), true, tuple(called), tuple(public))
