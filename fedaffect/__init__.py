"""fedaffect: federated learning of affect models, with measured privacy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedaffect.version import __version__

__all__ = ["RunConfig", "RunRecord", "__version__", "simulate"]

if TYPE_CHECKING:
    from fedaffect.config import RunConfig
    from fedaffect.record import RunRecord
    from fedaffect.simulate import simulate

_HOMES = {"RunConfig": "fedaffect.config", "RunRecord": "fedaffect.record"}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that ``--help`` stays fast."""
    if name == "simulate":
        from fedaffect.simulate import simulate

        globals()["simulate"] = simulate  # not the module of the same name
        return simulate
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fedaffect' has no attribute {name!r}")
