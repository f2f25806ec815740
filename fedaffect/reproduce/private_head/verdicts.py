"""What was to be shown, beside what was measured."""

from __future__ import annotations

from typing import Literal

from fedaffect.record import Estimate
from fedaffect.reports.formats import accuracy, percent
from fedaffect.reproduce.private_head import people_scores
from fedaffect.reproduce.private_head.cells import (
    BUDGETS,
    COMPARED,
    DELTA,
    OPEN,
    PUBLIC,
    SCALINGS,
    Scene,
    budget_row,
)
from fedaffect.reproduce.private_head.results import SEED, Results
from fedaffect.reproduce.private_head.tables import points
from fedaffect.study_record import Verdict

ENOUGH = 0.8  # of what is gained without DP
A_POINT = 0.01
Answer = Literal["yes", "no", "partly", "not comparable"]


def verdicts(results: Results) -> tuple[Verdict, ...]:
    """Return the verdicts of every scene and scaling that was measured."""
    found = []
    for scene in results.scenes:
        for scaling in SCALINGS:
            verdict = _verdict(results, scene, scaling)
            if verdict is not None:
                found.append(verdict)
    return tuple(found)


def _verdict(results: Results, scene: Scene, scaling: str) -> Verdict | None:
    if scene.planted == "won":
        return _won(results, scene, scaling)
    if scene.planted == "nothing":
        return _nothing(results, scene, scaling)
    return _reported(results, scene, scaling)


def _won(results: Results, scene: Scene, scaling: str) -> Verdict | None:
    private = results.released(scene, scaling, budget_row(COMPARED))
    open_, start = (results.released(scene, scaling, row) for row in (OPEN, PUBLIC))
    if private is None or open_ is None or start is None:
        return None
    share = people_scores.regained(private, open_, start, SEED)
    answer: Answer = "not comparable"
    if share.value is not None:
        answer = "yes" if share.value >= ENOUGH else "no"
    return Verdict(
        claim=f"At eps {COMPARED} the head regains what it gains without DP",
        source=_where(scene, scaling),
        paper=f"at least {percent(ENOUGH)}",
        ours=f"{accuracy(share)} of {points(results.gain(scene, scaling, OPEN))} points",
        agrees=answer,
        why=f"client level, delta {DELTA:g}, mean of {len(private.stress)} noise draws",
    )


def _nothing(results: Results, scene: Scene, scaling: str) -> Verdict | None:
    gain = results.gain(scene, scaling, budget_row(COMPARED))
    if gain is None or gain.value is None:
        return None
    return Verdict(
        claim=f"At eps {COMPARED} the head gains nothing where nothing is to be gained",
        source=_where(scene, scaling),
        paper="no gain over public only",
        ours=f"{points(gain)} points",
        agrees="yes" if gain.value <= A_POINT or _holds_zero(gain) else "no",
        why="private and public people are of one kind: a gain would be an error of the study, "
        "and a loss is what noise costs",
    )


def _reported(results: Results, scene: Scene, scaling: str) -> Verdict | None:
    gains = {eps: results.gain(scene, scaling, budget_row(eps)) for eps in BUDGETS}
    known = {eps: gain for eps, gain in gains.items() if gain is not None}
    if not known:
        return None
    ahead = [eps for eps, gain in known.items() if (gain.low or 0) > 0]
    behind = [eps for eps, gain in known.items() if (gain.high or 0) < 0]
    answer: Answer = "no"
    if ahead:
        answer = "partly" if behind or len(ahead) < len(known) else "yes"
    said = "; ".join(f"eps {eps:g}: {points(gain)}" for eps, gain in known.items())
    return Verdict(
        claim="Training the head on private people is better than public only",
        source=_where(scene, scaling),
        paper="a difference above 0",
        ours=f"{said}; no DP: {points(results.gain(scene, scaling, OPEN))} points",
        agrees=answer,
        why="paired differences over people; yes and partly need an interval above 0",
    )


def _where(scene: Scene, scaling: str) -> str:
    return f"{scene.what}; {SCALINGS[scaling]}"


def _holds_zero(gain: Estimate) -> bool:
    return gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high
