"""Layers that never leave a client: its personal part of the model, kept between rounds.

They lie in the state folder of the node, one safetensors file a client and round, so that a
restarted worker or a resumed run goes on with what the client had.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedaffect.atomic_file import write_bytes_atomic
from fedaffect.home import private_folder, state_home

KEPT_ROUNDS = 3  # as far back as a resumed run may go, past a damaged checkpoint


@dataclass(frozen=True)
class PersonalLayers:
    """The personal layers of the clients of one run on this node.

    Args:
        run: Id of the run.
    """

    run: str

    def load(self, fold: int, client_id: int, before_round: int) -> np.ndarray | None:
        """Return what the client had before ``before_round``, (k,), or ``None`` at its first."""
        from safetensors.numpy import load

        earlier = [r for r in self._rounds(fold, client_id) if r < before_round]
        if not earlier:
            return None
        raw = self._file(fold, client_id, max(earlier)).read_bytes()
        values: np.ndarray = load(raw)["personal"]
        return values

    def save(self, fold: int, client_id: int, server_round: int, values: np.ndarray) -> None:
        """Keep ``values`` (k,) as what the client has after ``server_round``.

        Raises:
            StorageError: E803 the disk refuses.
        """
        from safetensors.numpy import save

        path = self._file(fold, client_id, server_round)
        write_bytes_atomic(path, save({"personal": np.ascontiguousarray(values)}))
        for old in sorted(self._rounds(fold, client_id))[:-KEPT_ROUNDS]:
            self._file(fold, client_id, old).unlink(missing_ok=True)

    def _rounds(self, fold: int, client_id: int) -> list[int]:
        folder = self._folder(fold, client_id)
        return [int(p.stem.removeprefix("round-")) for p in folder.glob("round-*.safetensors")]

    def _file(self, fold: int, client_id: int, server_round: int) -> Path:
        return self._folder(fold, client_id) / f"round-{server_round}.safetensors"

    def _folder(self, fold: int, client_id: int) -> Path:
        home = state_home() / "personal" / self.run / f"fold-{fold}"
        return private_folder(home / f"client-{client_id}")
