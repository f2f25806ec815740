"""Figures 2 to 8 of the paper, measured again: what is drawn, and the finding above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedaffect.record import Estimate
from fedaffect.reports.formats import percent
from fedaffect.reproduce.benouis2023.cells import BUDGETS, CLIENTS, LAYERS, MECHANISMS, noise_name
from fedaffect.reproduce.benouis2023.printed import (
    CENTRAL,
    FEDERATED_IDENTITY,
    FEDERATED_STRESS,
    SHARED_IDENTITY,
    Printed,
)
from fedaffect.reproduce.benouis2023.results import MEASURED, OWN, STRESS, Results, worth
from fedaffect.study_record import CurvePoint, Mark, Panel, StudyFigure, TrialRecord

Rows = Sequence[tuple[str, str]]  # what is written, name of the cell
Known = Mapping[tuple[str, str], Printed]  # name of the cell and series to what the paper prints

_NO_VALUE = Estimate(value=None, note="not measured")
_DOTS = (
    "Accuracy with 95 % intervals over people; ticks: chance; diamonds: what the paper's text "
    "prints. The own identity head is not a privacy metric; the fresh attacker is trained anew."
)


def figures(results: Results) -> tuple[StudyFigure, ...]:
    """Return the figures that the study has cells for."""
    plain = {("plain-0.1-shared", OWN): SHARED_IDENTITY, ("plain-0.3-shared", OWN): SHARED_IDENTITY}
    made = [
        _baselines(results),
        _curves(results),
        _noise(results, "figure-4", "Gaussian noise", _sigmas(results, (0.1, 0.3)), plain),
        _noise(results, "figure-5", "Gaussian noise", _sigmas(results, (0.6,)), plain),
        _noise(results, "figure-6", "claimed eps 1 and 5", _budgets(results, BUDGETS[:2]), {}),
        _noise(results, "figure-7", "claimed eps 15 and 50", _budgets(results, BUDGETS[2:]), {}),
        _noise(results, "figure-8", "three distributions", _distributions(results), {}),
    ]
    return tuple(figure for figure in made if figure is not None)


def _baselines(results: Results) -> StudyFigure | None:
    known = {
        ("central", STRESS): CENTRAL,
        ("central", OWN): CENTRAL,
        (results.baseline, STRESS): FEDERATED_STRESS,
        (results.baseline, OWN): FEDERATED_IDENTITY,
    }
    rows = [
        ("central", "central"),
        ("federated, both tasks", results.baseline),
        ("federated, stress alone", "stress-only"),
        ("federated, identity alone", "identity-only"),
        ("identity head not uploaded", "head-kept"),
        ("central, printed optimizer", "printed-central"),
        ("federated, printed optimizer", "printed-federated"),
        ("federated, held-out blocks of time", "blocks-federated"),
        ("federated, unseen people", "unseen-federated"),
    ]
    central, federated = results.figures("central"), results.figures(results.baseline)
    if central is None or federated is None:
        return None
    return StudyFigure(
        name="figure-2",
        title=(
            f"Central training reaches {percent(central.stress_accuracy.value)} of stress and "
            f"{percent(central.identity_own_head.value)} of identity, federated "
            f"{percent(federated.stress_accuracy.value)} and "
            f"{percent(federated.identity_own_head.value)}"
        ),
        about=f"Figure 2 and the baselines of section IV.B. {_DOTS}",
        panels=(Panel(title="Without noise", marks=_dots(results, rows, known)),),
    )


def _curves(results: Results) -> StudyFigure | None:
    by_clients = [(f"K = {k}", f"clients-{k}") for k in CLIENTS]
    by_share = [
        ("IID", results.baseline),
        ("non-IID: Dirichlet", "dirichlet"),
        ("non-IID: whole people", "subject"),
    ]
    panels = [
        Panel(title=f"{task}, {title}", kind="curves", marks=marks)
        for title, rows in (("number of clients", by_clients), ("who holds what", by_share))
        for task, part in (("Stress", "stress"), ("Identity, own head", "identity"))
        if (marks := _lines(results, rows, part))
    ]
    few, many = (results.get(f"clients-{k}") for k in (CLIENTS[0], CLIENTS[-1]))
    if not panels or few is None or many is None:
        return None
    own = [t.figures.identity_own_head.value for t in (few, many)]
    return StudyFigure(
        name="figure-3",
        title=(
            f"From {CLIENTS[0]} to {CLIENTS[-1]} clients of equally many windows the own identity "
            f"head goes from {percent(own[0])} to {percent(own[1])}"
        ),
        about=(
            "Balanced accuracy of stress and accuracy of the own identity head after every round, "
            "mean over folds, without intervals; those of the last round are in the trials."
        ),
        panels=tuple(panels),
    )


def _lines(results: Results, rows: Rows, part: str) -> tuple[Mark, ...]:
    marks = []
    for text, name in rows:
        trial = results.get(name)
        for point in trial.curve if trial is not None else ():
            at = _point(point, part)
            chance = _chance(trial, part)
            if at is not None:
                figure = Estimate(value=at, chance=chance)
                marks.append(Mark(series=text, at=str(point.round), figure=figure))
    return tuple(marks)


def _point(point: CurvePoint, part: str) -> float | None:
    return point.stress_balanced_accuracy if part == "stress" else point.identity_own_head


def _chance(trial: TrialRecord | None, part: str) -> float | None:
    if trial is None:
        return None
    f = trial.figures
    return (f.stress_balanced_accuracy if part == "stress" else f.identity_own_head).chance


def _sigmas(results: Results, sigmas: Sequence[float]) -> list[tuple[str, Rows]]:
    return [
        (f"sigma {sigma:g}", [(LAYERS[at], noise_name("plain", sigma, at)) for at in LAYERS])
        for sigma in sigmas
    ]


def _budgets(results: Results, budgets: Sequence[float]) -> list[tuple[str, Rows]]:
    return [
        (
            f"claimed eps {eps:g} a round",
            [(f"{text}, {LAYERS[at]}", noise_name(m, eps, at)) for m, text in MECHANISMS.items()
             for at in LAYERS],
        )
        for eps in budgets
    ]  # fmt: skip


def _distributions(results: Results) -> list[tuple[str, Rows]]:
    return [
        (
            f"noise on {LAYERS[at]}",
            [(text, noise_name(m, eps, at)) for m, text in MECHANISMS.items() for eps in BUDGETS],
        )
        for at in ("task", "all")
    ]  # fmt: skip


def _noise(
    results: Results, name: str, what: str, wanted: Sequence[tuple[str, Rows]], known: Known
) -> StudyFigure | None:
    beside: Rows = [("no noise", results.baseline), ("identity head not uploaded", "head-kept")]
    panels, noised = [], []
    for title, rows in wanted:
        trials = [(text, trial) for text, cell in rows if (trial := results.get(cell)) is not None]
        if trials:
            noised += [trial for _, trial in trials]
            named = [(f"{text}\n{worth(t)}", t.name) for text, t in trials]
            panels.append(Panel(title=title, marks=_dots(results, [*beside, *named], known)))
    if not panels:
        return None
    return StudyFigure(
        name=name,
        title=_finding(results, what, noised),
        about=(
            f"{_DOTS} True: eps of one round for one client (replace-one, delta 1e-5) by our "
            "accountants, of the noised blocks, given the model that was sent."
        ),
        panels=tuple(panels),
    )


def _finding(results: Results, what: str, noised: Sequence[TrialRecord]) -> str:
    own = [v for t in noised if (v := t.figures.identity_own_head.value) is not None]
    fresh = [v for t in noised if (v := t.figures.identity_strongest.value) is not None]
    clean = results.figures(results.baseline)
    before = clean.identity_strongest.value if clean is not None else None
    if not own or not fresh:
        return f"{what.capitalize()}: no identity head or attacker could be measured"
    found = " to ".join(dict.fromkeys(percent(v) for v in (min(fresh), max(fresh))))
    return (
        f"{what.capitalize()}: the own identity head goes down to {percent(min(own))}, a fresh "
        f"attacker finds {found}, without noise {percent(before)}"
    )


def _dots(results: Results, rows: Rows, known: Known) -> tuple[Mark, ...]:
    """Return three marks a row, for every cell that the study has."""
    marks = []
    for text, name in rows:
        trial = results.get(name)
        if trial is None:
            continue
        for series, get in MEASURED.items():
            printed = known.get((name, series))
            marks.append(
                Mark(
                    series=series,
                    at=text,
                    figure=get(trial.figures) if not trial.stopped else _NO_VALUE,
                    printed=printed.value if printed else None,
                    where=printed.place if printed else "",
                )
            )
    return tuple(marks)
