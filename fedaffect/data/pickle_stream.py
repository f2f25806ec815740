"""Reads the instructions of a pickle one by one, with their arguments, and knows where it is."""

from __future__ import annotations

import re
import struct

from fedaffect.data.pickle_opcodes import KNOWN, REFUSED
from fedaffect.data.pickle_values import LocatedText, MappedFile
from fedaffect.errors import DataError

EAGER_TEXT_BYTES = 1024
LONGEST_LINE_BYTES = 256
_HOLDS: dict[str, type[str] | type[bytes] | type[bytearray]] = {
    "": str,
    "bytes": bytes,
    "bytearray": bytearray,
}
_INTEGER = re.compile(rb"[+-]?[0-9]{1,20}L?")
_FLOAT = re.compile(rb"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|[+-]?(inf|nan)")


def shown(text: str) -> str:
    """Return ``text`` for a message: short and printable."""
    clean = ascii(text[:80])[1:-1]
    return clean if len(clean) <= 80 else clean[:80] + "..."


def kind_of(value: object) -> str:
    """Return what kind of thing ``value`` is, never walking into it."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


class OpcodeStream:
    """A cursor over the instructions in ``file``."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.at = 0
        self.opcode_at = 0

    def error(self, code: str, what: str) -> DataError:
        """Return an error that names the file and the byte of the current instruction."""
        return self.file.error(code, f"{what} (byte {self.opcode_at})")

    def next(self) -> tuple[str, object]:
        """Return the next instruction's name and argument (``None`` without one).

        Raises:
            DataError: E313 truncated; E315 an opcode that data do not need; E316 malformed.
        """
        self.opcode_at = self.at
        code = self.file.data[self._take(1)]
        if code not in KNOWN:
            name = REFUSED.get(code, f"0x{code:02x}")
            raise self.error("E315", f"opcode {name} is not for data; refused")
        name, kind = KNOWN[code]
        return name, self._argument(name, kind)

    def _argument(self, name: str, kind: str) -> object:
        layout, _, coding = kind.partition(":")
        if layout == "names":
            return self._short_line().decode("latin-1"), self._short_line().decode("latin-1")
        if layout == "line":
            return self._quoted(coding) if coding else self._parsed(name, self._short_line())
        if not layout:
            return None
        value = self._number(layout)
        if not coding:
            return value
        if not isinstance(value, int) or value < 0:
            raise self.error("E316", f"{name} of negative length")
        start = self._take(value)
        if coding == "integer":
            if value > 9:
                raise self.error("E318", f"an integer of {value} bytes")
            return int.from_bytes(self.file.data[start : self.at], "little", signed=True)
        return self._text(start, self.at, coding)

    def _take(self, count: int) -> int:
        """Step over ``count`` bytes and return where they start."""
        start = self.at
        if start + count > len(self.file.data):
            raise self.file.truncated(start + count)
        self.at = start + count
        return start

    def _number(self, layout: str) -> int | float:
        start = self._take(struct.calcsize(layout))
        value: int | float = struct.unpack_from(layout, self.file.data, start)[0]
        return value

    def _line(self) -> tuple[int, int]:
        start = self.at
        stop = self.file.find_newline(start)
        if stop < 0:
            raise self.file.truncated(len(self.file.data) + 1)
        self.at = stop + 1
        return start, stop

    def _short_line(self) -> bytes:
        start, stop = self._line()
        if stop - start > LONGEST_LINE_BYTES:
            raise self.error("E316", f"a line of {stop - start} bytes where a name belongs")
        return self.file.data[start:stop]

    def _parsed(self, name: str, line: bytes) -> int | float | bool:
        if name == "FLOAT" and _FLOAT.fullmatch(line):
            return float(line)
        if name != "FLOAT" and _INTEGER.fullmatch(line):
            if name == "INT" and line in (b"00", b"01"):
                return line == b"01"
            return int(line.rstrip(b"L"))
        raise self.error("E316", f"{name} {shown(line.decode('latin-1'))} is not a number")

    def _quoted(self, coding: str) -> object:
        start, stop = self._line()
        if coding == "escape":
            ends = self.file.data[start : start + 1], self.file.data[stop - 1 : stop]
            if stop - start < 2 or ends not in ((b"'", b"'"), (b'"', b'"')):
                raise self.error("E316", "a string without its quotes")
            start, stop = start + 1, stop - 1
        return self._text(start, stop, coding)

    def _text(self, start: int, stop: int, kind: str) -> str | bytes | bytearray | LocatedText:
        coding, _, holds = kind.partition("=")
        text = LocatedText(self.file, start, stop, coding, _HOLDS[holds])
        return text.value() if len(text) <= EAGER_TEXT_BYTES else text
