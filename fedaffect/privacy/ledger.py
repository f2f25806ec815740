"""The privacy ledger: what was spent on a data set, written down before the noise is drawn.

One append-only file of JSON lines a data set and site, outside every run folder. Each line
carries the SHA-256 of the line before it, so that an edit shows; its head, kept in run folders,
shows a cut tail. A crash between ``intent`` and ``released`` counts as spent: eps may be over-
reported, never under-reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedaffect.errors import PrivacyError
from fedaffect.failpoint import fail_here
from fedaffect.home import private_folder
from fedaffect.privacy.base import NoiseKey
from fedaffect.privacy.charges import Account, Charge, Release, Terms, post
from fedaffect.privacy.ledger_file import LedgerFile

__all__ = ["Charge", "Ledger", "Terms"]


class Ledger:
    """Charges and releases on one data set. Several processes may hold it open and write.

    Make one with ``Ledger.open``. Use it as a context manager, or ``close`` it. What it tells is
    as new as the file: it reads what others have written first.
    """

    def __init__(self, path: Path, key: NoiseKey, *, make: bool) -> None:
        self._key = key
        self._accounts: dict[str, Account] = {}
        self._run_of_line: list[str] = []
        self._file = LedgerFile(path, make=make, on_entry=self._enter)

    @classmethod
    def open(
        cls,
        home: Path,
        fingerprint: str,
        key: NoiseKey,
        *,
        expected_head: str | None = None,
        must_exist: bool = False,
    ) -> Ledger:
        """Open or begin the ledger of a data set and check its chain.

        Args:
            home: The state folder (``fedaffect.home.state_home()``).
            fingerprint: Names the data set and site; letters, digits, ``-``, ``_`` and ``.``.
            key: The secret noise key.
            expected_head: Head kept by a checkpoint; the chain must contain it.
            must_exist: A run goes on, so a missing ledger was lost.

        Raises:
            PrivacyError: E402 the chain is edited, cut or missing; E404 the key is for tests, or
                the file cannot be used.
        """
        if key.kind != "secret":
            raise PrivacyError("E404", "unsafe test noise is never charged to a ledger")
        path = ledger_path(home, fingerprint)
        private_folder(path.parent)
        make = expected_head is None and not must_exist
        try:
            ledger = cls(path, key, make=make)
        except FileNotFoundError as error:
            raise PrivacyError(
                "E402",
                f"privacy ledger {path} is missing, but this run has charged it",
                do="restore it from a backup, or set FEDAFFECT_HOME to where it was written",
            ) from error
        except OSError as error:
            raise PrivacyError("E404", f"cannot open {path}: {error.strerror}") from error
        try:
            with ledger._file.locked():
                if expected_head is not None and expected_head not in ledger._file.chain.heads:
                    raise ledger._file.broken("was cut or replaced: it lacks the head of this run")
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def head(self) -> str:
        """Hex digest of the last line: keep it where the file is not."""
        with self._file.locked():
            return self._file.chain.head

    def charge(self, run: str, charges: Sequence[Charge], limit: int) -> None:
        """Write down, for good, that releases of ``run`` are about to be paid for: all or none.

        Call it before noise is drawn. The same release of the same inputs by the same party is
        free: it repeats the same noise. The same release of other inputs is charged once more;
        where draws amplify it is refused, since its draws would not be independent of the first.

        Args:
            run: Id of the run.
            charges: What is about to be released.
            limit: Number of releases that the budget of the run affords a party.

        Raises:
            PrivacyError: E401 a party would exceed its limit, an amplified release has other
                inputs than before, or the terms are not those of the run; E402 the chain is
                broken; E404 the file cannot be written.
        """
        fail_here("ledger.before_charge")
        with self._file.locked():
            fresh: dict[tuple[str, Release], Charge] = {}
            for charge in charges:
                at = (charge.party, self._release(charge))
                if at[1] not in self._charged(run, charge.party):
                    fresh[at] = charge
            lines = self._terms_line(run, [c.terms for c in charges])
            spent = {charge.party: len(self._charged(run, charge.party)) for charge in charges}
            for (party, release), charge in fresh.items():
                if charge.terms.rate < 1 and self._was_charged(run, party, release[0]):
                    raise PrivacyError(
                        "E401",
                        f"release {release[0]} of {run}, {party}, was charged for other inputs: "
                        "the same secret draws a second time amplify nothing",
                        do="keep the last model, or start a new run",
                    )
                if spent[party] >= limit:
                    raise PrivacyError(
                        "E401",
                        f"release {release[0]} of {run}, {party}, would exceed the budget: "
                        f"{spent[party]} of {limit} affordable releases are spent",
                        do="keep the last model, or start a new run with a larger plan",
                    )
                spent[party] += 1
                drawn = None if charge.clients is None else [int(c) for c in charge.clients]
                lines.append(_line("intent", run, party, release) | {"clients": drawn})
            self._append(lines)
        fail_here("ledger.charged")

    def released(self, run: str, charges: Sequence[Charge]) -> None:
        """Write down that charged releases have left.

        Raises:
            PrivacyError: E401 one was never charged, and nothing is written; E402 the chain is
                broken; E404 the file cannot be written.
        """
        with self._file.locked():
            fresh: dict[tuple[str, Release], dict[str, Any]] = {}
            for charge in charges:
                party, release = charge.party, self._release(charge)
                if release not in self._charged(run, party):
                    raise PrivacyError(
                        "E401", f"release {release[0]} of {run}, {party}, was never charged"
                    )
                if (party, release) not in self._accounts[run].released:
                    fresh[party, release] = _line("released", run, party, release)
            self._append(list(fresh.values()))
        fail_here("ledger.released")

    def paid(self, run: str, charge: Charge) -> bool:
        """Return whether ``run`` has paid for this release of these inputs on these terms."""
        with self._file.locked():
            known = run in self._accounts and self._accounts[run].terms == charge.terms
            return known and self._release(charge) in self._charged(run, charge.party)

    def spent(self, run: str, party: str | None = None) -> int:
        """Return how many releases a party of ``run`` has paid for, finished or not.

        Args:
            run: Id of the run.
            party: Whose; ``None``: the largest number over parties.
        """
        with self._file.locked():
            return self._accounts[run].spent(party) if run in self._accounts else 0

    def participations(self, run: str) -> dict[int, int] | None:
        """Return client to the number of charged releases that it was drawn for.

        A client that draws its own noise takes part in the releases that it has paid for.
        ``None`` where it must stay secret who was drawn.
        """
        with self._file.locked():
            return self._accounts[run].participations() if run in self._accounts else {}

    def terms(self, run: str) -> Terms:
        """Return the terms of the releases of ``run``.

        Raises:
            PrivacyError: E401 the run was never charged.
        """
        with self._file.locked():
            if run not in self._accounts:
                raise PrivacyError("E401", f"{run} was never charged to {self._file.path}")
            return self._accounts[run].terms

    def runs(self) -> dict[str, int]:
        """Return every run on this data set with the number of its paid releases."""
        with self._file.locked():
            return {run: account.spent() for run, account in self._accounts.items()}

    def excerpt(self, run: str) -> list[str]:
        """Return the lines of ``run`` as they stand in the file, without newlines."""
        with self._file.locked():
            pairs = zip(self._file.chain.lines, self._run_of_line, strict=True)
            return [line for line, of in pairs if of == run]

    def close(self) -> None:
        """Close the file. Closing twice is fine."""
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _enter(self, entry: dict[str, Any]) -> None:
        post(self._accounts, entry)
        self._run_of_line.append(entry["run"])

    def _release(self, charge: Charge) -> Release:
        return int(charge.release), self._key.seal(charge.inputs)

    def _charged(self, run: str, party: str) -> dict[Release, tuple[int, ...] | None]:
        return self._accounts[run].charged.get(party, {}) if run in self._accounts else {}

    def _was_charged(self, run: str, party: str, number: int) -> bool:
        return any(release[0] == number for release in self._charged(run, party))

    def _terms_line(self, run: str, terms: list[Terms]) -> list[dict[str, Any]]:
        """Return the line that states the terms of a run, where there is none yet."""
        known = [self._accounts[run].terms] if run in self._accounts else []
        if any(other != (known + terms)[0] for other in terms):
            raise PrivacyError(
                "E401",
                f"the releases of {run} are on other terms than those charged before",
                do="start a new run for another mechanism, noise or budget",
            )
        if known or not terms:
            return []
        return [{"state": "terms", "run": run, "terms": terms[0].to_dict()}]

    def _append(self, lines: list[dict[str, Any]]) -> None:
        if lines:
            self._file.append(lines)


def ledger_path(home: Path, fingerprint: str) -> Path:
    """Return where the ledger of a data set lies in the state folder ``home``.

    Raises:
        ValueError: the fingerprint cannot name a file.
    """
    if not re.fullmatch(r"\w[\w.-]{0,199}", fingerprint, re.ASCII):
        raise ValueError(f"{fingerprint!r} cannot name a ledger")
    return home / "ledger" / f"{fingerprint}.jsonl"


def _line(state: str, run: str, party: str, release: Release) -> dict[str, Any]:
    number, inputs = release
    return {"state": state, "run": run, "party": party, "release": number, "inputs": inputs}
