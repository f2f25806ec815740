"""Tables of the study: printed figures beside ours, claims and their worth, settings."""

from __future__ import annotations

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

FIGURE_COLUMNS = (
    "Stress accuracy", "Own head", "Best fresh attacker", "Chance: stress, identity",
)  # fmt: skip
RANDOM = "random windows"
SPLITS = {
    "blocks": "held-out blocks of time, both tasks",
    "unseen": "stress: unseen people; identity: held-out blocks of the others",
}


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
        columns=("Noise", "Noise sd", "Claimed, a round", "True, a round", "True, all rounds",
                 *FIGURE_COLUMNS),
        rows=tuple(_claim_row(t) for t in _with_baselines(results)),
    )  # fmt: skip


def _with_baselines(results: Results) -> list[TrialRecord]:
    beside = [results.get(results.baseline), results.get("head-kept")]
    return [t for t in (*beside, *results.all_noised) if t is not None]


def _claim_row(trial: TrialRecord) -> tuple[str, ...]:
    claimed = trial.claimed
    if claimed is None:
        return (trial.what, *["no noise"] * 4, *_shares(trial))
    eps = claimed.eps_per_round
    return (
        trial.what.replace(f" claimed eps {eps:g} a round," if eps else "", ""),
        number(claimed.noise_sd),
        "none" if eps is None else number(eps),
        epsilon(claimed.true_eps_per_round),
        epsilon(claimed.true_eps_total),
        *_shares(trial),
    )


def _shares(trial: TrialRecord) -> tuple[str, ...]:
    if trial.stopped:
        return (trial.stopped, "n/a", "n/a", "n/a")
    f = trial.figures
    return (
        accuracy(f.stress_accuracy),
        accuracy(f.identity_own_head),
        accuracy(f.identity_strongest),
        f"{percent(f.stress_accuracy.chance)}, {percent(f.identity_strongest.chance)}",
    )


def _splits(results: Results) -> StudyTable:
    """Return the same training on the paper's split and on those that leak nothing."""
    rows = []
    for trial in results.trials.values():
        split = trial.name.partition("-")[0]
        if split not in SPLITS:
            continue
        same = trial.name.removeprefix(f"{split}-")
        leaking = results.get(results.baseline if same == "federated" else same)
        for words, one in ((RANDOM, leaking), (SPLITS[split], trial)):
            if one is not None:
                rows.append((one.what, words, *_shares(one)))
    return StudyTable(
        name="splits",
        caption=(
            "The paper's split (random windows, which overlap across it) beside splits that leak "
            "nothing"
        ),
        columns=("Cell", "Split", *FIGURE_COLUMNS),
        rows=tuple(dict.fromkeys(rows)),
    )
