"""The page of a study keeps the rules of every report."""

from __future__ import annotations

import csv
import io
import re
from itertools import pairwise

import pytest
from planted_trials import claim, planted
from report_reader import Reader

from fedaffect.record import Estimate
from fedaffect.reports.study_figure import draw
from fedaffect.reports.study_page import csv_files, render_study
from fedaffect.study_record import (
    Candidate,
    Mark,
    Panel,
    StudyFigure,
    StudyRecord,
    StudyTable,
    Verdict,
)

MARKUP = '<script>alert("x")</script><img src=x onerror=y>'


def mark(series: str, at: str, value: float | None, printed: float | None = None) -> Mark:
    figure = Estimate(value=value, low=0.1, high=0.9, chance=0.25, n_people=4)
    if value is None:
        figure = Estimate(value=None, note="n/a")
    return Mark(series=series, at=at, figure=figure, printed=printed, where="IV" * bool(printed))


def dots(text: str = "a row") -> StudyFigure:
    marks = (mark("stress", text, 0.5, 0.97), mark("own head", text, None), mark("new", "b", 0.3))
    return StudyFigure(
        name="figure-2", title=f"Found {text}", about=text, panels=(Panel(title=text, marks=marks),)
    )


def curves() -> StudyFigure:
    marks = tuple(mark(name, str(r), r / 10) for name in ("K = 5", "K = 9") for r in range(1, 9))
    panels = tuple(Panel(title=t, kind="curves", marks=marks) for t in ("Stress", "Identity"))
    return StudyFigure(name="figure-3", title="Curves", about="by round", panels=panels)


def record(text: str = "plain", **changes: object) -> StudyRecord:
    trials = (
        planted("a", what=text),
        planted("b", 0.7, 0.2, 0.6, claim(5.0, 5e5), family="Gaussian 1"),
        planted("c", 0.5, None, 0.3, stopped="diverged: 3 of 40 rounds"),
    )
    setting = Candidate(
        purpose=text, lr=0.1, batch_size=16, local_epochs=1, momentum=0.9, max_grad_norm=None,
        loss=None, chosen=True, printed=False,
    )  # fmt: skip
    verdict = Verdict(claim=text, source=text, paper="97 %", ours=text, agrees="no", why=text)
    made = StudyRecord(
        study="benouis2023", title=text, citation=text, version="0", started="now", seconds=3.0,
        seeds=1, quick=True, as_printed=False, cells_done=3, cells_planned=81,
        data={"name": text, "synthetic": True, "people": 8}, settings=(setting,), notes=(text,),
        figures=(dots(text), curves()),
        tables=tuple(
            StudyTable(name=n, caption=text, columns=(text, "b"), rows=((text, "=1+1"),))
            for n in ("printed", "claims")
        ),
        verdicts=(verdict,), trials=trials,
    )  # fmt: skip
    return made.model_copy(update=changes)


@pytest.fixture(scope="module")
def page() -> str:
    return render_study(record(MARKUP))


def test_the_page_is_one_file_that_loads_and_runs_nothing(page: str) -> None:
    reader = Reader(page)
    tags = {e["tag"] for e in reader.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "base", "form", "video"}
    for element in reader.elements:
        assert not any(name.startswith("on") for name in element["attrs"])
        for name in ("href", "src", "srcset", "xlink:href"):
            assert (element["attrs"].get(name) or "#").startswith("#")
    assert "default-src 'none'" in page
    assert not re.search(r"url\((?!#)|@import", page)
    assert len(page.encode()) < 500_000


def test_headings_are_in_order_and_ids_are_used_once(page: str) -> None:
    reader = Reader(page)
    levels = [int(e["tag"][1]) for e in reader.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = [e["attrs"]["id"] for e in reader.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    targets = {e["attrs"]["href"][1:] for e in reader.elements if e["attrs"].get("href")}
    assert targets <= set(ids)


def test_every_section_of_a_quick_study_says_how_much_was_done(page: str) -> None:
    reader = Reader(page)
    tags = [e["text"] for e in reader.elements if e["attrs"].get("class") == "tag"]
    sections = sum(e["tag"] == "section" for e in reader.elements)
    assert sum("quick: 3 of 81 cells" in text for text in tags) == sections
    assert sum("Synthetic people" in text for text in tags) == sections
    whole = render_study(record(quick=False, data={"name": "wesad", "synthetic": False}))
    assert 'class="tag"' not in whole
    assert "SIMULATED federation, real recordings" in whole


def test_every_figure_has_its_table_with_chance_and_what_the_paper_prints() -> None:
    drawing = draw(dots())
    assert drawing.columns == (
        "Panel", "At", "What", "Ours", "Chance", "Paper", "Place in the paper",
    )  # fmt: skip
    first, second, _ = drawing.rows
    assert [cell.replace("\u00a0", " ") for cell in first[3:]] == [
        "50.0 % [10.0, 90.0]", "25.0 %", "97.0 %", "IV",
    ]  # fmt: skip
    assert second[3:6] == ("n/a (n/a)", "n/a", "not printed")
    assert 'role="img"' in drawing.svg
    assert len(draw(curves()).rows) == 32


def test_equal_records_give_equal_pages() -> None:
    assert render_study(record()) == render_study(record())


def test_a_csv_file_for_every_figure_and_table_without_formulas() -> None:
    files = csv_files(record())
    assert set(files) == {"figure-2", "figure-3", "printed", "claims", "tradeoff"}
    rows = list(csv.reader(io.StringIO(files["claims"])))
    assert rows[1] == ["plain", "'=1+1"]
    assert all(len(set(map(len, csv.reader(io.StringIO(text))))) == 1 for text in files.values())


def test_a_study_without_a_measured_cell_has_a_page() -> None:
    empty = record(trials=(), figures=(), tables=(), verdicts=(), settings=())
    assert "No claim." in render_study(empty)


@pytest.mark.parametrize(
    "word", ["anonymous", "anonymised", " private model", "guarantees privacy"]
)
def test_no_word_promises_too_much(word: str) -> None:
    assert word not in render_study(record())
