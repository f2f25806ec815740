"""How the figure of an attack is written: shares in percent, everything else as a number."""

from __future__ import annotations

import re

from fedaffect.record import Estimate
from fedaffect.reports.formats import accuracy, number, percent

_SHARE = re.compile(
    r"top-\d|accuracy|\bauc\b|\beer\b|\brates?\b|\btpr\b|\bshare\b|\bprobability\b", re.IGNORECASE
)
_NO_SHARE = re.compile(
    r"\bnats\b|\bdb\b|\bpsnr\b|correlation|\beps(ilon)?\b|\bmu\b|\bratio\b|d'", re.IGNORECASE
)
_ERROR = re.compile(r"\beer\b|error rate", re.IGNORECASE)


def is_share(metric: str) -> bool:
    """Return whether ``metric`` counts a share in [0, 1], such as a rate or an AUC."""
    return bool(_SHARE.search(metric)) and not _NO_SHARE.search(metric)


def beats_chance(metric: str, estimate: Estimate) -> bool | None:
    """Return whether the whole interval is on the attacker's side; ``None`` if that is unknown.

    Error rates are the better for an attacker the lower they are, everything else the higher.
    """
    if estimate.chance is None or estimate.low is None or estimate.high is None:
        return None
    if _ERROR.search(metric):
        return estimate.high < estimate.chance
    return estimate.low > estimate.chance


def figure(metric: str, estimate: Estimate | None) -> str:
    """Write a figure of ``metric`` with its 95 % interval."""
    if estimate is None or estimate.value is None or is_share(metric):
        return accuracy(estimate)
    value = number(float(estimate.value))
    if estimate.low is None or estimate.high is None:
        return value if "bound" in metric else f"{value} [no interval]"
    return f"{value} [{number(float(estimate.low))}, {number(float(estimate.high))}]"


def level(metric: str, value: float | None) -> str:
    """Write a single value of ``metric``, such as its chance level."""
    return percent(value) if value is None or is_share(metric) else number(float(value))
