from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from report_sample import FORMAL, NO_DP, PARTIAL, sample

import fedaffect.reports
from fedaffect.reports import wording
from fedaffect.reports.html_page import render_html, thinned
from fedaffect.reports.svg import COLOURS

BANNED = (
    "anonymous",
    "fully private",
    "guarantees anonymity",
    "gdpr-compliant",
    "hipaa-safe",
    "cannot be re-identified",
)
CASES = {
    "formal": {},
    "partial": {"privacy": PARTIAL, "partition": "dirichlet", "synthetic": False},
    "random": {"privacy": NO_DP, "spec": "random", "synthetic": False, "folds": 5},
    "blocks": {"privacy": NO_DP, "spec": "blocks"},
}
BLOCKS = {"p", "h2", "h3", "dt", "dd", "th", "td", "li", "caption", "figcaption", "small"}
VOID = {"meta", "br", "hr", "img", "input", "link"}


@cache
def page(case: str) -> str:
    return render_html(sample(**CASES[case]))


class Reader(HTMLParser):
    """Elements in order with their attributes, text and ancestors; refuses unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open[-1]["tag"]

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "within": list(self.open)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag
        if tag in BLOCKS:
            self.handle_data(" ")

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, *tags):
        return [e for e in self.elements if e["tag"] in tags]


@cache
def read(case: str) -> Reader:
    return Reader(page(case))


def words(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


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
    text = render_html(sample(partition="iid", clients=200, people=104, rounds=100, folds=15))
    assert len(text.encode()) < 500_000
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


@each_case
def test_every_figure_has_a_caption_an_image_with_title_and_desc_and_its_table(case):
    figures = read(case).all("figure")
    assert len(figures) == 5
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
    assert len(targets) == 13


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
        "tradeoff",
        "curves",
        "attacks",
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
    assert render_html(sample()) == page("formal")


# What the page says


def section(case: str, anchor: str) -> str:
    found = [e for e in read(case).all("section") if e["attrs"]["id"] == anchor]
    return words(found[0]["text"])


def test_the_summary_shows_the_pair_with_interval_chance_and_reference():
    text = section("formal", "summary")
    assert "70.2 % [59.2, 81.2] 95 %, 4 people on held-out people" in text
    assert "Identity, strongest fresh attacker (nearest neighbours) 35.2 %" in text
    assert "Without DP 87.1 % [76.1, 98.1]" in text
    assert "Own head (not a privacy metric) 6.7 % [5.9, 7.5], chance 5.0 %" in text
    assert FORMAL["sentence"] in text
    assert "(ε = 5.00, δ = 1e-5), per client" in text


def test_three_conclusions_are_warned_against():
    lines = wording.do_not_conclude(sample())
    assert len(lines) == 3
    shown = section("formal", "summary")
    assert all(words(line) in shown for line in lines)
    assert "A weak attack is not evidence of privacy" in shown


def test_no_epsilon_is_shown_without_dp():
    assert not re.search(r"ε = \d", page("random"))
    assert "No formal guarantee" in section("random", "summary")
    assert "no finite epsilon" in section("partial", "summary")


def test_every_epsilon_stands_with_its_delta_and_unit():
    for case in ("formal", "partial"):
        shown = [words(m) for m in re.findall(r"ε = [^<]*", page(case))]
        assert shown
        for text in shown:
            assert re.match(r"ε = [\d.,]+, δ = [\de.-]+\),? (per client|per person)", text), text


def test_synthetic_people_are_marked_wherever_results_appear():
    for anchor in ("summary", "data", "utility", "tradeoff", "curves", "attacks"):
        assert "Synthetic people" in section("formal", anchor)
        assert "Synthetic people" not in section("partial", anchor)
    assert "SYNTHETIC people." in words(page("formal").replace("</strong>", ""))
    assert "SIMULATED federation, real recordings" in page("partial")


def test_a_leaking_split_is_marked_in_red_beside_every_result():
    for anchor in ("data", "utility", "attacks"):
        assert "Leaking split." in section("random", anchor)
        assert "Leaking split." not in section("formal", anchor)
    assert "held-out people" not in section("random", "utility")


def test_the_own_head_is_explained_where_a_client_is_a_person():
    text = section("formal", "attacks")
    assert "stays near chance by construction" in text
    assert "the own head reaches 75.2 % [74.4, 76.0], chance 5.0 %" in text
    assert "by construction" not in page("partial")


def test_seen_people_are_not_called_held_out():
    assert "held-out time blocks of people seen in training" in section("blocks", "utility")


def test_the_verdict_follows_the_intervals():
    record = sample()
    assert wording.verdict(record).endswith("but a fresh attacker still recognises people.")

    def shifted(**changes):
        moved = {
            key: getattr(record.figures, key).model_copy(update={"low": low})
            for key, low in changes.items()
        }
        return record.model_copy(update={"figures": record.figures.model_copy(update=moved)})

    nothing = wording.verdict(shifted(stress_balanced_accuracy=0.48, identity_strongest=0.04))
    assert "does not clearly read stress" in nothing
    assert "no attacker tried here clearly recognises" in nothing
    unknown = wording.verdict(shifted(stress_balanced_accuracy=None))
    assert unknown.startswith("Whether the model reads stress above chance cannot be said")


def test_the_configuration_is_shown_without_the_output_folder():
    text = section("formal", "reproduce")
    assert 'partition = "subject"' in text
    assert "/somewhere" not in page("formal")
    assert sample().provenance.config_sha256 in text


# Hostile and poor records

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"


def poisoned(value, key=""):
    if isinstance(value, dict):
        return {k: poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(v, key) for v in value]
    keep = key in ("kind", "status", "policy")
    return EVIL + value if isinstance(value, str) and not keep else value


def test_markup_in_any_text_of_the_record_is_inert():
    record = sample()
    values = poisoned(record.model_dump(mode="json"))
    values["figures"]["identity_attacks"] = {
        EVIL + k: v for k, v in values["figures"]["identity_attacks"].items()
    }
    text = render_html(type(record).model_validate(values))
    reader = Reader(text)
    assert reader.all("script", "img") == []
    assert not any(n.startswith("on") for e in reader.elements for n in e["attrs"])
    assert "&lt;script&gt;alert(" in text


def test_a_poor_record_still_gives_a_page():
    record = sample(privacy=NO_DP, partition="iid")
    nothing = record.figures.stress_accuracy.model_copy(
        update={"value": None, "low": None, "high": None, "chance": None, "note": ""}
    )
    poor = record.figures.model_copy(
        update={
            **{k: nothing for k in type(record.figures).model_fields if "_" in k},
            "identity_attacks": {},
            "strongest_attack": "",
            "per_person": (),
        }
    )
    text = render_html(
        record.model_copy(update={"figures": poor, "rounds": (), "privacy": {}, "no_dp": None})
    )
    reader = Reader(text)
    assert len(reader.all("figure")) == 3
    assert "assume that nothing is guaranteed" in text
    shown = re.split(r"\W+", re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", text, flags=re.S))
    assert not {"nan", "None", "null"} & set(shown)


def test_thinned_keeps_both_ends():
    assert thinned(range(10), 20) == list(range(10))
    kept = thinned(range(1000), 7)
    assert (len(kept), kept[0], kept[-1]) == (7, 0, 999)


# Colours


def palettes():
    css = (Path(fedaffect.reports.__file__).parent / "templates/report.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", css)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    return dict(zip(("light", "dark", "print"), found, strict=True))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula_itself():
    # WCAG 2.2: black on white is 21:1; #767676 on white is the well-known 4.54:1
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_has_contrast_of_at_least_4_5_and_marks_of_3(theme):
    p = palettes()[theme]
    pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("page", "panel")]
    pairs += [("ink", "tint"), ("danger-ink", "danger-tint"), ("note-ink", "note-tint")]
    for ink, ground in pairs:
        assert contrast(p[ink], p[ground]) >= 4.5, (ink, ground)
    for mark in ("blue", "vermillion", "green", "purple"):
        assert contrast(p[mark], p["panel"]) >= 3.0, mark


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_on_the_densest_cell_of_the_heat_map_are_legible(theme):
    p = palettes()[theme]
    blue, panel = COLOURS["blue"], p["panel"]  # cells are this blue at 0.60 opacity, or less
    mixed = "#" + "".join(
        f"{round(0.6 * int(blue[i : i + 2], 16) + 0.4 * int(panel[i : i + 2], 16)):02x}"
        for i in (1, 3, 5)
    )
    assert contrast(p["ink"], mixed) >= 4.5


def test_a_drawing_on_its_own_has_the_light_colours_of_the_page():
    light = palettes()["light"]
    assert {name: light[name] for name in COLOURS} == COLOURS
