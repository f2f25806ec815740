"""The opcodes of pickle, protocols 0 to 5, that data need; one table line each.

Source: the format as the standard library's ``pickletools`` documents it. What is missing from
``KNOWN`` is refused: extensions, persistent ids, out-of-band buffers, and making objects.
"""

from __future__ import annotations

from typing import Final

# Opcode byte -> (name, how its argument is written). Arguments: "" none; a struct format of a
# fixed size; "line" one line of text; "names" two lines (module, name); "<count format>:<coding>"
# a counted string; "line:<coding>" a string up to the newline. A string is text unless "=bytes" or
# "=bytearray" follows its coding; Python 2's strings, which may be either, are text.
KNOWN: Final[dict[int, tuple[str, str]]] = {
    0x80: ("PROTO", "<B"),
    0x95: ("FRAME", "<Q"),
    ord("."): ("STOP", ""),
    # Stack and memo.
    ord("("): ("MARK", ""),
    ord("0"): ("POP", ""),
    ord("1"): ("POP_MARK", ""),
    ord("2"): ("DUP", ""),
    ord("p"): ("PUT", "line"),
    ord("q"): ("BINPUT", "<B"),
    ord("r"): ("LONG_BINPUT", "<I"),
    0x94: ("MEMOIZE", ""),
    ord("g"): ("GET", "line"),
    ord("h"): ("BINGET", "<B"),
    ord("j"): ("LONG_BINGET", "<I"),
    # Numbers and constants.
    ord("N"): ("NONE", ""),
    0x88: ("NEWTRUE", ""),
    0x89: ("NEWFALSE", ""),
    ord("I"): ("INT", "line"),
    ord("J"): ("BININT", "<i"),
    ord("K"): ("BININT1", "<B"),
    ord("M"): ("BININT2", "<H"),
    ord("L"): ("LONG", "line"),
    0x8A: ("LONG1", "<B:integer"),
    ord("F"): ("FLOAT", "line"),
    ord("G"): ("BINFLOAT", ">d"),
    # Strings.
    ord("S"): ("STRING", "line:escape"),
    ord("T"): ("BINSTRING", "<i:raw"),
    ord("U"): ("SHORT_BINSTRING", "<B:raw"),
    ord("B"): ("BINBYTES", "<I:raw=bytes"),
    ord("C"): ("SHORT_BINBYTES", "<B:raw=bytes"),
    0x8E: ("BINBYTES8", "<Q:raw=bytes"),
    0x96: ("BYTEARRAY8", "<Q:raw=bytearray"),
    ord("V"): ("UNICODE", "line:raw_unicode"),
    0x8C: ("SHORT_BINUNICODE", "<B:utf8"),
    ord("X"): ("BINUNICODE", "<I:utf8"),
    0x8D: ("BINUNICODE8", "<Q:utf8"),
    # Containers.
    ord(")"): ("EMPTY_TUPLE", ""),
    ord("t"): ("TUPLE", ""),
    0x85: ("TUPLE1", ""),
    0x86: ("TUPLE2", ""),
    0x87: ("TUPLE3", ""),
    ord("]"): ("EMPTY_LIST", ""),
    ord("l"): ("LIST", ""),
    ord("a"): ("APPEND", ""),
    ord("e"): ("APPENDS", ""),
    ord("}"): ("EMPTY_DICT", ""),
    ord("d"): ("DICT", ""),
    ord("s"): ("SETITEM", ""),
    ord("u"): ("SETITEMS", ""),
    0x8F: ("EMPTY_SET", ""),
    0x90: ("ADDITEMS", ""),
    0x91: ("FROZENSET", ""),
    # Arrays, and what has no opcode, are announced by a global, called (inertly) and filled.
    ord("c"): ("GLOBAL", "names"),
    ord("i"): ("INST", "names"),
    0x93: ("STACK_GLOBAL", ""),
    ord("R"): ("REDUCE", ""),
    ord("b"): ("BUILD", ""),
}

REFUSED: Final[dict[int, str]] = {
    ord("P"): "PERSID",
    ord("Q"): "BINPERSID",
    ord("o"): "OBJ",
    0x81: "NEWOBJ",
    0x92: "NEWOBJ_EX",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x8B: "LONG4",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
}

# (module, name) -> what it means here. Nothing is imported and nothing is called.
GLOBALS: Final[dict[tuple[str, str], str]] = {
    ("numpy.core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy.core.numeric", "_frombuffer"): "frombuffer",
    ("numpy._core.numeric", "_frombuffer"): "frombuffer",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    **{
        (module, name): name
        for module in ("__builtin__", "builtins")
        for name in ("bytes", "bytearray", "complex", "frozenset", "set")
    },
}
