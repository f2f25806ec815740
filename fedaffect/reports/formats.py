"""How figures are written, everywhere in a report: one decimal, interval in brackets, chance."""

from __future__ import annotations

import math
import re

from fedaffect.privacy import wording
from fedaffect.record import Estimate
from fedaffect.reports.svg import label

NBSP = "\u00a0"
ATTACKERS = {
    "knn": "nearest neighbours",
    "lda": "linear discriminant",
    "linear": "linear probe",
    "mlp": "small MLP",
}


def percent(value: float | None) -> str:
    """Write a share in [0, 1] as ``70.2 %``, or ``n/a``."""
    if value is None or not math.isfinite(value):
        return "n/a"
    return f"{100 * value:.1f}{NBSP}%"


def interval(estimate: Estimate) -> str:
    """Write the 95 % interval as ``[58.1, 80.3]`` in percent, or say that there is none."""
    if estimate.low is None or estimate.high is None:
        return "[no interval]"
    return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def accuracy(estimate: Estimate | None) -> str:
    """Write ``70.2 % [58.1, 80.3]``, or ``n/a (why)`` for an undefined figure."""
    if estimate is None:
        return "not measured"
    if estimate.value is None:
        note = estimate.note.removeprefix("n/a (").removesuffix(")")
        return f"n/a ({note})" if note else "n/a"
    return f"{percent(estimate.value)} {interval(estimate)}".replace(" ", NBSP)


def with_chance(estimate: Estimate) -> str:
    """Write ``70.2 % [58.1, 80.3], chance 50.0 %``."""
    return f"{accuracy(estimate)}, chance {percent(estimate.chance)}"


def attacker(name: str) -> str:
    """Write an attack's registered name in words; other names stay, cut where they are long."""
    return ATTACKERS.get(name, label(name, 50))


def count(value: float | None) -> str:
    """Write a count with separators for thousands: ``96,997``."""
    return "n/a" if value is None or not math.isfinite(value) else f"{value:,.0f}"


def plural(value: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: ``1 client``, ``20 clients``."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def number(value: object) -> str:
    """Write a measured number with at most four significant digits; words stay as they are."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return "unbounded" if value > 0 else "n/a"
    if 1000 <= abs(value) < 1e9 or (value == int(value) and abs(value) < 1e9):
        return f"{value:,.0f}"
    return re.sub(r"e([+-])0+(\d)", r"e\1\2", f"{value:.4g}")


def epsilon(value: object) -> str:
    """Write a privacy loss, rounded up, as the privacy statement does.

    Anything but a finite number is ``no finite value``.
    """
    loss = _finite(value)
    return "no finite value" if loss is None or loss < 0 else wording.eps_text(loss)


def delta(value: object) -> str:
    """Write a failure probability, rounded up: ``1e-5``."""
    probability = _finite(value)
    if probability is None or probability < 0:
        return "n/a"
    return wording.delta_text(probability) if probability else "0"


def duration(seconds: float) -> str:
    """Write a duration: ``48 s``, ``2 min 58 s``, ``1 h 04 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
