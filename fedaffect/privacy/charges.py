"""What a run is charged for: the terms of its releases, one release, and the account of them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fedaffect.privacy.base import Event, Noise
from fedaffect.privacy.spec import Adjacency, Place, Unit

Release = tuple[int, str]  # number of the release, MAC of its inputs
_PARTY = re.compile(r"server|client \d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Terms:
    """What the releases of a run are; the same for all of them, so that eps can be recomputed.

    Args:
        mechanism: Registered name of the mechanism.
        noise: Kind of noise.
        z: Noise parameter / sensitivity under ``adjacency`` (``Event.scale``); 0 without noise.
        rate: q that an accountant may use; 1 without amplification.
        adjacency: What neighbours are.
        unit: What is protected.
        where: Who adds the noise.
        blocks: Names of the noised blocks.
        clear: Whether some block leaves in the clear: then there is no finite eps.
        eps: Total budget of the run; ``None`` without one.
        delta: Total delta of the run.
        steps: Noisy sums in one release: for unit ``window`` the local steps of a round.

    Raises:
        ValueError: a number that no release can have.
    """

    mechanism: str
    noise: Noise
    z: float
    rate: float
    adjacency: Adjacency
    unit: Unit
    where: Place
    blocks: tuple[str, ...]
    clear: bool
    eps: float | None
    delta: float
    steps: int = 1

    def __post_init__(self) -> None:
        sound = 0 <= self.z < math.inf and 0 < self.rate <= 1 and 0 < self.delta < 1
        sound &= self.steps >= 1 and (self.eps is None or 0 < self.eps < math.inf)
        sound &= self.noise in ("gaussian", "laplace") and self.unit in ("client", "window")
        sound &= self.adjacency in ("zero_out", "replace_one")
        sound &= self.where in ("server", "client")
        if not sound:
            raise ValueError(f"no release has these terms: {self}")

    @property
    def finite(self) -> bool:
        """Whether the releases have a finite eps: noise everywhere."""
        return self.z > 0 and not self.clear

    def event(self, releases: int) -> Event:
        """Return what an accountant reads of ``releases`` releases."""
        return Event(self.noise, self.z, self.rate, releases * self.steps, adjacency=self.adjacency)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**dataclasses.asdict(self), "blocks": list(self.blocks)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Terms:
        """Read what ``to_dict`` wrote.

        Raises:
            TypeError: a field is missing, unknown or of another type.
            ValueError: a number that no release can have.
        """
        return cls(**{**values, "blocks": tuple(values["blocks"])})


@dataclass(frozen=True)
class Charge:
    """One release that a party is about to pay for.

    Args:
        release: Number of the release in the run.
        inputs: Digest of the exact inputs; only its MAC is stored.
        party: Who draws the noise: ``server``, or ``client`` and its number.
        clients: Who was drawn for the release; ``None`` where that must stay secret.
        terms: Terms of the run.

    Raises:
        ValueError: there is no such party.
    """

    release: int
    inputs: bytes
    party: str
    clients: tuple[int, ...] | None
    terms: Terms

    def __post_init__(self) -> None:
        if not _PARTY.fullmatch(self.party):
            raise ValueError(f"{self.party!r} is neither the server nor a client")


@dataclass
class Account:
    """What one run has paid for, read from its lines of a ledger.

    Args:
        terms: Terms of the run.
        charged: Party to its releases, each with the clients that were drawn for it.
        released: Parties and releases whose noisy sum has left.
    """

    terms: Terms
    charged: dict[str, dict[Release, tuple[int, ...] | None]] = field(default_factory=dict)
    released: set[tuple[str, Release]] = field(default_factory=set)

    def spent(self, party: str | None = None) -> int:
        """Return the releases that ``party`` has paid for; of all parties the largest number."""
        if party is not None:
            return len(self.charged.get(party, ()))
        return max(map(len, self.charged.values()), default=0)

    def participations(self) -> dict[int, int] | None:
        """Return client to the charged releases that it was drawn for; ``None`` where secret."""
        count: Counter[int] = Counter()
        for party, releases in self.charged.items():
            if party != "server":
                count[int(party.removeprefix("client "))] += len(releases)
                continue
            for clients in releases.values():
                if clients is None:
                    return None
                count.update(clients)
        return dict(count)

    def exposures(self) -> int:
        """Return the most releases that can depend on one client.

        Without amplification, where it is known who was drawn, these are its own releases;
        else all of them.
        """
        drawn = self.participations()
        if self.terms.rate < 1 or not drawn:
            return self.spent()
        return max(drawn.values())


def post(accounts: dict[str, Account], entry: dict[str, Any]) -> None:
    """Enter one line of a ledger into the account of its run.

    Raises:
        KeyError: a field is missing, or the run has no terms yet.
        TypeError: a field is of another type.
        ValueError: a line that no run writes here.
    """
    run, state = entry["run"], entry["state"]
    if state == "terms":
        if run in accounts:
            raise ValueError("the terms of a run do not change")
        accounts[run] = Account(Terms.from_dict(entry["terms"]))
        return
    account, party = accounts[run], entry["party"]
    release = (int(entry["release"]), str(entry["inputs"]))
    if not _PARTY.fullmatch(party):
        raise ValueError(f"{party!r} is neither the server nor a client")
    paid = account.charged.setdefault(party, {})
    if state == "intent" and release not in paid:
        clients = entry["clients"]
        paid[release] = clients if clients is None else tuple(map(int, clients))
    elif state == "released" and release in paid:
        account.released.add((party, release))
    else:
        raise ValueError(f"no run writes {state!r} here")
