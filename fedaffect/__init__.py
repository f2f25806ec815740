"""fedaffect: federated learning of affect models, with measured privacy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fedaffect.version import __version__

__all__ = ["AuditRecord", "RunConfig", "RunRecord", "__version__", "audit", "simulate"]

if TYPE_CHECKING:
    from fedaffect.audit_record import AuditRecord
    from fedaffect.auditing.suite import audit
    from fedaffect.config import RunConfig
    from fedaffect.record import RunRecord
    from fedaffect.simulation import simulate

# No module may be called as a name here is: importing it would hide the name.
_HOMES = {
    "AuditRecord": "fedaffect.audit_record",
    "RunConfig": "fedaffect.config",
    "RunRecord": "fedaffect.record",
    "audit": "fedaffect.auditing.suite",
    "simulate": "fedaffect.simulation",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that ``--help`` stays fast."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fedaffect' has no attribute {name!r}")
