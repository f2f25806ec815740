"""Stress by noise draw and person, and means, differences and shares with intervals over people.

Everybody counts alike: balanced accuracy of each person, then the mean over people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedaffect import metrics
from fedaffect.privacy.attacks.statistics import over_people
from fedaffect.record import Estimate
from fedaffect.study_record import ReleaseFigures

CHANCE = 0.5


def of_person(true: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Return the balanced accuracy of each draw on one person, (D,); NaN where a class is missing.

    Args:
        true: 0 or 1, (n,).
        called: 0 or 1 by draw, (D, n).
    """
    rights = [(called[:, true == c] == c).mean(axis=1) for c in (0, 1) if (true == c).any()]
    score: np.ndarray = (
        np.mean(rights, axis=0) if len(rights) == 2 else np.full(len(called), np.nan)
    )
    return score


def rate_over_people(rates: np.ndarray, seed: int, chance: float = CHANCE) -> Estimate:
    """Return the mean of ``rates`` (P,) with its interval over people, with room at 0 and 1."""
    mean = _mean_over_people(rates, seed)
    low, high = metrics.room_at_the_ends(mean.value, mean.low, mean.high, mean.n_people)
    return metrics.estimate(replace(mean, low=low, high=high), chance)


def of_people(figures: ReleaseFigures, people: Sequence[str]) -> np.ndarray:
    """Return the mean over draws of each of ``people``, (P,)."""
    columns = [figures.people.index(person) for person in people]
    scores: np.ndarray = np.array(figures.stress)[:, columns].mean(axis=0)
    return scores


def stress(figures: ReleaseFigures, seed: int) -> Estimate:
    """Return balanced accuracy, mean over draws and people."""
    return rate_over_people(of_people(figures, figures.people), seed)


def over_draws(figures: ReleaseFigures) -> tuple[float, float]:
    """Return the lowest and the highest mean over people of a draw: what one release may be."""
    draws = np.array(figures.stress).mean(axis=1)
    return float(draws.min()), float(draws.max())


def gain(figures: ReleaseFigures, start: ReleaseFigures, seed: int) -> Estimate:
    """Return the paired difference to ``start`` over the people that both were tested on."""
    people = [person for person in figures.people if person in start.people]
    difference = of_people(figures, people) - of_people(start, people)
    return metrics.estimate(_mean_over_people(difference, seed), chance=0.0)


def regained(
    private: ReleaseFigures, open_: ReleaseFigures, start: ReleaseFigures, seed: int
) -> Estimate:
    """Return the gain of ``private`` over ``start`` as a share of that of ``open_``."""
    people = start.people
    first = of_people(start, people)
    won, possible = of_people(private, people) - first, of_people(open_, people) - first
    if possible.mean() <= 0:
        return Estimate(value=None, note="n/a (nothing is gained without DP)")
    low, high = over_people(
        lambda drawn: _ratio(won[drawn].mean(), possible[drawn].mean()), won, seed=seed
    )
    value = float(won.mean() / possible.mean())
    return Estimate(value=value, low=low, high=high, n_people=len(people))


def pooled(
    true: Sequence[np.ndarray], called: Sequence[np.ndarray], people: Sequence[int], seed: int
) -> dict[str, Estimate]:
    """Return the scores of all windows of all people and draws, by the name of their field.

    Args:
        true: Labels of each person, (n,).
        called: Answers of each draw on each person, (D, n).
        people: Number of each person.
        seed: Master seed of the resamples.
    """
    y = np.concatenate([np.tile(t, len(c)) for t, c in zip(true, called, strict=True)])
    said = np.concatenate([c.ravel() for c in called])
    who = np.repeat(people, [c.size for c in called])
    chance = metrics.stress_chance(y)
    found = {}
    for name, score in metrics.stress_scores(y, said, who, seed=seed).items():
        found[f"stress_{name}"] = (
            Estimate(value=None, chance=chance[name], note="n/a (one class)")
            if score is None
            else Estimate(
                value=score.value,
                low=score.low,
                high=score.high,
                chance=chance[name],
                n_people=score.n_people,
            )
        )
    return found


def _mean_over_people(scores: np.ndarray, seed: int) -> metrics.Interval:
    low, high = over_people(lambda drawn: float(scores[drawn].mean()), scores, seed=seed)
    return metrics.Interval(float(scores.mean()), low, high, len(scores))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
