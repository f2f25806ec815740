"""Layers that stay with a client, in memory: what an audit trains leaves no trace on disk."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fedaffect.clients.personal import PersonalLayers


@dataclass(frozen=True)
class RememberedLayers(PersonalLayers):
    """The personal layers of clients while an audit trains them.

    Args:
        run: Id of the run.
        begun: Finished rounds of that run from whose layers, on this disk, the clients go on;
            0: they begin anew.
    """

    begun: int = 0
    _kept: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False)

    def load(self, fold: int, client_id: int, before_round: int) -> np.ndarray | None:
        """Return what the client had last, (k,), or ``None`` at its first round."""
        if (fold, client_id) in self._kept:
            return self._kept[fold, client_id]
        return super().load(fold, client_id, self.begun + 1) if self.begun else None

    def save(self, fold: int, client_id: int, server_round: int, values: np.ndarray) -> None:
        """Keep ``values`` (k,) until the audit ends."""
        self._kept[fold, client_id] = values
