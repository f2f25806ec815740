"""A digest of source code, so that a cache never outlives the code that filled it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def code_digest(part: str = "") -> str:
    """Return a hex SHA-256 over the modules of a sub-package, or of the whole package.

    Args:
        part: Folder below the package, such as ``data``; empty for all of it.
    """
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / part).rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
