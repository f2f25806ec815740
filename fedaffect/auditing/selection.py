"""Which attacks run, and what they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedaffect import registry
from fedaffect.errors import UsageError

SENSITIVITY = "refute-sensitivity"
GATED = ("mechanism", "one-run", "multi-run")  # may refute a claimed eps
LEVEL = 0.001  # of the gate over all gated tests
NEEDS_NEITHER = ("mechanism", "canary", "one-run")  # reference or uploads


@dataclass(frozen=True)
class Selection:
    """The attacks of one audit.

    Args:
        names: Registered names, in the order of the registry.
    """

    names: tuple[str, ...]

    @property
    def gate_confidence(self) -> float:
        """Confidence of each gated bound: 99.9 % over all of them (Bonferroni)."""
        return 1 - LEVEL / max(1, sum(name in GATED for name in self.names))

    @property
    def trains(self) -> bool:
        """Whether some attack looks at the reference without DP or at uploads."""
        return not set(self.names) <= set(NEEDS_NEITHER)


def selection(only: Sequence[str], full: bool, paper: bool) -> Selection:
    """Return what runs.

    Args:
        only: Names that were asked for; empty for the default suite.
        full: Whether attacks that cost minutes to hours run too.
        paper: Whether the run used noise as the paper has it: its sensitivity is put to the test.

    Raises:
        UsageError: E210 a name is not known.
    """
    for name in only:
        if name not in registry.AUDITS:
            raise UsageError(
                "E210",
                f"--only {name!r} is not known",
                do=registry.did_you_mean(name, registry.AUDITS),
            )
    if only:
        return Selection(tuple(name for name in registry.AUDITS if name in only))
    names = [
        name
        for name in registry.AUDITS
        if full or (name == SENSITIVITY and paper) or (name != SENSITIVITY and not _slow(name))
    ]
    return Selection(tuple(names))


def _slow(name: str) -> bool:
    slow: bool = registry.resolve("audit", name).full
    return slow
