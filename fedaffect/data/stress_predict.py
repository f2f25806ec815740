"""Stress-Predict: 35 people with an Empatica E4, three stress tasks with rest between them.

Iqbal et al. 2022, Sensors 22(21):8135, https://doi.org/10.3390/s22218135. Signals and labels are
joined by the unix clock of the label file, whose label changes coincide with the button tags.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fedaffect import require
from fedaffect.data.e4 import data_root, start_up_notes
from fedaffect.data.e4_session import FILES, Session, decode, list_folder, read_file, read_session
from fedaffect.data.e4_write import is_simulated
from fedaffect.data.people import refuse_duplicates
from fedaffect.data.problems import Problems
from fedaffect.data.schema import (
    UNLABELLED,
    DatasetInfo,
    FileEntry,
    Recording,
    Recordings,
    Signal,
)
from fedaffect.data.stress_predict_labels import LABEL_FILE, PersonLabels, read_label_file
from fedaffect.errors import DataError

REST, STRESS = 0, 1
_SESSION = "01"
_TAG_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class StressPredict:
    """The Stress-Predict data set, as its authors publish it.

    A label change without a button tag within 2 s is not confirmed (four people have some); around
    it, a wider margin is left out.

    Args:
        margin_s: Time left out before and after every label change, in seconds.
        untagged_margin_s: The same for label changes that no button tag confirms.
        allow_missing: Whether people whose folder is missing are left out, with a note.
    """

    margin_s: float = 10.0
    untagged_margin_s: float = 30.0
    allow_missing: bool = False

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Stress-Predict",
        people="34 labelled of 35",
        signals="wrist: ACC, BVP, EDA, TEMP (Empatica E4, 1 h each)",
        licence="MIT, Copyright (c) 2022 Talha Iqbal",
        citation="Iqbal et al., Stress Monitoring Using Wearable Sensors: A Pilot Study and "
        "Stress-Predict Dataset, Sensors 22(21):8135, 2022",
    )

    def __post_init__(self) -> None:
        require.number("data.margin_s", self.margin_s, at_least=0, at_most=600)
        require.number("data.untagged_margin_s", self.untagged_margin_s, at_least=0, at_most=600)

    def subjects(self, root: Path | None) -> tuple[str, ...]:
        """Return the ids of the people in the label file, ``S02`` and on."""
        base = find_root(root)
        return tuple(read_label_file(base / LABEL_FILE, base)[0])

    def load(self, root: Path | None) -> Recordings:
        """Read the labels and the sessions of all labelled people.

        Args:
            root: The folder ``stress_predict`` with ``Raw_data`` and ``Processed_data``, or the
                folder that contains it.

        Raises:
            DataError: E340 no such folder; E341 folders of people are missing (all are named);
                E348 the label file is missing, E349 malformed; E350 two people share data; E352
                labels and signals cover no common time; E343 to E347 see ``read_session``. Of
                several problems the first, with all of them as its cause.
        """
        base = find_root(root)
        labelled, label_entry = read_label_file(base / LABEL_FILE, base)
        absent = [who for who in labelled if not os.path.isdir(base / "Raw_data" / who)]
        if absent and (not self.allow_missing or len(absent) == len(labelled)):
            raise DataError(
                "E341",
                f"folders of labelled people are missing in {base / 'Raw_data'}: "
                f"{', '.join(absent)}",
                do="unpack the whole archive, or set data.allow_missing",
            )
        problems = Problems()
        recordings: list[Recording] = []
        sessions: list[tuple[str, Session]] = []
        files: list[FileEntry] = [label_entry]
        untagged: list[str] = []
        for who, labels in labelled.items():
            if who in absent:
                continue
            with problems.keep():
                folder = base / "Raw_data" / who
                session = read_session(folder, who, _SESSION, base)
                tags, tag_files = read_tags(folder / f"tags_{who}.csv", base)
                far = _far_from(labels.edges(), tags)
                condition = self._condition(labels, far, session, who)
                recordings.append(Recording(who, _SESSION, session.signals, condition))
                sessions.append((who, session))
                files += [*session.files, *tag_files]
                if far.any():
                    untagged.append(f"{who} {int(far.sum())} of {len(far)}")
        problems.raise_all()
        refuse_duplicates(recordings)
        notes = [f"left out, folder missing: {', '.join(absent)}"] if absent else []
        if extra := _unlabelled_people(base, set(labelled)):
            notes.append(f"left out, signals without labels: {', '.join(extra)}")
        if untagged:
            wide = f"{self.untagged_margin_s:g} s around them left out"
            notes.append(f"label changes without a button tag, {wide}: {', '.join(untagged)}")
        return Recordings(
            dataset="stress_predict",
            recordings=tuple(recordings),
            conditions={REST: "rest", STRESS: "stress"},
            stress_of={REST: 0, STRESS: 1},
            licence=self.info.licence,
            citation=self.info.citation,
            synthetic=is_simulated(base),
            files=tuple(files),
            notes=(*notes, *start_up_notes(sessions)),
        )

    def write_sample(self, root: Path, seed: int = 0, people: int = 34) -> None:
        """Write ``people`` simulated labelled people and S01, eight minutes each, about 14 MB."""
        from fedaffect.data.stress_predict_sample import write_sample

        write_sample(root, seed, people)

    def _condition(
        self, labels: PersonLabels, untagged: np.ndarray, session: Session, who: str
    ) -> Signal:
        """Return the labels on the clock of the session, at 1 Hz, without the margins."""
        first, last = float(labels.time_unix[0]), float(labels.time_unix[-1])
        if first >= session.start_unix + session.end_s or last < session.start_unix:
            raise DataError(
                "E352",
                f"{who}: labels from {first:.0f} to {last:.0f} lie outside the session from "
                f"{session.start_unix:.0f} to {session.start_unix + session.end_s:.0f}",
                do="label file and signals must come from the same release of the data",
            )
        seconds = labels.time_unix - labels.time_unix[0]  # (n,), whole seconds
        condition = np.full(int(seconds[-1]) + 1, UNLABELLED, np.int64)
        condition[seconds] = labels.label
        begin = np.arange(len(condition)) + first  # a label holds for one second
        for edge, far in zip(labels.edges(), untagged, strict=True):
            margin_s = max(self.margin_s, self.untagged_margin_s) if far else self.margin_s
            condition[(begin + 1 > edge - margin_s) & (begin < edge + margin_s)] = UNLABELLED
        return Signal(condition, 1.0, first - session.start_unix)


def find_root(root: Path | None) -> Path:
    """Return the folder that holds ``Raw_data``: ``root`` itself or one folder in it.

    Raises:
        DataError: E340 there is none.
    """
    base = data_root(root, "stress_predict")
    if os.path.isdir(base / "Raw_data"):
        return base
    inside = [p for p in list_folder(base) if os.path.isdir(p / "Raw_data")]
    if len(inside) == 1:
        return inside[0]
    raise DataError(
        "E340",
        f"{base} holds {len(inside)} folders with Raw_data, expected one",
        do=f"expected Raw_data/S01 and on, and {LABEL_FILE}",
    )


def read_tags(path: Path, root: Path) -> tuple[np.ndarray | None, list[FileEntry]]:
    """Return the unix times of the button presses (n,), ``None`` without such a file.

    Raises:
        DataError: E346 a row is not a number.
    """
    if not os.path.exists(path):
        return None, []
    raw, entry = read_file(path, root)
    try:
        times = [float(word) for word in decode(raw, path).split()]
    except ValueError as error:
        raise DataError("E346", f"{path}: {error}", do="expected one unix time a line") from error
    return np.array(times, dtype=np.float64), [entry]


def _far_from(edges: np.ndarray, tags: np.ndarray | None) -> np.ndarray:
    """Return for each edge whether no tag confirms it, (n,); without tags none is doubted."""
    if tags is None:
        return np.zeros(len(edges), dtype=bool)
    if not len(tags):
        return np.ones(len(edges), dtype=bool)
    distance_s = np.abs(edges[:, None] - tags[None, :]).min(axis=1, initial=np.inf)
    return np.asarray(distance_s > _TAG_TOLERANCE_S)


def _unlabelled_people(base: Path, labelled: set[str]) -> list[str]:
    return [
        p.name
        for p in list_folder(base / "Raw_data")
        if p.name not in labelled and all(os.path.isfile(p / name) for name in FILES)
    ]
