"""Bytes of a pickle that are located but not decoded: long strings and the arrays made of them.

A located string knows how it is written: ``raw`` bytes, ``escape`` (the body of a quoted Python 2
string, protocol 0), ``utf8`` or ``raw_unicode`` (Python 3 writing bytes in protocols 0 to 2).
Pages of the file are let go once they have been decoded, so that reading a file of 1 GB does not
hold 1 GB.
"""

from __future__ import annotations

import codecs
import mmap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedaffect.errors import DataError

CHUNK_BYTES = 4 << 20
SHORT_LINE_BYTES = 1024
LONGEST_TEXT_BYTES = 1 << 20
RESAVE = "get the file again; it was probably damaged or cut short"
_INCREMENTAL = {"utf8": "utf-8", "raw_unicode": "raw_unicode_escape"}


@dataclass(frozen=True, eq=False)
class MappedFile:
    """A read-only memory map of a file, and what to call the file in messages."""

    name: str
    data: mmap.mmap

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``[start, stop)`` in pieces and let go of the pages behind them."""
        for at in range(start, stop, CHUNK_BYTES):
            end = min(at + CHUNK_BYTES, stop)
            yield self.data[at:end]
            if stop - start > CHUNK_BYTES and hasattr(mmap, "MADV_DONTNEED"):
                first = at - at % mmap.PAGESIZE
                self.data.madvise(mmap.MADV_DONTNEED, first, end - first)

    def find_newline(self, start: int) -> int:
        """Return where the next newline is, or -1."""
        near = self.data.find(b"\n", start, start + SHORT_LINE_BYTES)
        if near >= 0:
            return near
        at = start
        for chunk in self.chunks(start, len(self.data)):
            found = chunk.find(b"\n")
            if found >= 0:
                return at + found
            at += len(chunk)
        return -1

    def error(self, code: str, what: str, do: str = RESAVE) -> DataError:
        """Return a one-line error about this file."""
        return DataError(code, f"{self.name}: {what}", do=do)

    def truncated(self, needed: int) -> DataError:
        """Return E313: something inside the file reaches to byte ``needed``."""
        return DataError(
            "E313",
            f"{self.name} ends at byte {len(self.data)} of at least {needed}: it is truncated",
            do=RESAVE,
        )


@dataclass(frozen=True)
class LocatedText:
    """A string at bytes ``[start, stop)`` of a file, still encoded; it holds text or bytes."""

    file: MappedFile
    start: int
    stop: int
    coding: str
    holds: type[str] | type[bytes] | type[bytearray] = str

    def __len__(self) -> int:
        return self.stop - self.start

    def pieces(self) -> Iterator[bytes]:
        """Yield the string's bytes (of text: its Latin-1 bytes) piece by piece.

        Raises:
            DataError: E316 an escape or encoding that no writer produces.
        """
        try:
            if self.coding == "raw":
                yield from self.file.chunks(self.start, self.stop)
            elif self.coding == "escape":
                yield from _unescape(self.file.chunks(self.start, self.stop))
            else:
                decoder = codecs.getincrementaldecoder(_INCREMENTAL[self.coding])()
                for chunk in self.file.chunks(self.start, self.stop):
                    yield decoder.decode(chunk).encode("latin-1")
                yield decoder.decode(b"", final=True).encode("latin-1")
        except (ValueError, Warning):  # UnicodeError is a ValueError
            raise self.file.error(
                "E316", f"the string at byte {self.start} is not valid {self.coding} text"
            ) from None

    def value(self) -> str | bytes | bytearray:
        """Return what the string holds; strings of Python 2 are read as Latin-1 text.

        Raises:
            DataError: E316 not decodable; E318 longer than any text that belongs here.
        """
        if len(self) > LONGEST_TEXT_BYTES:
            raise self.file.error(
                "E318", f"a text of {len(self)} bytes at byte {self.start} is not data"
            )
        if self.holds is not str:
            return self.holds(b"".join(self.pieces()))
        if self.coding in _INCREMENTAL:
            try:
                return self.file.data[self.start : self.stop].decode(_INCREMENTAL[self.coding])
            except UnicodeError:
                raise self.file.error(
                    "E316", f"the string at byte {self.start} is not valid {self.coding} text"
                ) from None
        return b"".join(self.pieces()).decode("latin-1")


@dataclass(frozen=True, eq=False)
class LazyArray:
    """A numeric array whose bytes stay in the file until :meth:`read`.

    Args:
        shape: Shape of the array.
        dtype: Boolean, integer or floating type, in the file's byte order.
        fortran: Whether the first axis varies fastest.
        data: Where the bytes are; short ones are held, those of Python 2 as Latin-1 text.
        file: The file, for messages.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    data: LocatedText | str | bytes | bytearray
    file: MappedFile

    @property
    def nbytes(self) -> int:
        """Size of the decoded array in bytes."""
        size = self.dtype.itemsize
        for n in self.shape:
            size *= n
        return size

    def read(self) -> np.ndarray:
        """Return the array, read-only; a view into the file where its bytes are stored plainly.

        Raises:
            DataError: E316 the bytes do not decode; E317 their number does not fit the shape.
        """
        flat = self._flat()
        flat.flags.writeable = False
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def _flat(self) -> np.ndarray:
        if self.nbytes == 0:
            return np.empty(0, self.dtype)
        if isinstance(self.data, LocatedText) and self.data.coding == "raw":
            count = self.nbytes // self.dtype.itemsize
            flat = np.frombuffer(self.file.data, self.dtype, count, self.data.start)
            return flat if self.dtype.kind != "b" else flat.view(np.uint8) != 0
        out = np.empty(self.nbytes, np.uint8)
        filled = 0
        for piece in self._pieces():
            if filled + len(piece) <= self.nbytes:
                out[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
        if filled != self.nbytes:
            raise self.file.error(
                "E317", f"an array of {self.nbytes} bytes was announced, {filled} bytes came"
            )
        return out.view(self.dtype) if self.dtype.kind != "b" else out != 0

    def _pieces(self) -> Iterator[bytes]:
        if isinstance(self.data, LocatedText):
            return self.data.pieces()
        if not isinstance(self.data, str):
            return iter([bytes(self.data)])
        try:
            return iter([self.data.encode("latin-1")])
        except UnicodeError:
            raise self.file.error("E317", "an array is made of text that is not bytes") from None


def _unescape(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decode Python 2 string escapes chunk by chunk, never cutting through an escape."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = _before_open_escape(text)
        rest = text[cut:]
        yield _decode_escapes(text[:cut])
    yield _decode_escapes(rest)


def _decode_escapes(text: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown escape is only a warning to the codec
        return codecs.escape_decode(text)[0]


def _before_open_escape(text: bytes) -> int:
    r"""Return where ``text`` may be cut: before an escape (at most ``\xHH``) left open at its end.

    A run of backslashes of odd length opens an escape with its last one.
    """
    last = text.rfind(b"\\", max(0, len(text) - 3))
    if last < 0:
        return len(text)
    run = last + 1 - len(text[: last + 1].rstrip(b"\\"))
    return last if run % 2 else len(text)
