"""Sets, complex numbers and bytes as pickles describe them: calls followed by inert builders.

A set is made of plain values only, and all sets of a file share one allowance: values can be
chosen so that they all hash alike, and then the time to make a set grows with its square.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from fedaffect.data.pickle_stream import OpcodeStream, kind_of
from fedaffect.data.pickle_values import LocatedText

MAX_SET_VALUES = 20_000  # in all sets of a file; tuples and what is in them count
MAX_MEMBER_DEPTH = 8


class SetMembers:
    """Lets into the sets of one file what is plain, until the allowance is used up."""

    def __init__(self, stream: OpcodeStream) -> None:
        self.stream = stream
        self.left = MAX_SET_VALUES

    def checked(self, items: list[object]) -> list[Hashable]:
        """Return ``items`` once each is known to be plain and cheap to hash.

        Raises:
            DataError: E316 a value that cannot be in a set; E318 too deep or too many.
        """
        return [self._checked(item, 0) for item in items]

    def _checked(self, value: object, depth: int) -> Hashable:
        self.left -= 1
        if self.left < 0:
            raise self.stream.error("E318", f"more than {MAX_SET_VALUES} values in sets")
        if isinstance(value, tuple):
            if depth >= MAX_MEMBER_DEPTH:
                raise self.stream.error("E318", f"a set of tuples over {MAX_MEMBER_DEPTH} deep")
            for item in value:
                self._checked(item, depth + 1)
            return value
        if value is None or isinstance(value, (str, bytes, int, float, np.generic)):
            return value
        raise self.stream.error("E316", f"{kind_of(value)} in a set")


def call_builtin(meaning: str, arguments: tuple[object, ...], members: SetMembers) -> object:
    """Return what calling the builtin ``meaning`` would make.

    Raises:
        DataError: E316 not as any writer calls it; E318 a set that is too large.
    """
    match meaning, arguments:
        case "set", (list(items),):
            return set(members.checked(items))
        case "frozenset", (list(items),):
            return frozenset(members.checked(items))
        case "complex", (float(real), float(imaginary)):
            return complex(real, imaginary)
        case "bytes" | "bytearray", ():
            return b"" if meaning == "bytes" else bytearray()
        case "encode", (text, "latin1"):
            return _bytes_of(text, str, bytes, members.stream)
        case "bytearray", (text, "latin-1"):
            return _bytes_of(text, str, bytearray, members.stream)
        case "bytearray", (data,):
            return _bytes_of(data, bytes, bytearray, members.stream)
    raise members.stream.error("E316", f"{meaning} is called in an unknown way")


def _bytes_of(
    value: object, wanted: type, holds: type[bytes] | type[bytearray], stream: OpcodeStream
) -> bytes | bytearray | LocatedText:
    """Return ``value``, of type ``wanted``, as ``holds``; a located string stays where it is."""
    if isinstance(value, LocatedText) and value.holds is wanted:
        return replace(value, holds=holds)
    if isinstance(value, wanted) and isinstance(value, (str, bytes)):
        try:
            return holds(value.encode("latin-1") if isinstance(value, str) else value)
        except UnicodeError:
            raise stream.error("E316", "bytes are made of text that is not bytes") from None
    raise stream.error("E316", f"{holds.__name__} are made of {kind_of(value)}")
