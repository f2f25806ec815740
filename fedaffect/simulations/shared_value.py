"""A value in memory that several processes read: written once, mapped by each, freed with the last.

Arrays are not copied on reading. The memory has no name: nothing is left behind, however the
processes end. Only values of this program are read, from the process that started the reader.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

PAGE = 64  # bytes that every part begins at a multiple of


@dataclass(frozen=True)
class Place:
    """Where the parts of a value lie: first what rebuilds it, then its arrays."""

    begins: tuple[int, ...]
    lengths: tuple[int, ...]


class SharedValue:
    """A value written to shared memory.

    Args:
        value: Anything that can be pickled; classes of a script or a test travel with it.
    """

    def __init__(self, value: object) -> None:
        buffers: list[pickle.PickleBuffer] = []
        head = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
        self.place = _place([part.nbytes for part in parts])
        self.fd = _nameless_memory()
        for begin, part in zip(self.place.begins, parts, strict=True):
            _write(self.fd, part, begin)

    def close(self) -> None:
        """Let go of the memory; processes that have read the value keep it."""
        os.close(self.fd)


def read(fd: int, place: Place) -> Any:
    """Return the value that another process wrote; what is changed in it stays in this process.

    Args:
        fd: File descriptor of the memory; it is closed.
        place: Where the parts lie.
    """
    memory = memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_COPY))
    os.close(fd)
    head, *arrays = (
        memory[begin : begin + length]
        for begin, length in zip(place.begins, place.lengths, strict=True)
    )
    return pickle.loads(head, buffers=arrays)  # noqa: S301 - written by this program


def _nameless_memory() -> int:
    """Return the descriptor of memory that only those who are handed it can find."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fedaffect")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _place(lengths: Sequence[int]) -> Place:
    begins, end = [], 0
    for length in lengths:
        begins.append(end)
        end += -(-length // PAGE) * PAGE
    return Place(tuple(begins), tuple(lengths))


def _write(fd: int, part: memoryview, at: int) -> None:
    done = 0
    while done < part.nbytes:
        done += os.pwrite(fd, part[done:], at + done)
