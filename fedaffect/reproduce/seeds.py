"""One trial of several seeds: means of figures, and of the ends of their intervals over people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedaffect.metrics import mean_estimate
from fedaffect.record import Figures
from fedaffect.study_record import CurvePoint, ReleaseFigures, TrialRecord

_SINGLE = (
    "stress_accuracy",
    "stress_macro_f1",
    "stress_balanced_accuracy",
    "identity_own_head",
    "identity_strongest",
    "raw_features_attack",
)


def over_seeds(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return one trial for each name, ``name@seed`` counting to ``name``, in order."""
    groups: dict[str, list[TrialRecord]] = {}
    for one in trials:
        groups.setdefault(one.name.partition("@")[0], []).append(one)
    return tuple(_mean_trial(group) for group in groups.values())


def _mean_trial(trials: Sequence[TrialRecord]) -> TrialRecord:
    first = trials[0]
    if len(trials) == 1:
        return first
    return first.model_copy(
        update={
            "figures": _mean_figures([t.figures for t in trials]),
            "curve": tuple(map(_mean_point, zip(*(t.curve for t in trials), strict=False))),
            "released": _all_draws([t.released for t in trials]),
            "stopped": next((t.stopped for t in trials if t.stopped), ""),
            "seconds": sum(t.seconds for t in trials),
        }
    )


def _all_draws(released: Sequence[ReleaseFigures | None]) -> ReleaseFigures | None:
    """Return the draws of all seeds, which test the same people; mean attacks."""
    known = [one for one in released if one is not None]
    if not known:
        return None
    return known[0].model_copy(
        update={
            "stress": tuple(draw for one in known for draw in one.stress),
            "membership": mean_estimate([one.membership for one in known]),
            "left_out": mean_estimate([one.left_out for one in known]),
        }
    )


def _mean_figures(figures: Sequence[Figures]) -> Figures:
    """Return mean figures; the strongest attacker of each seed counts, the first names it."""
    means = {name: mean_estimate([getattr(f, name) for f in figures]) for name in _SINGLE}
    attacks = {
        name: mean_estimate([f.identity_attacks[name] for f in figures])
        for name in figures[0].identity_attacks
    }
    return figures[0].model_copy(update={**means, "identity_attacks": attacks, "per_person": ()})


def _mean_point(points: Sequence[CurvePoint]) -> CurvePoint:
    def mean(values: Sequence[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return float(np.mean(known)) if len(known) == len(values) else None

    return CurvePoint(
        round=points[0].round,
        stress_balanced_accuracy=mean([p.stress_balanced_accuracy for p in points]),
        identity_own_head=mean([p.identity_own_head for p in points]),
    )
