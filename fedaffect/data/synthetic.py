"""Simulated people: a data set that needs no download, with known sizes of every effect.

Nothing here stems from a real person. The default sizes are set so that a random forest on window
features meets what is known from real wrist data: identity is nearly solved on random windows and
far harder across sessions; stress is nearly solved within people and harder on unseen people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np

from fedaffect import require
from fedaffect.data.schema import DatasetInfo, Recording, Recordings
from fedaffect.data.synthetic_person import draw_person
from fedaffect.data.synthetic_signals import (
    AMUSEMENT,
    BASELINE,
    STRESS,
    simulate_session,
)
from fedaffect.rng import generator

CONDITIONS = {BASELINE: "baseline", STRESS: "stress", AMUSEMENT: "amusement"}
STRESS_OF: dict[int, int | None] = {BASELINE: 0, STRESS: 1, AMUSEMENT: 0}
_BLOCK_S = 90.0  # usual length of a stretch of one condition


@dataclass(frozen=True)
class Synthetic:
    """Simulated people with a wristband (Empatica E4 channels, rates and units).

    A person's signals depend on ``seed`` and the person's number only: more people or sessions
    leave the earlier ones as they are.

    Args:
        people: Number of people, 1 to 9999.
        sessions: Recordings of each person.
        session_s: Length of a recording in seconds, at least 60, rounded to whole seconds.
        seed: Which population.
        fingerprint: How far people lie from the average person; 0: no identity at all.
        stress_effect: Size of the average reaction to stress; 0: no stress at all.
        response_variation: How much the reaction differs between people; 0: not at all.
        session_drift: How much a new session changes (strap, skin, day); 0: nothing.
        response_shift: How far the average reaction is turned away from the default population's,
            in quarter turns (``synthetic_person.average_reaction``); 0: not at all.
    """

    people: int = 24
    sessions: int = 3
    session_s: float = 480.0
    seed: int = 0
    fingerprint: float = 1.0
    stress_effect: float = 1.0
    response_variation: float = 1.0
    session_drift: float = 1.0
    response_shift: float = 0.0

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Simulated people",
        people="any number (default 24)",
        signals="wrist: ACC, BVP, EDA, TEMP (simulated Empatica E4)",
        licence="no restriction: no person behind it",
        citation="simulated by fedaffect",
        needs_root=False,
    )

    def __post_init__(self) -> None:
        require.integer("data.people", self.people, at_least=1, at_most=9999)
        require.integer("data.sessions", self.sessions, at_least=1, at_most=999)
        require.number("data.session_s", self.session_s, at_least=60, at_most=36000)
        for name in ("fingerprint", "stress_effect", "response_variation", "session_drift"):
            require.number(f"data.{name}", getattr(self, name), at_least=0, at_most=100)
        require.number("data.response_shift", self.response_shift, at_least=0, at_most=2)

    def subjects(self, root: Path | None = None) -> tuple[str, ...]:
        """Return the ids of the people, ``P0001`` and on; ``root`` is not read."""
        return tuple(f"P{i + 1:04d}" for i in range(self.people))

    def load(self, root: Path | None = None) -> Recordings:
        """Simulate all recordings; ``root`` is not read."""
        return Recordings(
            dataset="synthetic",
            recordings=tuple(self._recordings()),
            conditions=CONDITIONS,
            stress_of=STRESS_OF,
            licence=self.info.licence,
            citation=self.info.citation,
            synthetic=True,
            notes=("simulated people: results say nothing about real ones",),
        )

    def write_sample(self, root: Path, seed: int = 0) -> None:
        """Write up to four people and two sessions of four minutes as Empatica E4 folders.

        The loader ``e4`` reads them: ``<person>/<session>/`` with the files of the device and
        ``labels.csv``.
        """
        from fedaffect.data.e4_write import mark_simulated, write_e4_session
        from fedaffect.data.labels import Label, write_labels

        small = replace(
            self,
            seed=seed,
            people=min(self.people, 4),
            sessions=min(self.sessions, 2),
            session_s=min(self.session_s, 240.0),
        )
        mark_simulated(root)
        for number, recording in enumerate(small._recordings()):
            folder = root / recording.subject / recording.session
            write_e4_session(folder, recording.signals, 1.7e9 + 3600 * number)
            codes, rate_hz = recording.condition.values, recording.condition.rate_hz
            edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
            labels = [
                Label(a / rate_hz, b / rate_hz, CONDITIONS[int(codes[a])])
                for a, b in pairwise(edges)
            ]
            write_labels(folder / "labels.csv", labels)

    def _recordings(self) -> Iterator[Recording]:
        for index, subject in enumerate(self.subjects()):
            person = draw_person(
                self.seed,
                index,
                fingerprint=self.fingerprint,
                stress_effect=self.stress_effect,
                response_variation=self.response_variation,
                response_shift=self.response_shift,
            )
            for session in range(self.sessions):
                rng = generator(self.seed, "synthetic", "session", index, session)
                plan = draw_conditions(rng, self.session_s)
                signals, condition = simulate_session(
                    rng, person, plan, session_drift=self.session_drift
                )
                yield Recording(subject, f"{session + 1:03d}", signals, condition)


def draw_conditions(rng: np.random.Generator, session_s: float) -> list[tuple[int, float]]:
    """Return a plan of (condition code, whole seconds): stress and rest take turns.

    Stretches last about 60 to 120 s. The first is stress or not by chance; a stretch without
    stress is amusement in one case of three, but at least one is baseline.
    """
    blocks = max(2, round(session_s / _BLOCK_S))
    share = rng.uniform(60, 120, blocks)
    edges = np.round(np.cumsum(share) / share.sum() * round(session_s)).astype(int)
    seconds = np.diff(edges, prepend=0)
    first = int(rng.integers(2))
    calm = np.where(rng.random(blocks) < 1 / 3, AMUSEMENT, BASELINE)
    calm[int(rng.integers(blocks // 2)) * 2 + first] = BASELINE
    stressed = np.arange(blocks) % 2 != first
    codes = np.where(stressed, STRESS, calm)
    return [(int(c), float(s)) for c, s in zip(codes, seconds, strict=True)]
