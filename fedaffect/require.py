"""One strict reader for numbers that people type: plain ASCII digits, finite, in range."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real

from fedaffect.errors import UsageError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LONGEST = 400  # characters of a number
_WORDS = {"nan", "inf", "infinity"}


def number(
    option: str,
    text: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    zero_hint: str = "",
) -> float:
    """Return ``text`` as a finite float inside the bounds.

    Args:
        option: How the user spells it, such as ``--eps``.
        text: What the user gave: a string or a number.
        above: Exclusive lower bound.
        at_least: Inclusive lower bound.
        below: Exclusive upper bound.
        at_most: Inclusive upper bound.
        zero_hint: What to do instead, when the value is below its lower bound.

    Raises:
        UsageError: E201 not a plain number; E202 not finite; E203 out of range.
    """
    value = _parse(option, text)
    bounds = _bounds(above, at_least, below, at_most)
    too_low = (above is not None and value <= above) or (at_least is not None and value < at_least)
    too_high = (below is not None and value >= below) or (at_most is not None and value > at_most)
    if too_low or too_high:
        raise _out_of_range(option, text, bounds, zero_hint if too_low else "")
    return value


def integer(
    option: str, text: object, *, at_least: int | None = None, at_most: int | None = None
) -> int:
    """Return ``text`` as an integer inside the bounds.

    Raises:
        UsageError: E201 not a plain integer; E202 not finite; E203 out of range.
    """
    value = _parse(option, text)
    if value != int(value) or (isinstance(text, str) and not re.fullmatch(r"[+-]?\d+", text)):
        raise UsageError("E201", f"{option} {text} is not a whole number", do="give digits only")
    whole = int(text) if isinstance(text, (str, Integral)) else int(value)
    if (at_least is not None and whole < at_least) or (at_most is not None and whole > at_most):
        raise _out_of_range(option, text, _bounds(None, at_least, None, at_most))
    return whole


def _parse(option: str, text: object) -> float:
    if isinstance(text, bool) or not isinstance(text, (str, Real)):
        raise UsageError("E201", f"{option} {text!r} is not a plain number", do="give digits only")
    if isinstance(text, str):
        if text.strip().lower().lstrip("+-") in _WORDS:
            raise _not_finite(option, text)
        if len(text) > LONGEST or not _NUMBER.fullmatch(text):
            raise UsageError(
                "E201",
                f"{option} {text[:LONGEST]!r} is not a plain number",
                do="give digits only, as 5 or 0.5",
            )
    try:
        value = float(text)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _not_finite(option, text)
    return value


def _out_of_range(option: str, text: object, bounds: str, hint: str = "") -> UsageError:
    return UsageError(
        "E203",
        f"{option} {text} is out of range: must be {bounds}",
        do=hint or f"give a value {bounds}",
    )


def _not_finite(option: str, text: object) -> UsageError:
    return UsageError(
        "E202", f"{option} must be a finite number, got {text}", do="give digits only, as 5 or 0.5"
    )


def _bounds(
    above: float | None, at_least: float | None, below: float | None, at_most: float | None
) -> str:
    words = [
        f"{sign} {bound}"
        for sign, bound in ((">", above), (">=", at_least), ("<", below), ("<=", at_most))
        if bound is not None
    ]
    return " and ".join(words)
