"""How NumPy describes numbers in a pickle, acted out without NumPy: names, calls and states.

A number is a call of ``scalar``; an array is a call of ``_reconstruct`` filled by BUILD, or in
protocol 5 a call of ``_frombuffer``; a dtype is a call of ``dtype`` filled by BUILD. Each is
followed on inert stand-ins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from fedaffect.data.pickle_builtins import SetMembers, call_builtin
from fedaffect.data.pickle_opcodes import GLOBALS
from fedaffect.data.pickle_stream import OpcodeStream, kind_of, shown
from fedaffect.data.pickle_values import LazyArray, LocatedText

_NUMERIC = re.compile(r"b1|[iu][1248]|f[248]")
_MAX_DIMENSIONS = 32
_MAX_ELEMENTS = 1 << 40


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names; only its meaning is kept."""

    meaning: str


@dataclass(eq=False)
class DtypeShell:
    """A dtype: its code, such as ``f8``, and its byte order."""

    code: str
    order: str = "="


@dataclass(eq=False)
class ArrayShell:
    """An array that was announced and waits for its contents."""

    array: LazyArray | None = None


def find_global(names: object, stream: OpcodeStream) -> Global:
    """Return the stand-in for ``names``, a pair (module, name).

    Raises:
        DataError: E314 it is not one of the names that data need.
    """
    match names:
        case (str(module), str(name)):
            if (module, name) in GLOBALS:
                return Global(GLOBALS[module, name])
            raise stream.error("E314", f"asks for {shown(module)}.{shown(name)}; refused")
    raise stream.error("E316", "a global without a name")


def call(function: object, arguments: object, members: SetMembers) -> object:
    """Return what calling ``function`` would describe; nothing is called.

    Raises:
        DataError: E316 not such a call; E317 an array that cannot be read; E318 a set too large.
    """
    stream = members.stream
    if isinstance(function, Global) and isinstance(arguments, tuple):
        match function.meaning, arguments:
            case "reconstruct", (Global("ndarray"), (0,), "b" | b"b"):
                return ArrayShell()
            case "dtype", (str(code), *_):
                return DtypeShell(code)
            case "scalar", (dtype, data):
                return _array(data, dtype, (), False, stream).read()[()]
            case "frombuffer", (data, dtype, shape, "C" | "F" as order):
                return _array(data, dtype, shape, order == "F", stream)
        return call_builtin(function.meaning, arguments, members)
    raise stream.error("E316", f"{kind_of(function)} is called")


def build(target: object, state: object, stream: OpcodeStream) -> None:
    """Fill the stand-in ``target`` with ``state``.

    Raises:
        DataError: E316 not such a state; E317 an array that cannot be read.
    """
    match target, state:
        case ArrayShell(), (int(), shape, dtype, bool(fortran), data):
            target.array = _array(data, dtype, shape, fortran, stream)
        case DtypeShell(), (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
            target.order = order
        case DtypeShell(), _:
            raise stream.error("E317", "an array of records or with a named dtype; refused")
        case _:
            raise stream.error("E316", f"{kind_of(target)} is given a state")


def _array(
    data: object, dtype: object, shape: object, fortran: bool, stream: OpcodeStream
) -> LazyArray:
    if not isinstance(data, (str, bytes, bytearray, LocatedText)):
        raise stream.error("E317", f"an array whose contents are {kind_of(data)}")
    if not isinstance(dtype, DtypeShell):
        raise stream.error("E316", f"an array whose dtype is {kind_of(dtype)}")
    if not _NUMERIC.fullmatch(dtype.code):
        raise stream.error("E317", f"an array of dtype {shown(dtype.code)}; only numbers are read")
    array = LazyArray(
        shape=_shape(shape, stream),
        dtype=np.dtype(dtype.order + dtype.code),
        fortran=fortran,
        data=data,
        file=stream.file,
    )
    # A stored byte takes at most 2 bytes as UTF-8 text, 4 as \xHH and 6 as \uHHHH.
    held, longest = len(data), {"raw": 1, "utf8": 2, "escape": 4, "raw_unicode": 6}
    widest = longest[data.coding] if isinstance(data, LocatedText) else 1
    if not array.nbytes <= held <= array.nbytes * widest:
        raise stream.error("E317", f"an array of {array.nbytes} bytes has {held} bytes stored")
    return array


def _shape(shape: object, stream: OpcodeStream) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise stream.error("E317", "an array whose shape is not a tuple of sizes")
    counts = tuple(n for n in shape if isinstance(n, int) and not isinstance(n, bool) and n >= 0)
    if len(counts) != len(shape):
        raise stream.error("E317", "an array whose shape is not a tuple of sizes")
    elements = 1
    for n in counts:
        elements *= max(n, 1)
    if elements > _MAX_ELEMENTS:
        raise stream.error("E317", "an array of more elements than any file holds")
    return counts
