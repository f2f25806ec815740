"""A pickle reader that can only make data: no class is imported, nothing is called.

Reads protocols 0 to 5 as Python 2 and Python 3 write them. The result holds dicts, lists, tuples,
sets, strings, bytes, numbers, ``None`` and :class:`~fedaffect.data.pickle_values.LazyArray`;
everything else is an error that names the byte where it was met.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TypeVar

import numpy as np

from fedaffect.data.pickle_arrays import ArrayShell, build, call, find_global
from fedaffect.data.pickle_builtins import SetMembers
from fedaffect.data.pickle_stream import OpcodeStream, kind_of
from fedaffect.data.pickle_values import LazyArray, LocatedText, MappedFile
from fedaffect.errors import DataError

MAX_BYTES = 8 << 30
MAX_OPCODES = 1_000_000
MAX_DEPTH = 64
_NOT_PICKLE = (
    (b"<", "looks like HTML"),
    (b"\x1f\x8b", "is compressed with gzip"),
    (b"PK\x03\x04", "is a zip archive"),
    (b"BZh", "is compressed with bzip2"),
    (b"\xfd7zXZ", "is compressed with xz"),
    (b"\x89HDF", "is an HDF5 file"),
    (b"version https://git-lfs", "is a Git LFS pointer"),
)
_SCALARS = (str, bytes, bytearray, int, float, complex, np.generic)
_KEYS = (str, bytes, int, np.integer, np.bool_)
_FINISHED = (*_SCALARS, set, frozenset, LazyArray)
_T = TypeVar("_T")


def load_pickle(
    path: Path, *, max_bytes: int = MAX_BYTES, max_opcodes: int = MAX_OPCODES
) -> object:
    """Read the data in the pickle ``path``; arrays stay in the file until they are asked for.

    What is read equals what the standard library gives with ``encoding="latin1"``: the strings of
    Python 2 are read as Latin-1 text, bytes of Python 3 as bytes.

    Args:
        path: The file.
        max_bytes: Largest file that is opened.
        max_opcodes: Most instructions that are followed.

    Returns:
        Dicts, lists, tuples, sets, strings, bytes, numbers, ``None`` and ``LazyArray``.

    Raises:
        DataError: E310 unreadable; E311 too large; E312 not a pickle; E313 truncated; E314 asks
            for a class or function; E315 an opcode that data do not need; E316 malformed;
            E317 an array that cannot be read; E318 beyond a limit.
    """
    file = _map(path, max_bytes)
    return _plain(_Machine(OpcodeStream(file), max_opcodes).run(), file)


def _map(path: Path, max_bytes: int) -> MappedFile:
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                raise DataError(
                    "E311",
                    f"{path} has {size} bytes, more than the {max_bytes} that are read",
                    do="is it the right file?",
                )
            head = stream.read(64).lstrip()
            for magic, what in _NOT_PICKLE:
                if head.startswith(magic):
                    raise DataError(
                        "E312",
                        f"{path} {what}, it is no pickle",
                        do="unpack it if it is an archive, else get the original file",
                    )
            if not head:
                raise DataError("E312", f"{path} is empty", do="get the original file")
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(
            "E310", f"cannot read {path}: {error.strerror}", do="check its path and permissions"
        ) from None
    return MappedFile(path.name, data)


class _Machine:
    """The stack machine of pickle; one object reads one file."""

    def __init__(self, stream: OpcodeStream, max_opcodes: int) -> None:
        self.stream = stream
        self.members = SetMembers(stream)
        self.max_opcodes = max_opcodes
        self.stack: list[object] = []
        self.below: list[list[object]] = []  # the stacks under each open mark
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        for _ in range(self.max_opcodes):
            name, argument = self.stream.next()
            if name == "STOP":
                return self._pop()
            self._step(name, argument)
        raise self.stream.error("E318", f"more than {self.max_opcodes} instructions")

    def _step(self, name: str, argument: object) -> None:
        match name:
            case "MARK":
                if len(self.below) >= MAX_DEPTH:
                    raise self.stream.error("E318", f"nested deeper than {MAX_DEPTH} levels")
                self.below.append(self.stack)
                self.stack = []
            case "POP" if self.stack:
                self._pop()
            case "POP" | "POP_MARK":
                self._pop_mark()
            case "DUP":
                self._push(self._top(object))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[self._key(argument)] = self._top(object)
            case "MEMOIZE":
                self.memo[len(self.memo)] = self._top(object)
            case "GET" | "BINGET" | "LONG_BINGET":
                self._push(self.memo[self._key(argument, known=True)])
            case "NEWTRUE" | "NEWFALSE":
                self._push(name == "NEWTRUE")
            case "TUPLE":
                self._push(tuple(self._pop_mark()))
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = 0 if name == "EMPTY_TUPLE" else int(name[-1])
                items = [self._pop() for _ in range(count)]
                self._push(tuple(reversed(items)))
            case "EMPTY_LIST":
                self._push([])
            case "LIST":
                self._push(self._pop_mark())
            case "APPEND" | "APPENDS":
                items = [self._pop()] if name == "APPEND" else self._pop_mark()
                self._top(list).extend(items)
            case "EMPTY_SET":
                self._push(set())
            case "ADDITEMS":
                items = self._pop_mark()
                self._top(set).update(self.members.checked(items))
            case "FROZENSET":
                self._push(frozenset(self.members.checked(self._pop_mark())))
            case "EMPTY_DICT":
                self._push({})
            case "DICT":
                self._push(self._fill({}, self._pop_mark()))
            case "SETITEM":
                items = [self._pop(), self._pop()]
                self._fill(self._top(dict), items[::-1])
            case "SETITEMS":
                items = self._pop_mark()
                self._fill(self._top(dict), items)
            case "GLOBAL":
                self._push(find_global(argument, self.stream))
            case "INST":
                find_global(argument, self.stream)
                raise self.stream.error("E315", "opcode INST is not for data; refused")
            case "STACK_GLOBAL":
                attribute, module = self._pop(), self._pop()
                self._push(find_global((module, attribute), self.stream))
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                self._push(call(function, arguments, self.members))
            case "BUILD":
                state = self._pop()
                build(self._top(object), state, self.stream)
            case "PROTO":
                if isinstance(argument, int) and argument > 5:
                    raise self.stream.error("E315", f"protocol {argument} is not known")
            case "FRAME":
                pass  # a hint for reading ahead
            case _:  # None, numbers and strings: the argument is the value
                self._push(argument)

    def _push(self, value: object) -> None:
        self.stack.append(value)

    def _pop(self) -> object:
        if not self.stack:
            raise self.stream.error("E316", "the stack is empty")
        return self.stack.pop()

    def _pop_mark(self) -> list[object]:
        if not self.below:
            raise self.stream.error("E316", "no mark was set")
        items = self.stack
        self.stack = self.below.pop()
        return items

    def _top(self, kind: type[_T]) -> _T:
        top = self.stack[-1] if self.stack else None
        if not self.stack or not isinstance(top, kind):
            found = kind_of(top) if self.stack else "nothing"
            raise self.stream.error("E316", f"{found} where a {kind.__name__} belongs")
        return top

    def _key(self, argument: object, *, known: bool = False) -> int:
        if isinstance(argument, bool) or not isinstance(argument, int) or argument < 0:
            raise self.stream.error("E316", "a memo entry without a number")
        if known and argument not in self.memo:
            raise self.stream.error("E316", f"memo entry {argument} does not exist")
        return argument

    def _fill(self, target: dict[object, object], items: list[object]) -> dict[object, object]:
        if len(items) % 2:
            raise self.stream.error("E316", "a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise self.stream.error("E316", f"{kind_of(key)} as a key of a dict")
            target[key] = value
        return target


def _plain(value: object, file: MappedFile) -> object:
    """Return ``value`` with stand-ins replaced by what they hold; what holds no data is refused."""
    done: dict[int | LocatedText, object] = {}

    def walk(value: object, depth: int) -> object:
        if value is None or isinstance(value, _FINISHED):
            return value
        if isinstance(value, ArrayShell) and value.array is not None:
            return value.array
        if not isinstance(value, (dict, list, tuple, LocatedText)):
            raise file.error("E316", f"{kind_of(value)} is left over; it is no data")
        if depth >= MAX_DEPTH:
            raise file.error("E318", f"nested deeper than {MAX_DEPTH} levels, or in itself")
        # The same place read as the same kind is decoded once, however often it is asked for.
        key = value if isinstance(value, LocatedText) else id(value)
        if key not in done:
            below = depth + 1
            if isinstance(value, dict):
                done[key] = {name: walk(item, below) for name, item in value.items()}
            elif isinstance(value, list):
                done[key] = [walk(item, below) for item in value]
            elif isinstance(value, tuple):
                done[key] = tuple(walk(item, below) for item in value)
            else:
                done[key] = value.value()
        return done[key]

    return walk(value, 0)
