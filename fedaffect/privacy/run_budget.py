"""One run's account in the privacy ledger, as the round loop uses it."""

from __future__ import annotations

from dataclasses import dataclass

from fedaffect.privacy.base import ClippedSum, ReleasePlan
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.mechanisms.central import CentralNoise


@dataclass(frozen=True)
class RunBudget:
    """Charges the releases of one run.

    Args:
        ledger: The open ledger of the data set.
        run: Id of the run.
        mechanism: The calibrated mechanism.
        plan: What it was calibrated for.
    """

    ledger: Ledger
    run: str
    mechanism: CentralNoise
    plan: ReleasePlan

    def charge(self, release: int, total: ClippedSum) -> None:
        """Write the intent to release, durably, before any noise is drawn.

        Raises:
            PrivacyError: E401, E402, E404 as ``Ledger.charge``.
        """
        digest = self.mechanism.inputs_digest(total)
        self.ledger.charge(self.run, release, self.mechanism, self.plan, digest)

    def released(self, release: int, total: ClippedSum) -> None:
        """Write that the release has left the server."""
        self.ledger.released(self.run, release, self.mechanism.inputs_digest(total))
