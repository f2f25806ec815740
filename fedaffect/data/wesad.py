"""WESAD: 15 people in a laboratory with a wristband and a chest strap, one stress task each."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from fedaffect.data.e4_write import is_simulated
from fedaffect.data.people import refuse_duplicates
from fedaffect.data.problems import Problems
from fedaffect.data.recording_cache import cached_arrays
from fedaffect.data.schema import (
    UNLABELLED,
    DatasetInfo,
    FileEntry,
    Recording,
    Recordings,
    Signal,
    channels_of,
)
from fedaffect.data.wesad_file import LABEL_HZ, RATES_HZ, read_subject
from fedaffect.errors import DataError

SUBJECTS = tuple(f"S{i}" for i in (*range(2, 12), *range(13, 18)))  # there is no S1, no S12
CONDITIONS = {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
STRESS_OF: dict[int, int | None] = {1: 0, 2: 1, 3: 0, 4: 0}
_READER_VERSION = 1


@dataclass(frozen=True)
class Wesad:
    """WESAD in its official layout ``ROOT/S2/S2.pkl`` to ``ROOT/S17/S17.pkl``.

    Source: P. Schmidt, A. Reiss, R. Duerichen, C. Marberger, K. Van Laerhoven: Introducing WESAD,
    a multimodal dataset for wearable stress and affect detection, ICMI 2018. Labels 0 and 5 to 7
    are transitions and are not used, as its readme asks.

    Args:
        modality: Which device is read: ``wrist``, ``chest`` or ``both``.
        allow_missing: Go on without the people whose file is missing, and note it.
        progress: Gets one line before each file that takes time to read.
    """

    modality: Literal["wrist", "chest", "both"] = "wrist"
    allow_missing: bool = False
    progress: Callable[[str], None] | None = field(default=None, compare=False, repr=False)

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="WESAD, wearable stress and affect detection",
        people="15",
        signals="wrist: ACC, BVP, EDA, TEMP; chest: ACC, ECG, EMG, EDA, TEMP, RESP",
        licence="academic research only, cite the paper; do not pass the data on",
        citation="Schmidt et al., Introducing WESAD, ICMI 2018, doi:10.1145/3242969.3242985",
    )

    def subjects(self, root: Path | None) -> tuple[str, ...]:
        """Return the ids of the people whose files are there.

        Raises:
            DataError: E310 a folder cannot be read; E320 no WESAD folder; E321 files are missing.
        """
        return self._present(find_folder(root))

    def load(self, root: Path | None) -> Recordings:
        """Read the files of all people; a second time they come from a cache.

        Raises:
            DataError: E310 to E326, see ``read_subject`` and ``cached_arrays``; E320 no WESAD
                folder; E321 files are missing; E350 two people with the same data. Of several
                problems the first, with all of them as its cause.
        """
        folder = find_folder(root)
        people = self._present(folder)
        recordings: list[Recording] = []
        files: list[FileEntry] = []
        unused = total = 0
        problems = Problems()
        for subject in people:
            with problems.keep():
                arrays, entry = cached_arrays(
                    f"wesad-{self.modality}-{_READER_VERSION}",
                    folder,
                    f"{subject}/{subject}.pkl",
                    partial(self._read, subject),
                )
                recordings.append(self._recording(subject, arrays))
                files.append(entry)
                total += len(arrays["label"])
                unused += int(np.count_nonzero(recordings[-1].condition.values == UNLABELLED))
        problems.raise_all()
        refuse_duplicates(recordings)
        notes = [f"labels 0, 5, 6 and 7 are not used: {unused / total:.0%} of the recorded time"]
        if len(people) < len(SUBJECTS):
            notes.append(f"missing people: {', '.join(s for s in SUBJECTS if s not in people)}")
        return Recordings(
            dataset="wesad",
            recordings=tuple(recordings),
            conditions=CONDITIONS,
            stress_of=STRESS_OF,
            licence=self.info.licence,
            citation=self.info.citation,
            synthetic=is_simulated(folder),
            files=tuple(files),
            notes=tuple(notes),
        )

    def write_sample(
        self, root: Path, seed: int = 0, modality: Literal["wrist", "both"] = "both"
    ) -> None:
        """Write 15 simulated people, by default with both devices (``wesad_sample``)."""
        from fedaffect.data.wesad_sample import write_sample

        write_sample(root, seed, modality)

    def _present(self, folder: Path) -> tuple[str, ...]:
        present = tuple(s for s in SUBJECTS if _is_there(folder / s / f"{s}.pkl"))
        missing = [f"{s}/{s}.pkl" for s in SUBJECTS if s not in present]
        if missing and not self.allow_missing:
            raise DataError(
                "E321",
                f"{len(missing)} of {len(SUBJECTS)} files are missing in {folder}: "
                + ", ".join(missing),
                do="add them, or go on without these people with --allow-missing",
            )
        return present

    def _read(self, subject: str, path: Path) -> dict[str, np.ndarray]:
        if self.progress is not None:
            self.progress(f"wesad: reading {path.name} ({path.stat().st_size / 1e6:.0f} MB)")
        devices = ("wrist", "chest") if self.modality == "both" else (self.modality,)
        return read_subject(path, subject, devices)

    def _recording(self, subject: str, arrays: dict[str, np.ndarray]) -> Recording:
        used = np.isin(arrays["label"], list(CONDITIONS))  # (n,)
        condition = np.where(used, arrays["label"], np.int8(UNLABELLED))  # (n,) int8
        channels = channels_of(self.modality)
        return Recording(
            subject=subject,
            session="1",
            signals={c: Signal(arrays[c], RATES_HZ[c]) for c in channels},
            condition=Signal(condition, LABEL_HZ),
        )


def find_folder(root: Path | None) -> Path:
    """Return the folder with the people's folders: ``root`` itself or ``root/WESAD``.

    Raises:
        DataError: E310 a folder cannot be read; E320 it is neither.
    """
    if root is None:
        raise DataError(
            "E320", "wesad needs its folder and none was given", do="give the folder with S2 to S17"
        )
    for folder in (root, root / "WESAD"):
        if any(_is_there(folder / s / f"{s}.pkl") for s in SUBJECTS):
            return folder
    what = "holds no S2/S2.pkl to S17/S17.pkl" if root.is_dir() else "is not a folder"
    raise DataError("E320", f"{root} {what}", do="give the folder with S2 to S17")


def _is_there(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(
            "E310", f"cannot read {path}: {error.strerror}", do="check its path and permissions"
        ) from None
