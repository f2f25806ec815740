"""A file that a command writes at its end is refused before the work begins."""

from __future__ import annotations

from pathlib import Path


def refuse_unless_new(*files: Path) -> None:
    """Refuse to write ``files``, which ``--out`` names, over others or into no folder.

    Raises:
        UsageError: E273.
    """
    from fedaffect.errors import UsageError

    for file in files:
        if file.exists():
            raise UsageError("E273", f"--out: {file} exists", do="give a new file")
        if not file.parent.is_dir():
            raise UsageError("E273", f"--out {file}: no such folder", do=f"mkdir {file.parent}")
