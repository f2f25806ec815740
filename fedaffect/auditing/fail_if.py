"""The language of ``--fail-if``, such as ``identity.ci_low>0.3 or mechanism.eps_low>8``.

    either     := both ("or" both)*
    both       := one ("and" one)*
    one        := "(" either ")" | value ("<" | "<=" | ">" | ">=" | "==" | "!=") value
    value      := number | attack "." field

A figure that is not there decides nothing: the whole is then true, false or unknown as for any
number that it might be (Kleene 1952), and an unknown condition fails the audit.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedaffect.audit_record import AttackResult
from fedaffect.errors import UsageError
from fedaffect.registry import did_you_mean

LONGEST = 300  # characters
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
FIELDS: dict[str, Callable[[AttackResult], float | None]] = {
    "value": lambda r: r.figure.value,
    "ci_low": lambda r: r.figure.low,
    "ci_high": lambda r: r.figure.high,
    "chance": lambda r: r.figure.chance,
    "reference": lambda r: r.reference.value if r.reference else None,
    "smallest_effect": lambda r: r.smallest_effect,
    "eps_low": lambda r: r.bound.lower if r.bound else None,
    "eps_gate": lambda r: r.bound.lower_gate if r.bound else None,
    "eps_hat": lambda r: r.bound.estimate if r.bound else None,
    "eps_claimed": lambda r: r.bound.claimed if r.bound else None,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(?![\w.])"
    r"|(?P<name>[a-z][\w-]*\.\w+)|(?P<sign><=|>=|==|!=|<|>|\(|\)|(?:and|or)\b))",
    re.ASCII,
)
Results = Mapping[str, AttackResult]


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float

    def of(self, results: Results) -> float:
        """Return it."""
        return self.value


@dataclass(frozen=True)
class Figure:
    """A figure of an attack."""

    attack: str
    field: str

    def of(self, results: Results) -> float | None:
        """Return its value; ``None`` where the attack has no such figure."""
        return FIELDS[self.field](results[self.attack])

    def __str__(self) -> str:
        return f"{self.attack}.{self.field}"


@dataclass(frozen=True)
class Comparison:
    """``left sign right``."""

    left: Number | Figure
    sign: str
    right: Number | Figure

    def holds(self, results: Results) -> bool | None:
        """Return whether it is true; ``None`` where a figure is not there."""
        left, right = self.left.of(results), self.right.of(results)
        return None if left is None or right is None else COMPARE[self.sign](left, right)

    def figures(self) -> list[Figure]:
        """Return the figures that are compared."""
        return [side for side in (self.left, self.right) if isinstance(side, Figure)]


@dataclass(frozen=True)
class Joined:
    """Conditions joined by ``and`` or ``or``."""

    word: str
    parts: tuple[Condition, ...]

    def holds(self, results: Results) -> bool | None:
        """Return whether it is true; ``None`` where that depends on a figure that is not there."""
        found = [part.holds(results) for part in self.parts]
        decisive = self.word == "or"
        if decisive in found:
            return decisive
        return None if None in found else not decisive

    def figures(self) -> list[Figure]:
        """Return the figures that are compared in it."""
        return [figure for part in self.parts for figure in part.figures()]


Condition = Comparison | Joined


def parse(text: str, attacks: Sequence[str]) -> Condition:
    """Read a condition on the results of ``attacks``.

    Raises:
        UsageError: E260 it is none, or names an attack or a field that there is not.
    """
    if len(text) > LONGEST:
        raise UsageError(
            "E260", f"--fail-if has {len(text)} characters", do=f"at most {LONGEST} are read"
        )
    return _Reader(text, attacks).whole()


class _Reader:
    """Reads a condition from left to right."""

    def __init__(self, text: str, attacks: Sequence[str]) -> None:
        self.text, self.attacks = text, list(attacks)
        self.tokens: list[tuple[str, str]] = []  # kind, text
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._wrong(f"{text[at:].strip()[:20]!r} cannot be read")
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()

    def whole(self) -> Condition:
        condition = self._joined("or")
        if self.tokens:
            raise self._wrong(f"{self.tokens[0][1]!r} follows what is complete")
        return condition

    def _joined(self, word: str) -> Condition:
        one = self._one if word == "and" else lambda: self._joined("and")
        parts = [one()]
        while self._next() == word:
            self.tokens.pop(0)
            parts.append(one())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _one(self) -> Condition:
        if self._next() == "(":
            self.tokens.pop(0)
            inner = self._joined("or")
            if self._next() != ")":
                raise self._wrong("a parenthesis is not closed")
            self.tokens.pop(0)
            return inner
        left = self._value()
        sign = self._next()
        if sign not in COMPARE:
            raise self._wrong("a figure or number stands without a comparison")
        self.tokens.pop(0)
        return Comparison(left, sign, self._value())

    def _value(self) -> Number | Figure:
        kind, text = self.tokens[0] if self.tokens else ("", "the end")
        if kind not in ("number", "name"):
            raise self._wrong(f"a figure or a number belongs where {text!r} stands")
        self.tokens.pop(0)
        if kind == "number":
            return Number(float(text))
        attack, _, field = text.partition(".")
        if attack not in self.attacks:
            raise self._wrong(
                f"{attack!r} is none of the attacks that run", did_you_mean(attack, self.attacks)
            )
        if field not in FIELDS:
            raise self._wrong(f"{field!r} is no figure", did_you_mean(field, list(FIELDS)))
        return Figure(attack, field)

    def _next(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def _wrong(self, why: str, do: str = "write it like identity.ci_low>0.3") -> UsageError:
        return UsageError("E260", f"--fail-if {self.text!r}: {why}", do=do)
