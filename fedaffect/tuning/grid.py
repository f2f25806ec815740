"""What ``fedaffect dp tune`` tries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Every combination is a candidate.

    Args:
        releases: Release plans, as ``--release`` takes them.
        rounds: Numbers T of rounds.
        local_epochs: Full-batch steps of a client in a round.
        lr: Learning rates.
        clip: L2 clip norms C.
        draws: Draws of the noise for each candidate and fold.
    """

    releases: tuple[str | int, ...] = (3, 5, "head")
    rounds: tuple[int, ...] = (1, 3, 5, 10)
    local_epochs: tuple[int, ...] = (3, 10)
    lr: tuple[float, ...] = (0.5, 1.0, 2.0)
    clip: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    draws: int = 10


QUICK = Grid(rounds=(2, 5), local_epochs=(10,), lr=(1.0,), clip=(0.5, 1.0), draws=4)
