"""What every section of a configuration shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of a configuration: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


def flag(field: str) -> str:
    """Return the option of ``field``: ``batch_size`` to ``--batch-size``."""
    return "--" + field.replace("_", "-")
