"""Clients whose training kills its process, fails or hangs."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedaffect.build import Experiment
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.side import ClientSide, client_side


@dataclass(frozen=True)
class KillsItsWorker(ClientData):
    """A client whose training ends the process, the first ``times`` times."""

    times: int = 0
    mark: str = ""  # file with a byte for every death

    def __len__(self) -> int:
        with open(self.mark, "ab") as file:
            if file.tell() < self.times:
                file.write(b"x")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        return len(self.features)


@dataclass(frozen=True)
class Raises(ClientData):
    """A client whose training ends in an error that no one foresaw."""

    def __len__(self) -> int:
        raise LookupError("no such window")


@dataclass(frozen=True)
class Hangs(ClientData):
    """A client that does not answer, once."""

    mark: str = ""

    def __len__(self) -> int:
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            time.sleep(600)
        return len(self.features)


def with_client(experiment: Experiment, kind: type[ClientData], **extra: Any) -> ClientSide:
    """Return the clients of ``experiment``, client 2 being of ``kind``."""
    side = client_side(experiment)
    clients = list(side.folds[0])
    clients[2] = kind(**vars(clients[2]), **extra)
    return replace(side, folds=(tuple(clients),))
