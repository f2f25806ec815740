"""How a measured figure is judged against a printed one, or against another cell's.

Figures agree where ours is within five points of the printed one, or its interval holds it. A
difference of less than three points between two cells counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fedaffect.record import Estimate, Figures
from fedaffect.reports.formats import accuracy, epsilon
from fedaffect.study_record import TrialRecord, Verdict

Agrees = Literal["yes", "no", "partly", "not comparable"]
CLOSE, DIFFERENT = 0.05, 0.03


def near(estimate: Estimate, printed: float) -> bool:
    """Return whether a figure agrees with the printed one."""
    if estimate.value is None:
        return False
    inside = estimate.low is not None and estimate.high is not None
    return abs(estimate.value - printed) <= CLOSE or (
        inside and (estimate.low or 0.0) <= printed <= (estimate.high or 0.0)
    )


def step(before: float | None, after: float | None) -> float:
    """Return ``after - before``; 0 where it is too small to count, or one is missing."""
    if before is None or after is None:
        return 0.0
    return after - before if abs(after - before) >= DIFFERENT else 0.0


def where_stress_is_learned(clean: Figures | None, verdict: Verdict) -> Verdict:
    """Return ``verdict``, or that it cannot be had where stress is not learned without noise."""
    stress = clean.stress_balanced_accuracy if clean is not None else Estimate(value=None)
    if stress.value is not None and stress.value - (stress.chance or 0.5) >= DIFFERENT:
        return verdict
    why = (
        f"stress is not learned without noise either (balanced accuracy {accuracy(stress)}, "
        f"chance 50 %), so nothing can be kept or lost; {verdict.why}"
    )
    return verdict.model_copy(update={"agrees": "not comparable", "why": why})


def verdict_of(holds: Sequence[bool]) -> Agrees:
    """Return the verdict of several findings: all, some or none of them as the paper says."""
    return "yes" if all(holds) else "partly" if any(holds) else "no"


def true_round(trial: TrialRecord) -> str:
    """Write the true eps of one round of a noised cell."""
    return epsilon(trial.claimed.true_eps_per_round) if trial.claimed else "none"


def true_total(trial: TrialRecord) -> str:
    """Write the true eps of all rounds of a noised cell."""
    return epsilon(trial.claimed.true_eps_total) if trial.claimed else "none"
