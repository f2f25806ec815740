"""The ledger's head in the run folder: whoever deletes or cuts the ledger does not have it there.

``ledger_head.json`` is written before the first charge of a run, after each charge of the server
and with each checkpoint. A run that goes on refuses a ledger that does not contain it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fedaffect.atomic_file import write_json_atomic
from fedaffect.errors import PrivacyError
from fedaffect.privacy.base import NoiseKey
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.run_budget import RunBudget

ANCHOR_NAME = "ledger_head.json"


@dataclass(frozen=True)
class AnchoredBudget(RunBudget):
    """A run's account whose ledger is anchored in the run folder before noise is drawn.

    Args:
        folder: The run folder.
    """

    folder: Path

    def charge(self, release: int, digest: bytes, clients: tuple[int, ...] | None) -> None:
        """Write the intent to release, and the new head of the ledger, durably.

        Raises:
            PrivacyError: E401, E402, E404 as ``Ledger.charge``.
            StorageError: E803 the disk refuses.
        """
        super().charge(release, digest, clients)
        self.anchor()

    def anchor(self) -> str:
        """Write the head of the ledger into the run folder and return it.

        Raises:
            PrivacyError: E402, E404 the ledger cannot be used.
            StorageError: E803 the disk refuses.
        """
        head = self.ledger.head
        write_json_atomic(self.folder / ANCHOR_NAME, {"head": head})
        return head


def open_anchored(
    home: Path, name: str, key: NoiseKey, folder: Path, checkpoint_head: str | None
) -> Ledger:
    """Open the ledger of a run; where the run has charged it, it must contain the known heads.

    Args:
        home: The state folder.
        name: Name of the ledger.
        key: The secret noise key.
        folder: The run folder.
        checkpoint_head: Head that the run's checkpoint keeps, if any.

    Raises:
        PrivacyError: E402 the ledger was edited, cut, deleted or replaced since, or the anchor
            was; E404 the ledger cannot be used.
    """
    head = _anchored_head(folder / ANCHOR_NAME)
    if head is None:
        return Ledger.open(home, name, key, expected_head=checkpoint_head)
    if checkpoint_head is not None:
        Ledger.open(home, name, key, expected_head=checkpoint_head).close()
    return Ledger.open(home, name, key, expected_head=head)


def _anchored_head(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_bytes())["head"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrivacyError(
            "E402",
            f"{path} is not as it was written ({type(error).__name__})",
            do="restore it from a backup: it shows that the ledger is whole",
        ) from error
