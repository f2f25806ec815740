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
    """

    kind: Literal["full", "fixed", "poisson"]
    n: int
    q: float
    seed: int

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
        draws = rng.generator(self.seed, "sample", fold, server_round)
        if self.kind == "poisson":
            return [i for i, u in zip(everyone, draws.random(clients), strict=True) if u < self.q]
        return sorted(draws.choice(clients, size=self.n, replace=False).tolist())
