"""Tables, verdicts and notes of the study, from trials whose figures are known."""

from __future__ import annotations

from planted_trials import planted

from fedaffect.record import Estimate
from fedaffect.reports.study_page import SECTIONS, render_study
from fedaffect.reproduce.private_head import PrivateHead, cells
from fedaffect.reproduce.private_head.results import Results
from fedaffect.reproduce.private_head.verdicts import verdicts
from fedaffect.reproduce.study import Options
from fedaffect.study_record import ReleaseFigures, StudyRecord, TrialRecord

NOT_RUN = Estimate(value=None, note="not run (nothing of them is released)")
AREA = Estimate(value=0.6, low=0.5, high=0.7, chance=0.5, n_people=4)


def figures_of(scores: list[float], *, private: bool, draws: int = 1) -> ReleaseFigures:
    return ReleaseFigures(
        tested_on="unseen people", people=("a", "b", "c", "d"),
        stress=tuple(tuple(s + 0.01 * d for s in scores) for d in range(draws)),
        public=(0.5,) * 4, numbers=9 if private else 0, parameters=99, rounds=5 if private else 0,
        eps=2.0 if private else None, delta=1e-5 if private else None,
        noise_multiplier=4.458 if private else None, break_even=13.4 if private else None,
        simulated_status="FORMAL" if private else "nothing is released",
        attacked_releases=5 if private else 0,
        membership=AREA if private else NOT_RUN, left_out=AREA if private else NOT_RUN,
    )  # fmt: skip


def trials_of(data: str, private: list[float], open_: list[float]) -> dict[str, TrialRecord]:
    found = {}
    for scene in cells.scenes(Options(data=data), 8):
        for row, scores in (
            (cells.PUBLIC, [0.5, 0.5, 0.6, 0.6]),
            (cells.OPEN, open_),
            (cells.budget_row(2), private),
        ):
            name = cells.cell_name(scene.name, "subject", row)
            draws = 3 if row.startswith("eps") else 1
            few = figures_of(scores, private=row.startswith("eps"), draws=draws)
            found[name] = planted(name, what=row).model_copy(update={"released": few})
    return found


def answers(data: str, private: list[float], open_: list[float]) -> list[str]:
    return [
        v.agrees for v in verdicts(Results(Options(data=data), trials_of(data, private, open_)))
    ]


def test_a_head_that_regains_is_told_from_one_that_does_not() -> None:
    much, little = [0.68, 0.68, 0.78, 0.78], [0.53, 0.53, 0.63, 0.63]
    assert answers("synthetic", much, [0.7, 0.7, 0.8, 0.8])[0] == "yes"
    assert answers("synthetic", little, [0.7, 0.7, 0.8, 0.8])[0] == "no"
    # the control: a gain is an error, a loss is the price of noise
    assert answers("synthetic", much, [0.7, 0.7, 0.8, 0.8])[1] == "no"
    assert answers("synthetic", [0.45, 0.45, 0.55, 0.55], [0.5, 0.5, 0.6, 0.6])[:2] == [
        "not comparable", "yes",
    ]  # fmt: skip


def test_a_head_that_is_not_ahead_of_public_only_is_said_to_be_none() -> None:
    better, same = [0.6, 0.6, 0.7, 0.7], [0.49, 0.5, 0.6, 0.58]
    assert answers("stress_predict", better, better) == ["yes"] * 4
    assert answers("stress_predict", same, better) == ["no"] * 4


def test_tables_name_chance_draws_and_what_the_promise_allows() -> None:
    trials = trials_of("synthetic", [0.6, 0.6, 0.7, 0.7], [0.7, 0.7, 0.8, 0.8])
    found = PrivateHead().findings(Options(), trials)
    tables = {table.name: table for table in found.tables}
    private = next(r for r in tables["stress-shifted"].rows if r[0] == "eps-2")
    assert private[3:6] == ("3", "65.0\u00a0% to 67.0\u00a0%", "+11.0 [+11.0, +11.0]")
    told = next(r for r in tables["attacks-shifted"].rows if r[0] == "eps-2")
    # mu = 2 sqrt(5) / 4.458; Phi(mu / sqrt 2) = 0.761
    assert told[4].endswith("chance 50.0\u00a0%, at most 76.1\u00a0%")
    released = next(r for r in tables["release-shifted"].rows if r[0] == "eps-2")
    assert released[2:] == ("9 x 5", "4.458", "13.4", "2.00", "FORMAL")
    start = next(r for r in tables["attacks-shifted"].rows if r[0] == "public")
    assert start[4] == NOT_RUN.note
    words = " ".join(found.notes)
    assert "must never be released" in words and "private from" not in words
    assert [f.name for f in found.figures] == [
        "scene-shifted", "scene-control", "scene-shipped",
    ]  # fmt: skip


def test_the_page_of_a_study_without_a_paper_speaks_of_none() -> None:
    trials = trials_of("synthetic", [0.6, 0.6, 0.7, 0.7], [0.7, 0.7, 0.8, 0.8])
    found = PrivateHead().findings(Options(), trials)
    page = render_study(
        StudyRecord(
            study="private-head", title="t", citation="fedaffect", version="0", started="now",
            seconds=1.0, seeds=1, quick=False, as_printed=False, cells_done=6, cells_planned=6,
            data={"name": "synthetic", "synthetic": True}, notes=found.notes,
            figures=found.figures, tables=found.tables, verdicts=found.verdicts,
            trials=tuple(trials.values()),
        )
    )  # fmt: skip
    assert "Figures 2 to 8" not in page and "printed" not in page.lower().split("</style>")[1]
    assert "Expected" in page and 'href="#printed"' not in page
    assert dict(SECTIONS)["claims"] in page
