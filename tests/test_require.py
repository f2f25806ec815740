from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.errors import UsageError
from fedaffect.require import LONGEST, integer, number


def code_of(read: Any, text: object, **bounds: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read("--x", text, **bounds)
    assert caught.value.message.startswith("--x ")
    assert caught.value.do
    return caught.value.code


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_bit_for_bit(value: float) -> None:
    assert number("--x", value) == value
    assert number("--x", repr(value)) == value


@given(st.integers(-(10**300), 10**300))
def test_integers_come_back_exactly_however_large(value: int) -> None:
    assert integer("--x", value) == value
    assert integer("--x", str(value)) == value


@pytest.mark.parametrize(
    "text", ["nan", "NaN", "-nan", "inf", "-inf", "+Infinity", "1e400", "-1e400", "9" * 400]
)
def test_what_is_not_finite(text: str) -> None:
    assert code_of(number, text) == "E202"
    assert code_of(integer, text) == "E202"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_numbers_that_are_not_finite(value: float) -> None:
    assert code_of(number, value) == "E202"


NOT_PLAIN = [
    *("", " ", "abc", "1_0", " 1 ", "1 ", "1\n", "٣", "१२", "１", "²", "0x10", "5,0", "1e", "e5"),
    *("--1", "+-1", "1.2.3", ".", "1e1.5", "1/2", "5%", "٣.٥", "1\x00", "1f", "true"),
]


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_is_not_a_plain_number(text: str) -> None:
    assert code_of(number, text) == "E201"
    assert code_of(integer, text) == "E201"


@pytest.mark.parametrize("value", [True, False, None, [1], {"x": 1}, b"1", 1j, object()])
def test_other_things_than_numbers(value: object) -> None:
    assert code_of(number, value) == "E201"
    assert code_of(integer, value) == "E201"


@pytest.mark.parametrize("text", ["2.5", "2.0", "1e1", "1.", 2.5])
def test_what_is_not_whole(text: object) -> None:
    assert code_of(integer, text) == "E201"


@pytest.mark.parametrize(("text", "value"), [("+5", 5), ("-0", 0), ("007", 7), (3.0, 3)])
def test_what_is_whole(text: object, value: int) -> None:
    got = integer("--x", text)
    assert got == value
    assert type(got) is int


def test_numbers_of_numpy_are_numbers() -> None:
    assert type(integer("--x", np.int32(7))) is int
    assert number("--x", np.float32(0.5)) == 0.5
    assert code_of(number, np.float64("nan")) == "E202"


@pytest.mark.parametrize(
    ("bounds", "good", "bad"),
    [
        ({"above": 0}, ["1e-300", "1"], ["0", "-0.0", "-1", "1e-400"]),
        ({"at_least": 0}, ["0", "-0.0", "1"], ["-1e-9"]),
        ({"above": 0, "below": 1}, ["0.5", "1e-9"], ["0", "1", "1.5"]),
        ({"above": 0, "at_most": 1}, ["1", "0.01"], ["0", "1.0000001"]),
    ],
)
def test_bounds(bounds: dict[str, Any], good: list[str], bad: list[str]) -> None:
    for text in good:
        assert number("--x", text, **bounds) == float(text)
    for text in bad:
        assert code_of(number, text, **bounds) == "E203"


def test_bounds_of_integers_are_exact_beyond_floats() -> None:
    most = 2**63 - 1  # the same float as 2**63
    assert integer("--x", str(most), at_most=most) == most
    assert code_of(integer, str(most + 1), at_most=most) == "E203"
    with pytest.raises(UsageError, match=f"must be >= 0 and <= {most}"):
        integer("--x", -1, at_least=0, at_most=most)


def test_a_hint_is_for_what_is_too_small_only() -> None:
    with pytest.raises(UsageError) as caught:
        number("--x", "0", above=0, below=1, zero_hint="leave it out")
    assert caught.value.do == "leave it out"
    with pytest.raises(UsageError) as caught:
        number("--x", "1", above=0, below=1, zero_hint="leave it out")
    assert caught.value.do == "give a value > 0 and < 1"


def test_more_digits_than_a_number_can_have() -> None:
    assert integer("--x", "0" * (LONGEST - 1) + "7") == 7
    for digit in "09":
        with pytest.raises(UsageError) as caught:
            integer("--x", digit * 5000)  # Python itself refuses to read these
        assert caught.value.code == "E201"
        assert len(caught.value.message) < 500
