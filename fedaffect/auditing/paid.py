"""Accounts that spend nothing: they let through what a run has paid for, and refuse all else.

Noise is keyed by (key, release, block, digest of the exact inputs), so that equal inputs repeat
one release at no cost; a release of any other inputs would be a new one. These accounts compare
the seal of the inputs with the ledger before noise is drawn, as the real ones charge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fedaffect.clients.account import AccountPlan, ClientAccount
from fedaffect.errors import PrivacyError
from fedaffect.privacy.charges import Charge
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.run_budget import RunBudget


@dataclass(frozen=True)
class PaidBudget(RunBudget):
    """The server's account of a run that is over."""

    def charge(self, release: int, digest: bytes, clients: tuple[int, ...] | None) -> None:
        """Check that the release was paid for.

        Raises:
            PrivacyError: E414 it was not.
        """
        check_paid(self.ledger, self.run, Charge(release, digest, "server", clients, self.terms))

    def released(self, release: int, digest: bytes) -> None:
        """Write nothing: the release has left long ago."""


class PaidAccount(ClientAccount):
    """The account of the clients of a run that is over.

    Args:
        plan: What the run accounted for.
        ledger: The open ledger; ``None`` with reproducible test noise, which nobody pays for.
    """

    def __init__(self, plan: AccountPlan, ledger: Ledger | None) -> None:
        super().__init__(plan)
        self._paid = ledger

    @cached_property
    def refusal(self) -> None:
        """``None``: a policy limits what is given away, and nothing is."""
        return None

    def charge(self, release: int, inputs: dict[int, bytes]) -> list[Charge]:
        """Check that every client has paid for the release.

        Raises:
            PrivacyError: E414 one has not.
        """
        charges = [
            Charge(release, digest, f"client {client}", None, self.plan.terms)
            for client, digest in inputs.items()
        ]
        for charge in charges:
            if self._paid is not None:
                check_paid(self._paid, self.plan.run, charge)
        return charges

    def released(self, charges: Sequence[Charge]) -> None:
        """Write nothing: the releases have left long ago."""


def check_paid(ledger: Ledger, run: str, charge: Charge) -> None:
    """Check that ``run`` has paid for this release of these inputs.

    Raises:
        PrivacyError: E414 it has not; E402, E404 the ledger cannot be used.
    """
    if not ledger.paid(run, charge):
        raise PrivacyError(
            "E414",
            f"release {charge.release} of {charge.party} has other inputs now than those that "
            f"{run} paid for",
            do="audit on the machine, key, code and data of the run",
        )
