"""A node's own account of what its clients give away: its key, its ledger, its policy.

Where noise is drawn at the clients, the node charges its own ledger before it draws, and refuses
what its policy does not allow. The key is read from the node's own state folder: it never travels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fedaffect.build import Experiment
from fedaffect.clients.policy import Policy
from fedaffect.errors import PrivacyError
from fedaffect.home import state_home
from fedaffect.privacy.charges import Charge, Terms
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.privacy.promise import affordable, promise_of
from fedaffect.privacy.spending import spending
from fedaffect.privacy.terms import terms_of


@dataclass(frozen=True)
class AccountPlan:
    """What a node must know to account for a run; it travels, and holds no secret.

    Args:
        run: Id of the run.
        ledger: Name of the data set's ledger.
        terms: What a release of the run is.
        limit: Releases that the budget affords each client.
        rounds: Planned rounds.
        clip: Largest clip norm at the start.
        eps: What the whole run will cost.
        key_check: What the site's key answers (``SecretNoiseKey.check``); a node with another
            key is refused.
        test_key: Text of ``--unsafe-test-noise``, which needs neither key file nor ledger.
    """

    run: str
    ledger: str
    terms: Terms
    limit: int
    rounds: int
    clip: float
    eps: float | None
    key_check: str
    test_key: str | None = None


def account_plan(
    experiment: Experiment, run: str, ledger: str, key_check: str, test_key: str | None = None
) -> AccountPlan:
    """Return how the releases of a run are accounted for, at the server or at the clients."""
    mechanism, plan = experiment.mechanism, experiment.plan
    promise = promise_of(mechanism, plan)
    return AccountPlan(
        run=run,
        ledger=ledger,
        terms=terms_of(mechanism, plan),
        limit=affordable(mechanism, plan),
        rounds=plan.releases,
        clip=max(group.clip for group in mechanism.groups),
        eps=promise.eps if promise else None,
        key_check=key_check,
        test_key=test_key,
    )


class ClientAccount:
    """Key, ledger and policy of the clients of one node in one run."""

    def __init__(self, plan: AccountPlan) -> None:
        self.plan = plan

    @cached_property
    def key(self) -> SecretNoiseKey | TestNoiseKey:
        """The node's noise key.

        Raises:
            PrivacyError: E403 the key cannot be used; E413 it is not the site's.
        """
        if self.plan.test_key is not None:
            return TestNoiseKey(self.plan.test_key)
        key = SecretNoiseKey.load(state_home())
        if key.check() != self.plan.key_check:
            raise PrivacyError(
                "E413",
                "this node has another noise key than the site that started the run",
                do="give every host of the cluster the same state folder (FEDAFFECT_HOME)",
            )
        return key

    @cached_property
    def _ledger(self) -> Ledger | None:
        if self.plan.test_key is not None:
            return None
        return Ledger.open(state_home(), self.plan.ledger, self.key)

    @cached_property
    def refusal(self) -> str | None:
        """Why this node does not take part in the run; ``None`` where it does."""
        if self._ledger is None:
            return None
        p = self.plan
        others = spending(self._ledger, except_run=p.run)
        return Policy.read(state_home()).refusal(
            p.ledger, p.terms, p.rounds, p.clip, others.eps_of(p.terms), p.eps
        )

    def charge(self, release: int, inputs: dict[int, bytes]) -> list[Charge]:
        """Write down, for good, what is about to be released, before any noise is drawn.

        Args:
            release: Number of the release in the run.
            inputs: Client id to the digest of what its noise depends on.

        Raises:
            PrivacyError: E401 the budget affords no more; E402 the ledger is broken.
        """
        charges = [
            Charge(release, digest, f"client {client}", None, self.plan.terms)
            for client, digest in inputs.items()
        ]
        if self._ledger is not None and charges:
            self._ledger.charge(self.plan.run, charges, self.plan.limit)
        return charges

    def released(self, charges: Sequence[Charge]) -> None:
        """Write down that what was charged has left the node."""
        if self._ledger is not None and charges:
            self._ledger.released(self.plan.run, charges)
