"""What a statement must know of a run besides its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fedaffect.privacy.spending import Spending

KeyKind = Literal["secret", "unsafe-test", "none"]


@dataclass(frozen=True)
class RunFacts:
    """What has happened, or will.

    Args:
        releases_done: Paid releases, ``Ledger.spent``: where clients draw the noise, the most that
            one of them has paid for.
        key_kind: ``NoiseKey.kind``: ``secret`` or ``unsafe-test``; ``none`` without noise.
        normalisation: Choice of ``--normalise``: ``public``, ``global``, ``subject`` or ``none``.
        data_notes: What data preparation says about itself, one line each.
        ledger_head: Head of the ledger after the last charge; ``None`` without a ledger.
        planned: Whether the releases are still to come: then no ledger is asked for.
        participations: Client to the releases that it was drawn for; ``None`` where that is secret
            or not known yet.
        fewest_replies: Smallest number of contributions in a released sum; ``None``: not known.
        other_runs: What other runs on the same data set have spent; ``None``: not known.
        stopped: Why the run ended before its last planned release.
        canaries: Number of simulated canary clients.
        public_data: Whose data made what the training started from, one line each.
    """

    releases_done: int
    key_kind: KeyKind
    normalisation: str
    data_notes: tuple[str, ...] = ()
    ledger_head: str | None = None
    planned: bool = False
    participations: Mapping[int, int] | None = None
    fewest_replies: int | None = None
    other_runs: Spending | None = None
    stopped: str | None = None
    canaries: int = 0
    public_data: tuple[str, ...] = ()
