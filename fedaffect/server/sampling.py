"""Who takes part in a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from fedaffect import rng


class AmplifyingDraws(Protocol):
    """Independent coin flips from the secret key (privacy/noise.py: SecretDraws)."""

    def bernoulli(self, release: int, client_ids: list[int], q: float) -> list[int]:
        """Return the ids that were drawn, each with probability ``q``."""


@dataclass(frozen=True)
class Sampler:
    """Draws the clients of a round.

    Args:
        kind: ``full``; ``fixed``: ``n`` of all clients; ``poisson``: each with probability ``q``.
        n: Size of a fixed draw.
        q: Rate of a Poisson draw.
        seed: The published training seed.
        cap: Most rounds of a fold that a client of a fixed draw takes part in; ``None``: all.
    """

    kind: Literal["full", "fixed", "poisson"]
    n: int
    q: float
    seed: int
    cap: int | None = None

    def draw(
        self,
        clients: int,
        fold: int,
        server_round: int,
        release: int,
        secret: AmplifyingDraws | None,
    ) -> list[int]:
        """Return the sorted ids of the clients of this round.

        A Poisson draw that amplifies privacy comes from ``secret``: a draw from the published
        seed would amplify nothing. Without DP ``secret`` is ``None``.
        """
        everyone = list(range(clients))
        if self.kind == "full":
            return everyone
        if self.kind == "poisson" and secret is not None:
            return sorted(secret.bernoulli(release, everyone, self.q))
        if self.kind == "poisson":
            draws = rng.generator(self.seed, "sample", fold, server_round)
            return [i for i, u in zip(everyone, draws.random(clients), strict=True) if u < self.q]
        return self._fixed(clients, fold, server_round)

    def _fixed(self, clients: int, fold: int, server_round: int) -> list[int]:
        """Return ``n`` clients, or all that are left, of those who are below the cap."""
        first = server_round if self.cap is None else 1
        taken = [0] * clients
        for number in range(first, server_round + 1):
            free = [i for i in range(clients) if self.cap is None or taken[i] < self.cap]
            draws = rng.generator(self.seed, "sample", fold, number)
            places = draws.choice(len(free), size=min(self.n, len(free)), replace=False)
            chosen = sorted(free[i] for i in places.tolist())
            for i in chosen:
                taken[i] += 1
        return chosen
