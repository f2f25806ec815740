"""What every data set becomes: recordings of people, then a table of windows.

Shapes: n samples of a channel, N windows, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

UNLABELLED = -1

WRIST_CHANNELS = (
    "wrist.acc_x",
    "wrist.acc_y",
    "wrist.acc_z",
    "wrist.bvp",
    "wrist.eda",
    "wrist.temp",
)
CHEST_CHANNELS = (
    "chest.acc_x",
    "chest.acc_y",
    "chest.acc_z",
    "chest.ecg",
    "chest.emg",
    "chest.eda",
    "chest.temp",
    "chest.resp",
)


def channels_of(modality: str) -> tuple[str, ...]:
    """Return the channels of ``wrist``, ``chest`` or ``both``, in their fixed order."""
    return {
        "wrist": WRIST_CHANNELS,
        "chest": CHEST_CHANNELS,
        "both": WRIST_CHANNELS + CHEST_CHANNELS,
    }[modality]


@dataclass(frozen=True)
class Signal:
    """Evenly sampled values; sample i is taken at ``start_s + i / rate_hz``.

    ``start_s`` counts seconds from the start of the recording.
    """

    values: np.ndarray  # (n,)
    rate_hz: float
    start_s: float = 0.0

    @property
    def end_s(self) -> float:
        """Time just after the last sample, in seconds from the start of the recording."""
        return self.start_s + len(self.values) / self.rate_hz


@dataclass(frozen=True)
class Recording:
    """One uninterrupted recording of one person.

    Args:
        subject: Id of the person, as the data set spells it.
        session: Id of the recording within the person; recordings of one person differ in it.
        signals: Channel name (see ``WRIST_CHANNELS``) to its signal.
        condition: Integer code of what the person was doing at each sample (the data set's own
            codes; ``UNLABELLED`` where nothing may be cut). No window crosses a change of it.
    """

    subject: str
    session: str
    signals: Mapping[str, Signal]
    condition: Signal


@dataclass(frozen=True)
class FileEntry:
    """A source file as it was read: path relative to the data root, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Recordings:
    """A data set as its loader returns it.

    Args:
        dataset: Registered name of the data set.
        recordings: All recordings, ordered by (subject, session).
        conditions: Condition code to its name.
        stress_of: Condition code to 0 (no stress), 1 (stress) or ``None`` (not used).
        licence: Licence or terms in one line, printed in reports.
        citation: How to cite the data, in one line.
        synthetic: Whether the people are simulated.
        files: Source files with hashes (empty for synthetic data).
        notes: What the loader changed or noticed, one line each.
    """

    dataset: str
    recordings: tuple[Recording, ...]
    conditions: Mapping[int, str]
    stress_of: Mapping[int, int | None]
    licence: str
    citation: str
    synthetic: bool = False
    files: tuple[FileEntry, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WindowTable:
    """Feature windows of all people.

    A window covers ``[start_s, start_s + window_s)`` of one recording; two windows share raw
    samples exactly when they have the same ``recording`` and overlap in time.
    """

    dataset: str
    features: np.ndarray  # (N, F) float32
    stress: np.ndarray  # (N,) int64: 0, 1
    subject: np.ndarray  # (N,) int64: index into `subjects`
    recording: np.ndarray  # (N,) int64: index over all recordings of the data set
    condition: np.ndarray  # (N,) int64: condition code
    start_s: np.ndarray  # (N,) float64
    window_s: float
    subjects: tuple[str, ...]
    feature_names: tuple[str, ...]  # e.g. "wrist.bvp/mean", channel-major
    conditions: Mapping[int, str]
    licence: str
    citation: str
    synthetic: bool
    fingerprint: str  # hex digest over source files and every option that shaped the table
    files: tuple[FileEntry, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.stress)


@dataclass(frozen=True)
class DatasetInfo:
    """One line of ``fedaffect data list``."""

    title: str
    people: str
    signals: str
    licence: str
    citation: str
    needs_root: bool = True


@dataclass(frozen=True)
class Finding:
    """One line of ``fedaffect data check``; ``level`` is ``ok``, ``warning`` or ``error``."""

    level: str
    what: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Dataset(Protocol):
    """What a loader offers: a frozen dataclass, its fields are its options."""

    @property
    def info(self) -> DatasetInfo:
        """What is known of the data set; of the class."""

    def subjects(self, root: Path | None) -> tuple[str, ...]:
        """Return the ids of the labelled people, without reading signals."""

    def load(self, root: Path | None) -> Recordings:
        """Read the official layout under ``root``.

        Raises:
            DataError: files are missing, malformed or implausible.
        """

    def write_sample(self, root: Path, seed: int = 0) -> None:
        """Write a small data set of simulated people in the official layout under ``root``."""
