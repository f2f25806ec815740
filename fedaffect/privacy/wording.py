"""The words of privacy: fixed sentences, and numbers that are never rounded in our favour."""

from __future__ import annotations

import math

NO_NOISE = "No differential privacy: no noise was added and updates were not clipped."
TEST_NOISE = "NO GUARANTEE: noise reproducible."
NOTHING = "No statement: nothing has been released yet."
NO_LEDGER = "No guarantee is stated: the releases were charged to no privacy ledger."
NO_CLAIM = "No differential privacy is claimed: noise of a given size was added, with no budget."
WINDOW_STATISTICS = (
    "No finite epsilon: data preparation (normalise subject) computes statistics over all windows "
    "of a person, so one window moves every other."
)
LARGEST_MEANINGFUL_EPS = 20.0


def eps_text(eps: float) -> str:
    """Return ``eps`` rounded up: two decimals, or three digits where it is small or large."""
    digits = 2 if 0.1 <= eps < 1000 else 2 - math.floor(math.log10(eps)) if eps > 0 else 2
    unit = 10.0**-digits
    rounded = math.ceil(eps / unit * (1 - 1e-9)) * unit
    return f"{rounded:,.{max(digits, 0)}f}"


def delta_text(delta: float) -> str:
    """Return ``delta`` as in ``1e-5``, rounded up to three digits."""
    power = math.floor(math.log10(delta) + 1e-12)
    leading = math.ceil(delta / 10.0**power * 100 * (1 - 1e-9)) / 100
    return f"{leading:g}e{power}"


def pair_text(eps: float, delta: float) -> str:
    """Return ``(eps=5.00, delta=1e-5)``."""
    return f"(eps={eps_text(eps)}, delta={delta_text(delta)})"


def clear_statistics(normalisation: str) -> str:
    """Return why data preparation left no finite epsilon."""
    return (
        f"No finite epsilon: data preparation (normalise {normalisation}) shared statistics of "
        "clients' data in the clear, beside the noised updates."
    )


def nominal(eps: float) -> str:
    """Return a number that a user gave, as it was given: ``5``, ``0.5``."""
    return f"{eps:g}"


def names(blocks: tuple[str, ...] | list[str]) -> str:
    """Return block names for a sentence: `a`, `b`."""
    return ", ".join(f"`{block}`" for block in blocks)


def times(count: int, one: str) -> str:
    """Return a count with its noun: ``1 round``, ``40 rounds``."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"
