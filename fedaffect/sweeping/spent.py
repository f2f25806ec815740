"""What the runs of a sweep have spent on the data together, from the privacy ledger."""

from __future__ import annotations

from collections.abc import Collection

from fedaffect.home import state_home
from fedaffect.privacy.ledger import Ledger, ledger_path
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.spending import Spending, spending
from fedaffect.privacy.wording import pair_text, times

NOT_ACCOUNTED = (
    "Hyper-parameters not accounted: choosing a setting by its figures on the same data spends "
    "privacy that no epsilon here includes."
)

_WORDS = (
    "observer: each run's own; horizon: all those runs; accountants: every run by itself, then "
    "added, or composed exactly where all noise is Gaussian"
)


def spent_by(runs: Collection[str], data: str) -> tuple[str, ...]:
    """Return what ``runs`` and all runs of this site have spent on a data set, in sentences.

    Args:
        runs: Ids of the runs of the sweep.
        data: Name of the data set.

    Raises:
        PrivacyError: E402, E404 there is a ledger, and it cannot be used.
    """
    home = state_home()
    if not ledger_path(home, data).exists():
        return ()
    with Ledger.open(home, data, SecretNoiseKey.load(home)) as ledger:
        every = spending(ledger)
    own = Spending(tuple(cost for cost in every.runs if cost.run in runs))
    if not own.runs:
        return ()
    told = _told("of this sweep", own, data)
    if len(every.runs) > len(own.runs):
        told += _told("of this site", every, data)
    return (*told, NOT_ACCOUNTED)


def _told(whose: str, spent: Spending, data: str) -> list[str]:
    """Return one sentence for each unit and adjacency, and one on runs without a finite eps."""
    count = times(len(spent.runs), "private run")
    lines = [
        f"Of {count} {whose} on {data}, {total.runs} have spent "
        f"{pair_text(total.eps, min(1.0, total.delta))} together for one {total.unit} "
        f"({total.adjacency}; {_WORDS})."
        for total in spent.totals
    ]
    if spent.unbounded:
        lines.append(
            f"Of {count} {whose} on {data}, {len(spent.unbounded)} have no finite epsilon, so no "
            "total is finite."
        )
    return lines
