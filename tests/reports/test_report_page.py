from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from audit_sample import sample_audit
from report_reader import BANNED, CASES, FIGURED, page, read, without_figures, words
from report_sample import sample

import fedaffect.reports
from fedaffect.reports.html_page import render_html, thinned

each_case = pytest.mark.parametrize("case", CASES)


@each_case
def test_the_page_runs_nothing_and_loads_nothing(case):
    text = page(case)
    assert not re.search(r"https?://|\bsrc\s*=|@import|<script|javascript:|<link|<iframe", text)
    assert not re.search(r"url\((?!#)", text)
    for element in read(case).elements:
        for name, value in element["attrs"].items():
            assert not name.startswith("on")
            if name.endswith("href"):
                assert value.startswith(("#", "data:image/png;base64,"))


def test_the_policy_forbids_everything_else():
    metas = read("formal").all("meta")
    policy = next(m for m in metas if "http-equiv" in m["attrs"])["attrs"]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@each_case
def test_the_page_is_small(case):
    assert len(page(case).encode()) < 300_000


def test_a_large_run_stays_below_500_kb():
    record = sample(partition="iid", clients=200, people=104, rounds=100, folds=15)
    text = render_html(record, sample_audit(people=100))
    assert len(text.encode()) < 480_000
    assert "200 of 1500 rows; all are in report.json" in words(text)


@each_case
def test_headings_descend_one_level_at_a_time_from_a_single_h1(case):
    levels = [int(e["tag"][1]) for e in read(case).all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


@each_case
def test_every_table_has_a_caption_and_every_header_a_scope(case):
    tables = read(case).all("table")
    assert len(tables) > 10
    captions = [e["within"][-1] for e in read(case).all("caption") if e["text"].strip()]
    assert [id(t) for t in tables] == [id(t) for t in captions]
    assert all(e["attrs"].get("scope") in ("col", "row") for e in read(case).all("th"))
    assert read(case).all("th")


@pytest.mark.parametrize("case", FIGURED)
def test_every_figure_has_a_caption_an_image_with_title_and_desc_and_its_table(case):
    figures = read(case).all("figure")
    assert len(figures) == {"formal": 7, "partial": 6, "audited": 10}[case]
    for figure in figures:
        inner = [e for e in read(case).elements if any(a is figure for a in e["within"])]
        tags = [e["tag"] for e in inner]
        for tag in ("figcaption", "svg", "title", "desc", "details", "table"):
            assert tags.count(tag) == 1, tag
        svg = next(e for e in inner if e["tag"] == "svg")
        assert svg["attrs"]["role"] == "img"


@each_case
def test_ids_are_unique_and_links_within_the_page_lead_somewhere(case):
    ids = [e["attrs"]["id"] for e in read(case).elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    targets = [e["attrs"]["href"][1:] for e in read(case).all("a")]
    labelled = [
        i for e in read(case).elements for i in e["attrs"].get("aria-labelledby", "").split()
    ]
    assert set(targets) | set(labelled) <= set(ids)
    assert len(targets) == (16 if case in FIGURED else 15)  # curves need a figure


def test_language_skip_link_and_sections_in_order():
    html = read("formal").all("html")[0]
    assert html["attrs"]["lang"] == "en"
    first = read("formal").all("a")[0]
    assert (first["attrs"]["class"], first["attrs"]["href"]) == ("skip", "#summary")
    assert [e["attrs"]["id"] for e in read("formal").all("section")] == [
        "summary",
        "protected",
        "guarantee",
        "forecast",
        "data",
        "utility",
        "people",
        "tradeoff",
        "curves",
        "attacks",
        "audit",
        "hazards",
        "limits",
        "reproduce",
        "glossary",
    ]


@each_case
def test_banned_words_do_not_occur(case):
    lowered = words(page(case)).lower()
    assert [w for w in BANNED if w in lowered] == []


def test_banned_words_do_not_occur_in_any_source_of_the_reports():
    folder = Path(fedaffect.reports.__file__).parent
    sources = [*folder.glob("*.py"), *folder.glob("templates/*")]
    assert len(sources) > 10
    for source in sources:
        lowered = words(source.read_text(encoding="utf-8")).lower()
        assert [w for w in BANNED if w in lowered] == [], source.name


def test_rendering_is_repeatable():
    record, audit = sample(), sample_audit()
    assert without_figures(record, audit) == without_figures(record, audit)


def test_thinned_keeps_both_ends():
    assert thinned(range(10), 20) == list(range(10))
    kept = thinned(range(1000), 7)
    assert (len(kept), kept[0], kept[-1]) == (7, 0, 999)
