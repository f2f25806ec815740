"""One run's account in the privacy ledger, as the server's round loop uses it."""

from __future__ import annotations

from dataclasses import dataclass

from fedaffect.privacy.ledger import Charge, Ledger, Terms


@dataclass(frozen=True)
class RunBudget:
    """Charges the releases of one run to the server.

    Args:
        ledger: The open ledger of the data set.
        run: Id of the run.
        terms: What its releases are.
        limit: Number of releases that the budget affords.
    """

    ledger: Ledger
    run: str
    terms: Terms
    limit: int

    def charge(self, release: int, digest: bytes, clients: tuple[int, ...] | None) -> None:
        """Write the intent to release, durably, before any noise is drawn.

        Args:
            release: Number of the release in the run.
            digest: Digest of the exact inputs of the noise.
            clients: Who was drawn; ``None`` where that must stay secret.

        Raises:
            PrivacyError: E401, E402, E404 as ``Ledger.charge``.
        """
        charge = Charge(release, digest, "server", clients, self.terms)
        self.ledger.charge(self.run, [charge], self.limit)

    def released(self, release: int, digest: bytes) -> None:
        """Write that the charged release has left the server.

        Raises:
            PrivacyError: E401, E402, E404 as ``Ledger.released``.
        """
        self.ledger.released(self.run, [Charge(release, digest, "server", None, self.terms)])
