"""A digest of source code and shipped weights, so that no cache outlives what filled it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SUFFIXES = (".py", ".safetensors")


@cache
def code_digest(part: str = "") -> str:
    """Return a hex SHA-256 over modules and weights of a sub-package, or of the whole package.

    Args:
        part: Folder below the package, such as ``data``; empty for all of it.
    """
    digest = hashlib.sha256()
    files = (Path(__file__).parent / part).rglob("*")
    for path in sorted(path for path in files if path.suffix in SUFFIXES):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
