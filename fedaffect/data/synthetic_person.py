"""Who a simulated person is: what they are like at rest, and how they react to stress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedaffect.rng import generator

# Trait: average person, standard deviation between people.
_TRAITS = {
    "heart_bpm": (74.0, 9.0),
    "rsa_log_bpm": (1.1, 0.4),
    "hrv_log_bpm": (0.9, 0.35),
    "breath_log_hz": (-1.35, 0.15),
    "pulse_log": (3.5, 0.4),
    "second_log": (-0.6, 0.25),
    "second_phase": (0.9, 0.45),
    "third_log": (-1.4, 0.35),
    "third_phase": (1.8, 0.6),
    "eda_log_us": (-0.1, 0.9),
    "scr_log_per_min": (1.0, 0.4),
    "scr_log_share": (-3.2, 0.5),
    "scr_decay_log_s": (1.1, 0.25),
    "skin_c": (32.0, 1.4),
    "tremor_log": (-0.9, 0.35),
    "fidget_log_per_min": (0.4, 0.5),
    "fidget_log_size": (2.3, 0.3),
}
# Reaction to stress: average, standard deviation between people.
_REACTIONS = {
    "heart_bpm": (21.0, 7.0),
    "hrv_log": (-0.4, 0.25),
    "pulse_log": (-0.85, 0.35),
    "eda_log": (0.5, 0.3),
    "scr_log": (1.4, 0.6),
    "skin_c": (-0.5, 0.4),
    "tremor_log": (0.3, 0.25),
    "fidget_log": (0.3, 0.4),
    "lean_x": (0.0, 0.25),
    "lean_y": (0.0, 0.25),
}
_OF_THE_HEART = ("heart_bpm", "hrv_log", "pulse_log")  # the other reactions: skin and movement
_ARM = np.array([-0.5, 0.0, 0.8])  # gravity on a resting wrist, before it is made a unit vector
_ARM_SD = 0.3


@dataclass(frozen=True)
class Person:
    """A simulated person.

    Args:
        traits: What this person is like at rest, on average over sessions.
        reactions: What full stress adds to it.
        posture: Direction of gravity on the resting wrist, unit vector (3,).
    """

    traits: Mapping[str, float]
    reactions: Mapping[str, float]
    posture: np.ndarray


def draw_person(
    seed: int,
    index: int,
    *,
    fingerprint: float = 1.0,
    stress_effect: float = 1.0,
    response_variation: float = 1.0,
    response_shift: float = 0.0,
) -> Person:
    """Return person number ``index`` of population ``seed``, whatever the number of people.

    Args:
        seed: Population.
        index: Which person, from 0.
        fingerprint: Multiplies how far people lie from the average person; 0 makes them equal.
        stress_effect: Multiplies every reaction to stress; 0 leaves none.
        response_variation: Multiplies how far reactions lie from the average reaction.
        response_shift: Quarter turns of the average reaction (``average_reaction``).
    """
    rng = generator(seed, "synthetic", "person", index)
    z = dict(zip(_TRAITS, rng.standard_normal(len(_TRAITS)), strict=True))
    own = dict(zip(_REACTIONS, rng.standard_normal(len(_REACTIONS)), strict=True))
    average = average_reaction(response_shift)
    arm = _ARM + fingerprint * _ARM_SD * rng.standard_normal(3)
    return Person(
        traits={k: m + fingerprint * sd * float(z[k]) for k, (m, sd) in _TRAITS.items()},
        reactions={
            k: stress_effect * (average[k] + response_variation * sd * float(own[k]))
            for k, (_, sd) in _REACTIONS.items()
        },
        posture=arm / np.linalg.norm(arm),
    )


def average_reaction(shift: float = 0.0) -> dict[str, float]:
    """Return what full stress adds to the average person of a population.

    A shifted population reacts as strongly, in units of the standard deviation between people,
    and otherwise: ``shift`` quarter turns away from the heart, towards skin and movement. From
    about 0.56 on the heart slows down.

    Args:
        shift: Quarter turns; 0 is the default population.
    """
    means = {k: m for k, (m, _) in _REACTIONS.items()}
    if shift == 0:
        return means
    heart, others = (
        math.hypot(*(m / sd for k, (m, sd) in _REACTIONS.items() if (k in _OF_THE_HEART) == own))
        for own in (True, False)
    )
    angle = shift * math.pi / 2
    of_heart = math.cos(angle) - math.sin(angle) * others / heart
    of_others = math.cos(angle) + math.sin(angle) * heart / others
    return {k: m * (of_heart if k in _OF_THE_HEART else of_others) for k, m in means.items()}
