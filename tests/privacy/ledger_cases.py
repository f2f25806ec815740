"""A small ledger for tests: its key, terms and charges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedaffect.errors import PrivacyError
from fedaffect.privacy.ledger import Charge, Ledger, Terms
from fedaffect.privacy.noise import SecretNoiseKey

KEY = SecretNoiseKey(bytes(32))
TERMS = Terms(
    mechanism="gaussian",
    noise="gaussian",
    z=1.5,
    rate=1.0,
    adjacency="zero_out",
    unit="client",
    where="server",
    blocks=("shared", "task:stress"),
    clear=False,
    eps=5.0,
    delta=1e-5,
)
NAME = "wesad-0123abcd"


def opened(home: Path, head: str | None = None, **options: Any) -> Ledger:
    return Ledger.open(home, NAME, KEY, expected_head=head, **options)


def of(
    release: int,
    inputs: bytes = b"sum",
    party: str = "server",
    clients: tuple[int, ...] | None = (0, 1),
    terms: Terms = TERMS,
) -> Charge:
    return Charge(release, inputs, party, clients, terms)


def charge(ledger: Ledger, release: int, inputs: bytes = b"sum", run: str = "run-a") -> None:
    ledger.charge(run, [of(release, inputs)], 3)


def file_of(home: Path) -> Path:
    return home / "ledger" / f"{NAME}.jsonl"


def filled(home: Path) -> tuple[list[str], str]:
    """Charge three releases; return the lines of the file, and its head."""
    with opened(home) as ledger:
        for release in (1, 2, 3):
            charge(ledger, release)
        return file_of(home).read_text().splitlines(), ledger.head


def code_of(caught: pytest.ExceptionInfo[PrivacyError]) -> tuple[str, int]:
    return caught.value.code, caught.value.exit_code


def broken_at_open(home: Path, head: str | None = None, **options: Any) -> bool:
    with pytest.raises(PrivacyError) as caught:
        opened(home, head, **options)
    return code_of(caught) == ("E402", 4)
