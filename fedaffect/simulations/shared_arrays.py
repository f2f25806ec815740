"""Arrays in memory that several processes read: written once, mapped by each, freed with the last.

The memory holds numbers and nothing else. It has no name: nothing is left behind, however the
processes end.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

LINE = 64  # bytes that every array begins at a multiple of


@dataclass(frozen=True)
class Place:
    """Where an array lies, and how its bytes are to be read."""

    begin: int
    shape: tuple[int, ...]
    dtype: str


class SharedArrays:
    """Arrays of numbers, written to shared memory.

    Args:
        arrays: The arrays.
    """

    def __init__(self, arrays: Iterable[np.ndarray]) -> None:
        self.fd = _nameless_memory()
        self.places: list[Place] = []
        end = 0
        for array in arrays:
            self.places.append(Place(end, array.shape, array.dtype.str))
            _write(self.fd, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, end)
            end += -(-array.nbytes // LINE) * LINE
        os.ftruncate(self.fd, max(end, LINE))  # nothing cannot be mapped

    def close(self) -> None:
        """Let go of the memory; processes that have mapped it keep it."""
        os.close(self.fd)


def mapped(fd: int, places: Sequence[Place]) -> list[np.ndarray]:
    """Return the arrays that another process wrote; what is changed in them stays here.

    Args:
        fd: File descriptor of the memory; it is closed.
        places: Where the arrays lie.
    """
    memory = mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)
    os.close(fd)
    return [np.ndarray(p.shape, np.dtype(p.dtype), memory, p.begin) for p in places]


def _nameless_memory() -> int:
    """Return the descriptor of memory that only those who are handed it can find."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fedaffect")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(fd: int, part: memoryview, at: int) -> None:
    done = 0
    while done < part.nbytes:
        done += os.pwrite(fd, part[done:], at + done)
