"""study.html: a paper's figures, measured again, on one page without scripts or loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedaffect.record import Estimate
from fedaffect.reports.csv_file import to_csv
from fedaffect.reports.formats import accuracy, duration, number, percent, plural
from fedaffect.reports.html_page import thinned
from fedaffect.reports.page_template import render
from fedaffect.reports.pareto import Point, tradeoff_front
from fedaffect.reports.study_figure import draw
from fedaffect.reports.svg import Drawing
from fedaffect.reports.wording import SIMULATED, SYNTHETIC
from fedaffect.study_record import Candidate, StudyRecord, StudyTable, TrialRecord

SECTIONS = (
    ("summary", "Summary"),
    ("verdicts", "Verdicts"),
    ("printed", "Printed figures"),
    ("figures", "Figures"),
    ("tradeoff", "Trade-off"),
    ("claims", "Tables"),
    ("setting", "Training setting"),
    ("trials", "Cells"),
    ("limits", "Limits"),
)
VERDICT_COLUMNS = ("Claim", "Agrees", "Paper", "Ours", "Why", "Place")
EXPECTED_COLUMNS = ("To be shown", "Shown", "Expected", "Measured", "Why", "Where")
SETTING_COLUMNS = (
    "For", "Rate", "Batch", "Local epochs", "Momentum", "Gradient bound", "Loss", "Chosen",
)  # fmt: skip
TRIAL_COLUMNS = (
    "Cell", "Folds", "Windows a client", "Stress accuracy", "Stress balanced accuracy", "Chance",
    "Own head (not a privacy metric)", "Best fresh attacker", "Raw features", "Chance", "Guarantee",
    "Time",
)  # fmt: skip
OF_A_PAPER = (
    "Differences between cells have no interval of their own.",
    "True eps is of the noised blocks for one round; where other blocks leave in the clear, no "
    "finite eps holds for the whole model.",
)
LIMITS = (
    "Intervals are over people and hold for these people's kind.",
    "The fresh attackers read the embedding of the first fold's model; stronger attacks may exist. "
    "What is not detected by these attacks may still be there.",
    "Figures of cells without DP are not private. With real people's data keep them to yourself.",
)


def render_study(record: StudyRecord) -> str:
    """Return the page of a study as text: self-contained, and equal for equal records."""
    synthetic = bool(record.data.get("synthetic"))
    by_name = {table.name: table for table in record.tables}
    tradeoff = _tradeoff(record.trials)
    return render(
        "study.html.j2",
        {"thinned": thinned},
        record=record,
        sections=_sections(by_name, tradeoff),
        synthetic=synthetic,
        banner=SYNTHETIC if synthetic else SIMULATED,
        scale=scale(record),
        took=duration(record.seconds),
        facts=_facts(record),
        verdict_columns=VERDICT_COLUMNS if "printed" in by_name else EXPECTED_COLUMNS,
        verdicts=[(v.claim, v.agrees, v.paper, v.ours, v.why, v.source) for v in record.verdicts],
        counts=_counts(record),
        printed=by_name.get("printed"),
        tables=[table for table in record.tables if table.name != "printed"],
        figures=[(figure, draw(figure)) for figure in record.figures],
        tradeoff=tradeoff,
        setting_columns=SETTING_COLUMNS,
        settings=[_setting_row(c) for c in record.settings],
        chosen=[at for at, c in enumerate(record.settings) if c.chosen],
        trial_columns=TRIAL_COLUMNS,
        trials=[_trial_row(t) for t in record.trials],
        limits=(*LIMITS, *OF_A_PAPER) if "printed" in by_name else LIMITS,
    )


def _sections(
    tables: Mapping[str, StudyTable], tradeoff: Drawing | None
) -> tuple[tuple[str, str], ...]:
    """Return the sections that have something to show."""
    there = {"printed": "printed" in tables, "tradeoff": tradeoff is not None}
    return tuple(section for section in SECTIONS if there.get(section[0], True))


def scale(record: StudyRecord) -> str:
    """Say how much of the study was carried out."""
    kind = "quick: " if record.quick else ""
    cells = f"{kind}{record.cells_done} of {plural(record.cells_planned, 'cell')}"
    seeds = f", {plural(record.seeds, 'seed')}"
    printed = ", as printed: every cell keeps the paper's optimizer" if record.as_printed else ""
    return cells + seeds + printed


def csv_files(record: StudyRecord) -> dict[str, str]:
    """Return name to content of a CSV file for every figure and table."""
    drawings = {f.name: f for f in (draw(figure) for figure in record.figures)}
    for table in record.tables:
        drawings[table.name] = _as_drawing(table)
    trade = _tradeoff(record.trials)
    if trade is not None:
        drawings["tradeoff"] = trade
    return {name: to_csv(drawing) for name, drawing in drawings.items()}


def _as_drawing(table: StudyTable) -> Drawing:
    return Drawing(table.name, table.caption, table.caption, "", table.columns, table.rows)


def _tradeoff(trials: Sequence[TrialRecord]) -> Drawing | None:
    points = [
        Point(
            name=t.what,
            utility=t.figures.stress_balanced_accuracy,
            leak=t.figures.identity_strongest,
            family=t.family,
            filled=t.status == "FORMAL",
        )
        for t in trials
        if not t.stopped and t.leaks_overlap
    ]
    measured = [p for p in points if p.pair is not None]
    if not measured:
        return None
    return tradeoff_front(measured)


def _counts(record: StudyRecord) -> str:
    total = len(record.verdicts)
    told = [
        f"{count} {word}"
        for word in ("yes", "partly", "no", "not comparable")
        if (count := sum(v.agrees == word for v in record.verdicts))
    ]
    return f"{plural(total, 'claim')} looked at: {', '.join(told)}." if total else "No claim."


def _facts(record: StudyRecord) -> list[tuple[str, str]]:
    data = record.data
    return [
        ("Source", f"{record.citation}: {record.title}"),
        ("Data set", str(data.get("name", "not stated"))),
        ("People", number(data.get("people"))),
        ("Windows", f"{number(data.get('windows'))} of {number(data.get('window_s'))} s"),
        ("Windows with stress", number(data.get("stress_windows"))),
        ("Licence", str(data.get("licence") or "not stated")),
        ("Data fingerprint", str(data.get("fingerprint", "not stated"))),
        ("Started", record.started),
        ("Took", duration(record.seconds)),
    ]


def _setting_row(c: Candidate) -> tuple[str, ...]:
    return (
        c.purpose,
        number(c.lr),
        number(c.batch_size),
        number(c.local_epochs),
        number(c.momentum),
        "none" if c.max_grad_norm is None else number(c.max_grad_norm),
        "diverged" if c.loss is None else number(c.loss),
        "yes" if c.chosen else "printed in the paper" if c.printed else "no",
    )


def _trial_row(t: TrialRecord) -> tuple[str, ...]:
    f = t.figures
    low, high = min(t.windows_per_client), max(t.windows_per_client)
    shares: tuple[Any, ...] = (
        accuracy(f.stress_accuracy),
        accuracy(f.stress_balanced_accuracy),
        _chances(f.stress_accuracy, f.stress_balanced_accuracy),
        accuracy(f.identity_own_head),
        accuracy(f.identity_strongest),
        percent(f.raw_features_attack.value),
        percent(f.identity_strongest.chance),
    )
    if t.stopped:
        shares = (t.stopped, *["n/a"] * 6)
    sizes = number(low) if low == high else f"{number(low)} to {number(high)}"
    return (t.what, str(t.folds), sizes, *shares, t.status, duration(t.seconds))


def _chances(first: Estimate, second: Estimate) -> str:
    return f"{percent(first.chance)}, {percent(second.chance)}"
