"""What both accountants of dp-accounting share: its version, and its silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata


def version() -> str:
    """Return the name and version of the library."""
    return f"dp-accounting {metadata.version('dp-accounting')}"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the log of dp-accounting, which tells of orders and grids."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
