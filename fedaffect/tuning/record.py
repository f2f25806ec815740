"""What ``fedaffect dp tune`` found: every candidate with its figure, the best first."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from fedaffect.record import Estimate

TUNING_VERSION: Literal[1] = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CohortRecord(_Record):
    """People who stood in for private ones.

    Attributes:
        title: Who they are.
        synthetic: Whether they are simulated.
        people: How many; each of them is tested once.
        windows: Their windows.
        folds: How many times some of them trained and the others were tested.
        training: Fewest people who trained in a fold.
        public_only: The backbone on them as it is.
    """

    title: str
    synthetic: bool
    people: int
    windows: int
    folds: int
    training: int
    public_only: Estimate


class CandidateRecord(_Record):
    """One choice of settings and what it reached.

    Attributes:
        release: As ``--release`` takes it.
        released_numbers: k.
        rounds: T.
        local_epochs: Full-batch steps of a client in a round.
        lr: Learning rate.
        clip: L2 clip norm C.
        z: Noise standard deviation / C on the sum of a round.
        noise_to_signal: Length of the noise on the mean update of a round / C.
        stress: Balanced accuracy on people who did not train, over all draws of the noise.
        by_cohort: The same, cohort by cohort.
        without_noise: The same without noise, clipped all the same.
    """

    release: str | int
    released_numbers: int
    rounds: int
    local_epochs: int
    lr: float
    clip: float
    z: float
    noise_to_signal: float
    stress: Estimate
    by_cohort: tuple[float | None, ...]
    without_noise: float | None


class TuningRecord(_Record):
    """One run of ``fedaffect dp tune``.

    Attributes:
        eps: Total budget that the settings are for.
        delta: Its delta.
        clients: Planned number n of clients.
        class_weights: Whether clients weighed their classes.
        seed: Master seed.
        draws: Draws of the noise behind every figure.
        batch_size: Windows in a step: all of a person.
        backbone: As ``--backbone`` takes it.
        backbone_sha256: Digest of its file.
        backbone_people: Who made it.
        cohorts: Who stood in for private people.
        public_only: The backbone on all of them as it is.
        candidates: All that was tried, the best first.
        notes: What was done, and how to read it.
    """

    schema_version: Literal[1] = TUNING_VERSION
    version: str
    eps: float
    delta: float
    clients: int
    class_weights: Literal["none", "client"]
    seed: int
    draws: int
    batch_size: int
    backbone: str
    backbone_sha256: str
    backbone_people: str
    cohorts: tuple[CohortRecord, ...]
    public_only: Estimate
    candidates: tuple[CandidateRecord, ...]
    notes: tuple[str, ...]

    @property
    def chosen(self) -> CandidateRecord:
        """The best candidate."""
        return self.candidates[0]
