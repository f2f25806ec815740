from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import fedaffect
from fedaffect import errors
from fedaffect.error_codes import CODES
from fedaffect.errors import EXIT_CODES, FedaffectError

PACKAGE = Path(fedaffect.__file__).parent
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in PACKAGE.rglob("*.py")
    if path.name != "error_codes.py"
}
CLASSES = [c for c in vars(errors).values() if isinstance(c, type)]


def used_codes() -> set[str]:
    """Codes at the start of a string of the package; docstrings and comments do not count."""
    return {
        code for text in SOURCES.values() for code in re.findall(r'"(?:! )?([EW]\d{3})\b', text)
    }


def test_every_code_that_is_raised_is_explained() -> None:
    assert used_codes() - set(CODES) == set()


def test_every_code_that_is_explained_is_raised() -> None:
    assert set(CODES) - used_codes() == set()


def test_codes_are_sorted_unique_sentences_with_a_known_exit() -> None:
    assert list(CODES) == sorted(CODES)
    assert len(set(CODES.values())) == len(CODES)
    for code, meaning in CODES.items():
        assert re.fullmatch(r"E[1-8]\d\d|W1\d\d", code)
        assert int(code[1]) in EXIT_CODES
        assert meaning
        assert not meaning.endswith(".")


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_cross_process_borders_whole(cls: type[FedaffectError]) -> None:
    error = cls("E221", "20 is\n more  than 15", do="--clients\t15")
    back = pickle.loads(pickle.dumps(error))  # as an engine's worker sends it
    assert type(back) is cls
    assert (back.code, back.message, back.do) == ("E221", "20 is more than 15", "--clients 15")
    assert str(back) == "20 is more than 15 (--clients 15)"
    assert back.exit_code == 2


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("E2", "UsageError"),
        ("E3", "DataError"),
        ("E4", "PrivacyError"),
        ("E6", "GateError"),
        ("E8", "StorageError"),
    ],
)
def test_a_class_raises_codes_of_its_own_hundred(code: str, name: str) -> None:
    raised = [
        found
        for text in SOURCES.values()
        for found in re.findall(rf"\b{name}\(\s*[\"'](E\d\d\d)", text)
    ]
    assert raised
    assert {found[:2] for found in raised} == {code}
