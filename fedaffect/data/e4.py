"""Your own Empatica E4 recordings: one folder a person, with a label file in every session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fedaffect.data.e4_session import FILES, Session, list_folder, read_session
from fedaffect.data.e4_write import is_simulated, mark_simulated, write_e4_session
from fedaffect.data.labels import Label, condition_codes, paint, read_labels, write_labels
from fedaffect.data.people import check_id, refuse_duplicates
from fedaffect.data.problems import Problems
from fedaffect.data.schema import DatasetInfo, FileEntry, Recording, Recordings
from fedaffect.errors import DataError

__all__ = ["E4", "data_root", "read_session", "start_up_notes", "write_e4_session"]

_SAMPLE_PEOPLE, _SAMPLE_SESSIONS, _SAMPLE_BLOCK_S = 6, 2, 75.0
_CUT_S = 30.0  # a longest channel that is so much longer deserves a note


@dataclass(frozen=True)
class E4:
    """Session folders of the Empatica E4, as ``ROOT/PERSON/`` or ``ROOT/PERSON/SESSION/``.

    Every session folder holds ``ACC.csv``, ``BVP.csv``, ``EDA.csv``, ``TEMP.csv`` and a label
    file with the header ``start_s,end_s,label``.

    Args:
        labels: Name of the label file.
        stress_labels: The labels, in lower case, that mean stress; all others mean no stress.
    """

    labels: str = "labels.csv"
    stress_labels: tuple[str, ...] = ("stress",)

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Your own Empatica E4 folders",
        people="any number",
        signals="wrist: ACC, BVP, EDA, TEMP",
        licence="yours",
        citation="none",
    )

    def subjects(self, root: Path | None) -> tuple[str, ...]:
        """Return the names of the people's folders."""
        return tuple(dict.fromkeys(subject for subject, _, _ in self._sessions(root)))

    def load(self, root: Path | None) -> Recordings:
        """Read all sessions under ``root``.

        Raises:
            DataError: E340 to E352, see ``read_session`` and ``read_labels``; E342 a zip file
                instead of a folder; E350 two sessions are copies; E351 a folder's name is no
                usable id. Of several problems the first, with all of them as its cause.
        """
        base = data_root(root, "e4")
        problems = Problems()
        read: list[tuple[str, str, Session, tuple[Label, ...]]] = []
        files: list[FileEntry] = []
        for subject, session, folder in self._sessions(root):
            with problems.keep():
                check_id(subject, "folder")
                check_id(session, f"folder of {subject}")
                data = read_session(folder, subject, session, base)
                labels, entry = read_labels(folder / self.labels, base, data.start_unix, data.end_s)
                read.append((subject, session, data, labels))
                files += [*data.files, entry]
        problems.raise_all()
        codes = condition_codes({label.name for _, _, _, labels in read for label in labels})
        recordings = tuple(
            Recording(subject, session, data.signals, paint(labels, codes, data.end_s))
            for subject, session, data, labels in read
        )
        refuse_duplicates(recordings)
        return Recordings(
            dataset="e4",
            recordings=recordings,
            conditions={code: name for name, code in codes.items()},
            stress_of={code: int(name in self.stress_labels) for name, code in codes.items()},
            licence=self.info.licence,
            citation=self.info.citation,
            synthetic=is_simulated(base),
            files=tuple(files),
            notes=start_up_notes([(f"{who}/{which}", data) for who, which, data, _ in read]),
        )

    def write_sample(self, root: Path, seed: int = 0) -> None:
        """Write six simulated people with two sessions of five minutes each."""
        from fedaffect.data.synthetic_person import draw_person
        from fedaffect.data.synthetic_signals import BASELINE, STRESS, simulate_session
        from fedaffect.rng import generator

        mark_simulated(root)
        order = [BASELINE, STRESS, BASELINE, STRESS]
        words = {BASELINE: "rest", STRESS: "stress"}
        for index in range(_SAMPLE_PEOPLE):
            person = draw_person(seed, index)
            for session in range(_SAMPLE_SESSIONS):
                rng = generator(seed, "e4", "sample", index, session)
                plan = [(code, _SAMPLE_BLOCK_S) for code in order]
                signals, _ = simulate_session(rng, person, plan)
                folder = root / f"P{index + 1:02d}" / f"{session + 1:02d}"
                write_e4_session(folder, signals, 1.7e9 + 86400 * session + 3600 * index)
                write_labels(
                    folder / self.labels,
                    [
                        Label(i * _SAMPLE_BLOCK_S, (i + 1) * _SAMPLE_BLOCK_S, words[code])
                        for i, code in enumerate(order)
                    ],
                )

    def _sessions(self, root: Path | None) -> list[tuple[str, str, Path]]:
        """Return (subject, session, folder) of all sessions, in this order."""
        base = data_root(root, "e4")
        found = []
        for person in _folders(base):
            sessions = [("01", person)] if self._is_session(person) else []
            sessions += [(f.name, f) for f in _folders(person) if self._is_session(f)]
            if not sessions or (len(sessions) > 1 and sessions[0][1] is person):
                what = "both a session and folders of sessions" if sessions else "no E4 session"
                raise DataError(
                    "E341",
                    f"{person} holds {what}",
                    do=f"a folder of a person holds {', '.join(FILES)} and {self.labels}, "
                    "or one folder with them for each session",
                )
            found += [(person.name, name, folder) for name, folder in sessions]
        if not found:
            raise DataError(
                "E341",
                f"{base} holds no folder of a person",
                do="expected PERSON/ACC.csv or PERSON/SESSION/ACC.csv",
            )
        return found

    def _is_session(self, folder: Path) -> bool:
        return any(os.path.exists(folder / name) for name in (*FILES, self.labels))


def data_root(root: Path | None, name: str) -> Path:
    """Return ``root`` if it is a folder.

    Raises:
        DataError: E340 no root was given, or it is no folder; E342 it is a zip file.
    """
    if root is None:
        raise DataError(
            "E340", f"{name} needs a folder with its files", do="add --data-root FOLDER"
        )
    if root.suffix.lower() == ".zip" and os.path.isfile(root):
        raise _zip_error(root)
    if not os.path.isdir(root):
        raise DataError(
            "E340", f"{root} is not a folder", do="give the folder of the data set as --data-root"
        )
    return root


def start_up_notes(sessions: Sequence[tuple[str, Session]]) -> tuple[str, ...]:
    """Return what was dropped or cut while reading ``sessions`` (name, session), in few lines."""
    eda = sum("EDA" in s.dropped for _, s in sessions)
    temp = [f"{name} {s.dropped['TEMP']}" for name, s in sessions if "TEMP" in s.dropped]
    cut = [f"{name} {s.cut_s:.0f} s" for name, s in sessions if s.cut_s > _CUT_S]
    notes = {
        f"first EDA sample, zero, dropped in {eda} of {len(sessions)} sessions": eda,
        f"start-up TEMP samples dropped: {', '.join(temp)}": temp,
        f"channels differ in length, cut to the shortest: {', '.join(cut)}": cut,
    }
    return tuple(text for text, needed in notes.items() if needed)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in ``folder`` by name, and refuse sessions that are still zipped."""
    entries = list_folder(folder)
    for path in entries:
        if path.suffix.lower() == ".zip" and not path.with_suffix("").is_dir():
            raise _zip_error(path)
    return [p for p in entries if os.path.isdir(p)]


def _zip_error(path: Path) -> DataError:
    return DataError(
        "E342", f"{path} is a zip file, expected a folder", do=f"unpack it into {path.stem}/"
    )
