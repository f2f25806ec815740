"""Tables of the study: printed figures beside ours, claims and their worth, settings."""

from __future__ import annotations

from fedaffect.record import Figures
from fedaffect.reports.formats import accuracy, delta, epsilon, number, percent
from fedaffect.reproduce.benouis2023.cells import SIGMAS, noise_name
from fedaffect.reproduce.benouis2023.printed import (
    ALL,
    CENTRAL,
    FEDERATED_IDENTITY,
    FEDERATED_STRESS,
    NOT_PRINTED,
    SHARED_IDENTITY,
    Printed,
)
from fedaffect.reproduce.benouis2023.results import OWN, STRESS, Results, said
from fedaffect.study_record import StudyTable, TrialRecord


def tables(results: Results) -> tuple[StudyTable, ...]:
    """Return every table."""
    return (_printed(results), _claims(results), _splits(results))


def _printed(results: Results) -> StudyTable:
    return StudyTable(
        name="printed",
        caption="Every figure that the paper's text prints, with its place, beside ours",
        columns=("About", "Paper", "Place", "Words", "Ours"),
        rows=tuple(
            (p.what, percent(p.value), p.place, f"“{p.quote}”", _ours(results, p)) for p in ALL
        ),
    )


def _ours(results: Results, printed: Printed) -> str:
    if printed is CENTRAL:
        return said(results.figures("central"), STRESS, OWN)
    if printed is FEDERATED_STRESS:
        return said(results.figures(results.baseline), STRESS)
    if printed is FEDERATED_IDENTITY:
        return said(results.figures(results.baseline), OWN)
    if printed is SHARED_IDENTITY:
        lines = [
            f"sigma {sigma:g}: {said(results.figures(noise_name('plain', sigma, 'shared')), OWN)}"
            for sigma in SIGMAS[:2]
        ]
        return "; ".join(lines)
    return "see the verdicts: the cell it belongs to is not named"


def _claims(results: Results) -> StudyTable:
    first = next((t.claimed for t in results.all_noised if t.claimed), None)
    scope = f" (one {first.unit}, {first.adjacency}, delta {delta(first.delta)})" if first else ""
    return StudyTable(
        name="claims",
        caption=(
            f"Claimed and true epsilon{scope}, with the figures of each noised cell; the paper's "
            f"figures for these cells are {NOT_PRINTED}, save those above"
        ),
        columns=(
            "Noise", "Noise sd", "Claimed, one round", "True, one round", "True, all rounds",
            "Stress accuracy", "Chance", "Own head", "Best fresh attacker", "Chance",
        ),
        rows=tuple(_claim_row(t) for t in _with_baselines(results)),
    )  # fmt: skip


def _with_baselines(results: Results) -> list[TrialRecord]:
    beside = [results.get(results.baseline), results.get("head-kept")]
    return [t for t in (*beside, *results.all_noised) if t is not None]


def _claim_row(trial: TrialRecord) -> tuple[str, ...]:
    claimed = trial.claimed
    if claimed is None:
        privacy = ("none", "none", "no finite value", "no finite value")
    else:
        privacy = (
            number(claimed.noise_sd),
            "none" if claimed.eps_per_round is None else number(claimed.eps_per_round),
            epsilon(claimed.true_eps_per_round),
            f"{epsilon(claimed.true_eps_total)}",
        )
    return (trial.what, *privacy, *_shares(trial.figures, trial.stopped))


def _shares(f: Figures, stopped: str) -> tuple[str, ...]:
    if stopped:
        return (stopped, *["n/a"] * 4)
    return (
        accuracy(f.stress_accuracy),
        percent(f.stress_accuracy.chance),
        accuracy(f.identity_own_head),
        accuracy(f.identity_strongest),
        percent(f.identity_strongest.chance),
    )


def _splits(results: Results) -> StudyTable:
    """Return the same training on the paper's split and on one that leaks nothing."""
    rows = []
    for trial in results.trials.values():
        if not trial.name.startswith("unseen-"):
            continue
        same = trial.name.removeprefix("unseen-")
        leaking = results.get(results.baseline if same == "federated" else same)
        for split, one in (("random windows", leaking), ("unseen people", trial)):
            if one is not None:
                rows.append((one.what, split, *_shares(one.figures, one.stopped)))
    return StudyTable(
        name="splits",
        caption=(
            "The paper's split (random windows, which overlap across it) beside stress on unseen "
            "people and identity on held-out blocks of time"
        ),
        columns=("Cell", "Split", "Stress accuracy", "Chance", "Own head",
                 "Best fresh attacker", "Chance"),
        rows=tuple(rows),
    )  # fmt: skip
