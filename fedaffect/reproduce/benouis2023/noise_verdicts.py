"""Verdicts on the paper's noise: what it does to the two tasks, to attackers, and to epsilon."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedaffect.reports.formats import percent
from fedaffect.reproduce.benouis2023.cells import MECHANISMS
from fedaffect.reproduce.benouis2023.judging import (
    near,
    step,
    true_round,
    true_total,
    verdict_of,
    where_stress_is_learned,
)
from fedaffect.reproduce.benouis2023.printed import (
    HEADLINE_IDENTITY,
    HEADLINE_STRESS,
    NOT_PRINTED,
    SHARED_IDENTITY,
)
from fedaffect.reproduce.benouis2023.results import (
    FRESH,
    MEASURED,
    OWN,
    STRESS,
    Results,
    said,
    value,
)
from fedaffect.study_record import TrialRecord, Verdict


def verdicts(results: Results) -> tuple[Verdict, ...]:
    """Return a verdict on every claim about noise that the study has cells for."""
    makers: tuple[Callable[[Results], Verdict | None], ...] = (
        _shared, _more_noise, _task_layers, _all_layers, _headline, _laplace, _gaussian2, _budget,
    )  # fmt: skip
    made = {make: made for make in makers if (made := make(results)) is not None}
    clean = results.figures(results.baseline)
    about_stress = (_task_layers, _headline, _laplace)
    return tuple(
        where_stress_is_learned(clean, verdict) if make in about_stress else verdict
        for make, verdict in made.items()
    )


def _shared(results: Results) -> Verdict | None:
    trials = [t for t in results.noised("plain", layers=["shared"]) if "0.6" not in t.name]
    if not trials:
        return None
    hits = [near(t.figures.identity_own_head, SHARED_IDENTITY.value) for t in trials]
    return Verdict(
        claim="Noise of 0.1 and 0.3 on the shared layers leaves identity recognisable",
        source=SHARED_IDENTITY.place,
        paper="around 86 %",
        ours=". ".join(f"{t.what}: {said(t.figures)}" for t in trials),
        agrees=verdict_of(hits),
        why="other data, features and training",
    )


def _more_noise(results: Results) -> Verdict | None:
    pairs = []
    for layers in ("all", "shared", "task", "task:identity"):
        trials = results.noised("plain", layers=[layers])
        if len(trials) > 1:
            pairs.append((trials[0], trials[-1]))
    if not pairs:
        return None
    return Verdict(
        claim="More Gaussian noise leads to poor performance",
        source="IV.C, after Figure 5",
        paper=NOT_PRINTED,
        ours=". ".join(
            f"{a.what}: {said(a.figures, STRESS, OWN)}; {b.what}: {said(b.figures, STRESS, OWN)}"
            for a, b in pairs
        ),
        agrees=verdict_of(
            [
                any(step(value(b.figures, w), value(a.figures, w)) > 0 for w in (STRESS, OWN))
                for a, b in pairs
            ]
        ),
        why="one of the two figures counts as performance",
    )


def _task_layers(results: Results) -> Verdict | None:
    """Judge every cell whose own head falls: the attacker has to fall, and stress to stay."""
    clean, kept = results.figures(results.baseline), results.figures("head-kept")
    trials = results.noised("plain", *MECHANISMS, layers=["task", "task:identity"])
    trials = [t for t in trials if not t.stopped and _own(t) is not None]
    if clean is None or not trials:
        return None
    before = {what: value(clean, what) for what in MEASURED}
    fallen = [t for t in trials if step(before[OWN], _own(t)) < 0]
    holds = [
        step(before[FRESH], value(t.figures, FRESH)) < 0
        and step(before[STRESS], value(t.figures, STRESS)) >= 0
        for t in fallen
    ]
    useful = [t for t in fallen if step(before[STRESS], value(t.figures, STRESS)) >= 0]
    shown = min(useful or fallen or trials, key=lambda t: _own(t) or 0.0)
    after = {what: value(shown.figures, what) for what in MEASURED}
    return Verdict(
        claim="Noise on task layers hides identity and keeps stress: the best trade-off",
        source="IV.C, after Figure 7",
        paper=NOT_PRINTED,
        ours=f"{shown.what}: {said(shown.figures)}. No noise: {said(clean)}",
        agrees=verdict_of(holds) if holds else "not comparable",
        why=(
            f"the noise takes the own identity head from {percent(before[OWN])} to "
            f"{percent(after[OWN])}, stress from {percent(before[STRESS])} to "
            f"{percent(after[STRESS])}, while a fresh attacker on the features goes from "
            f"{percent(before[FRESH])} to {percent(after[FRESH])}; not uploading that head at all "
            f"leaves the attacker {percent(value(kept, FRESH))}"
        ),
    )


def _all_layers(results: Results) -> Verdict | None:
    clean = results.figures(results.baseline)
    trials = [t for t in results.noised("plain", *MECHANISMS, layers=["all"]) if not t.stopped]
    if clean is None or not trials:
        return None
    low = min(trials, key=lambda t: value(t.figures, FRESH) or 0.0)
    less = [
        step(clean.identity_own_head.value, _own(low)) < 0,
        step(clean.identity_strongest.value, value(low.figures, FRESH)) < 0,
    ]
    stress = step(clean.stress_accuracy.value, value(low.figures, STRESS))
    return Verdict(
        claim="Noise on all layers is slower to converge and more private",
        source="IV.C, after Figure 7",
        paper=NOT_PRINTED,
        ours=f"{low.what}: {said(low.figures)}. No noise: {said(clean)}",
        agrees=verdict_of(less),
        why=f"stress changes by {100 * stress:+.1f} points at the same noise; a fresh attacker "
        f"names {percent(value(low.figures, FRESH))} of windows",
    )


def _headline(results: Results) -> Verdict | None:
    trials = [
        t
        for t in results.all_noised
        if not t.stopped and (own := _own(t)) is not None and own <= HEADLINE_IDENTITY.value
    ]
    if not trials:
        return None
    best = max(trials, key=lambda t: value(t.figures, STRESS) or 0.0)
    return Verdict(
        claim="Stress is recognised while re-identification is limited",
        source=HEADLINE_IDENTITY.place,
        paper=f"{percent(HEADLINE_STRESS.value)} and {percent(HEADLINE_IDENTITY.value)}",
        ours=f"most stress with an own head of at most 47 %: {best.what}: {said(best.figures)}",
        agrees="no" if (value(best.figures, FRESH) or 0.0) > HEADLINE_IDENTITY.value else "partly",
        why="47 % is the accuracy of the model's own, noised head; the re-identification that "
        f"counts is the best fresh attacker's {percent(value(best.figures, FRESH))}",
    )


def _laplace(results: Results) -> Verdict | None:
    pairs = _beside(results, "laplace", "gaussian1")
    if not pairs:
        return None
    steps = [step(value(b.figures, STRESS), value(a.figures, STRESS)) for a, b in pairs]
    return Verdict(
        claim="Laplace noise keeps more stress accuracy than Gaussian noise",
        source="IV.C, after Figure 7, Figure 6",
        paper=NOT_PRINTED,
        ours=_listed([t for pair in pairs for t in pair], STRESS),
        agrees=verdict_of([change > 0 for change in steps]),
        why="at an equal claim the Laplace noise is the smaller one; its true eps of one round is "
        f"{true_round(pairs[0][0])} against {true_round(pairs[0][1])}",
    )


def _gaussian2(results: Results) -> Verdict | None:
    pairs = _beside(results, "gaussian2", "gaussian1")
    if not pairs:
        return None
    second, first = pairs[0]
    assert second.claimed is not None and first.claimed is not None  # both are noised
    ratio = second.claimed.noise_sd / first.claimed.noise_sd
    less = [
        any(step(value(b.figures, w), value(a.figures, w)) < 0 for w in MEASURED) for a, b in pairs
    ]
    return Verdict(
        claim="Gaussian 2 gives more privacy and less accuracy, as its noise grows with T",
        source="IV.C, before Figure 6, Eq. 13",
        paper=NOT_PRINTED,
        ours=_listed([t for pair in pairs for t in pair], STRESS, OWN, FRESH),
        agrees=verdict_of(less),
        why=f"its noise is {ratio:.1f} times that of Gaussian 1 here; the true eps of all rounds "
        f"is {true_total(second)} against {true_total(first)}",
    )


def _budget(results: Results) -> Verdict | None:
    trials = [
        t for t in results.noised(*MECHANISMS) if t.claimed is not None and t.claimed.eps_per_round
    ]
    if not trials:
        return None
    kept = [(t.claimed.eps_per_round or 0) >= t.claimed.true_eps_per_round for t in trials
            if t.claimed is not None]  # fmt: skip
    shown = [t for t in trials if "gaussian1-" in t.name][:4] or trials[:4]
    return Verdict(
        claim="The noise gives (eps, delta)-DP to a user",
        source="IV.C, Eq. 11 to 13",
        paper="eps 1, 5, 15, 50",
        ours="; ".join(f"{t.what}: true {true_round(t)} for one round, {true_total(t)} for all"
                       for t in shown),
        agrees=verdict_of(kept),
        why="the whole update is clipped once, so one client (or record) moves it by 2C, not by "
        "2C / |D_i|; and every round costs anew",
    )  # fmt: skip


def _beside(results: Results, a: str, b: str) -> list[tuple[TrialRecord, TrialRecord]]:
    """Return cells of two mechanisms that differ in nothing else."""
    pairs = []
    for trial in results.noised(a):
        other = results.get(trial.name.replace(f"{a}-", f"{b}-", 1))
        if other is not None and not (trial.stopped or other.stopped):
            pairs.append((trial, other))
    return pairs


def _listed(trials: Sequence[TrialRecord], *what: str) -> str:
    return ". ".join(f"{t.what}: {said(t.figures, *what)}" for t in trials[:6])


def _own(trial: TrialRecord) -> float | None:
    return value(trial.figures, OWN)
