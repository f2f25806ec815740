"""The privacy ledger: what was spent on a data set, written down before the noise is drawn.

One append-only file of JSON lines a data set and site, outside every run folder. Each line
carries the SHA-256 of the line before it, so that an edit shows; its head, kept in run folders,
shows a cut tail. A crash between ``intent`` and ``released`` counts as spent: eps may be over-
reported, never under-reported.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from fedaffect.atomic_file import fsync_folder
from fedaffect.errors import PrivacyError
from fedaffect.home import private_folder
from fedaffect.privacy.base import NoiseKey, ReleasePlan
from fedaffect.privacy.mechanisms.central import CentralNoise

State = Literal["intent", "released"]


class Ledger:
    """Charges and releases on one data set. Several processes may hold it open and write.

    Make one with ``Ledger.open``. Use it as a context manager, or ``close`` it.
    """

    def __init__(self, path: Path, key: NoiseKey) -> None:
        self._path, self._key = path, key
        self._lines: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._heads = [_digest(f"fedaffect ledger {path.stem}")]
        self._size = 0  # bytes of the file that were read and checked
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    @classmethod
    def open(
        cls, home: Path, fingerprint: str, key: NoiseKey, *, expected_head: str | None = None
    ) -> Ledger:
        """Open or begin the ledger of a data set and check its chain.

        Args:
            home: The state folder (``fedaffect.home.state_home()``).
            fingerprint: Names the data set and site; letters, digits, ``-``, ``_`` and ``.``.
            key: The secret noise key.
            expected_head: Head kept by a checkpoint; the chain must contain it.

        Raises:
            PrivacyError: E402 the chain is edited, cut or missing; E404 the key is for tests, or
                the file cannot be used.
        """
        if key.kind != "secret":
            raise PrivacyError("E404", "unsafe test noise is never charged to a ledger")
        if not re.fullmatch(r"\w[\w.-]{0,199}", fingerprint, re.ASCII):
            raise ValueError(f"{fingerprint!r} cannot name a ledger")
        folder = private_folder(home / "ledger")
        path = folder / f"{fingerprint}.jsonl"
        try:
            ledger = cls(path, key)
            fsync_folder(folder)
        except OSError as error:
            raise PrivacyError("E404", f"cannot open {path}: {error.strerror}") from error
        try:
            with ledger._locked():
                pass
            if expected_head is not None and expected_head not in ledger._heads:
                raise ledger._broken("was cut or replaced: it lacks the head of this run")
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def head(self) -> str:
        """Hex digest of the last line: keep it where the file is not."""
        return self._heads[-1]

    def charge(
        self, run: str, release: int, mechanism: CentralNoise, plan: ReleasePlan, inputs: bytes
    ) -> None:
        """Write down, for good, that ``release`` of ``run`` is about to be paid for.

        Call it before noise is drawn. The same release of the same inputs is free: it repeats
        the same noise. The same release of other inputs is charged once more.

        Args:
            run: Id of the run.
            release: Number of the release in the run.
            mechanism: The calibrated mechanism.
            plan: What the budget was calibrated for.
            inputs: ``mechanism.inputs_digest(total)``; only its MAC is stored.

        Raises:
            PrivacyError: E401 the plan has no release left; E402 the chain is broken; E404 the
                file cannot be written.
        """
        sealed = self._key.seal(inputs)
        with self._locked():
            charged = self._charged(run)
            if (release, sealed) in charged:
                return
            if len(charged) >= plan.releases or release > plan.releases:
                raise PrivacyError(
                    "E401",
                    f"release {release} of {run} would exceed the budget: {len(charged)} of "
                    f"{plan.releases} planned releases are spent",
                    do="keep the last model, or start a new run with a larger plan",
                )
            self._append(
                state="intent",
                run=run,
                release=release,
                unit="client",
                blocks=list(mechanism.noised_blocks),
                noise=mechanism.noise,
                z=mechanism.scale,
                q=plan.amplifying_rate,
                planned=plan.releases,
                eps=mechanism.spec.eps,
                delta=mechanism.spec.delta,
                inputs=sealed,
            )

    def released(self, run: str, release: int, inputs: bytes) -> None:
        """Write down that the charged ``release`` has left the server.

        Raises:
            PrivacyError: E401 it was never charged; E402 the chain is broken; E404 the file
                cannot be written.
        """
        sealed = self._key.seal(inputs)
        with self._locked():
            if (release, sealed) not in self._charged(run):
                raise PrivacyError("E401", f"release {release} of {run} was never charged")
            done = {"state": "released", "run": run, "release": release, "inputs": sealed}
            if not any(done.items() <= entry.items() for entry in self._entries):
                self._append(**done)

    def spent(self, run: str) -> int:
        """Return how many releases ``run`` has paid for, finished or not."""
        return len(self._charged(run))

    def runs(self) -> dict[str, int]:
        """Return every run on this data set with the number of its paid releases."""
        names = dict.fromkeys(str(entry["run"]) for entry in self._entries)
        return {run: self.spent(run) for run in names}

    def excerpt(self, run: str) -> list[str]:
        """Return the lines of ``run`` as they stand in the file, without newlines."""
        pairs = zip(self._lines, self._entries, strict=True)
        return [line for line, entry in pairs if entry["run"] == run]

    def close(self) -> None:
        """Close the file. Closing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _charged(self, run: str) -> set[tuple[int, str]]:
        return {
            (entry["release"], entry["inputs"])
            for entry in self._entries
            if entry["run"] == run and entry["state"] == "intent"
        }

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the only write lock, knowing all that other processes have written."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            try:
                self._catch_up()
                yield
            finally:
                fcntl.flock(self._handle, fcntl.LOCK_UN)
        except OSError as error:
            raise PrivacyError("E404", f"cannot use {self._path}: {error.strerror}") from error

    def _catch_up(self) -> None:
        status = os.fstat(self._handle)
        if status.st_mode & 0o077 or status.st_nlink != 1:
            raise self._broken("can be read by other users, was deleted or has a second name")
        if status.st_size < self._size:
            raise self._broken("became shorter")
        news = os.pread(self._handle, status.st_size - self._size, self._size)
        whole = news[: news.rfind(b"\n") + 1]
        for line in whole.decode(errors="replace").splitlines():
            self._take(line)
        self._size += len(whole)
        if len(news) > len(whole):  # a write that power loss cut: no noise was drawn after it
            os.ftruncate(self._handle, self._size)

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            sound = entry["counter"] == len(self._entries) and entry["previous"] == self.head
            sound &= {"state", "run", "release", "inputs"} <= entry.keys()
        except (ValueError, TypeError, KeyError, AttributeError):
            sound = False
        if not sound:
            raise self._broken(f"was edited at line {len(self._entries) + 1}")
        self._entries.append(entry)
        self._lines.append(line)
        self._heads.append(_digest(line))

    def _append(self, **values: Any) -> None:
        entry = {"counter": len(self._entries), **values, "previous": self.head}
        line = json.dumps(entry, allow_nan=False)
        data = line.encode() + b"\n"
        try:
            if os.pwrite(self._handle, data, self._size) != len(data):
                raise OSError(28, "disk full")
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(data)
        self._take(line)

    def _broken(self, why: str) -> PrivacyError:
        return PrivacyError(
            "E402",
            f"privacy ledger {self._path} {why}",
            do="restore it from a backup; without it the privacy spent on these data is unknown",
        )


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
