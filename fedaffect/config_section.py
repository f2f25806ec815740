"""What every section of a configuration shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Section(BaseModel):
    """One table of a configuration: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


def flag(field: str) -> str:
    """Return the option of ``field``: ``batch_size`` to ``--batch-size``."""
    return "--" + field.replace("_", "-")


def words(value: object) -> object:
    """Read ``stress,identity`` as the list of its words."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _without_nul(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("should be a path without a NUL character")
    return path


CleanPath = Annotated[Path, AfterValidator(_without_nul)]
