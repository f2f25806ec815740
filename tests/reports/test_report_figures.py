from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_sample import sample

from fedaffect.record import PartitionSummary
from fedaffect.reports.figures import (
    attacks_bars,
    learning_curves,
    partition_heatmap,
    per_person,
    trade_off,
)
from fedaffect.reports.svg import COLOURS, label

SVG = "{http://www.w3.org/2000/svg}"


def drawings(record):
    return [
        learning_curves(record),
        trade_off(record),
        partition_heatmap(record.data.partition),
        attacks_bars(record),
        per_person(record),
    ]


@pytest.fixture(scope="module")
def all_drawings():
    return drawings(sample())


def text_of(drawing):
    return [e.text or "" for e in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]


def test_every_figure_is_an_image_with_title_and_description(all_drawings):
    for drawing in all_drawings:
        root = ElementTree.fromstring(drawing.svg)
        assert root.get("role") == "img"
        title, about = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title.text == drawing.title
        assert len(about.text) > 40
        assert root.get("aria-labelledby").split() == [title.get("id"), about.get("id")]


def test_ids_are_unique_over_all_figures_and_every_reference_resolves(all_drawings):
    every = [i for d in all_drawings for i in re.findall(r'\bid="([^"]+)"', d.svg)]
    assert len(every) == len(set(every))
    referred = {i for d in all_drawings for i in re.findall(r'(?:href="#|url\(#)([^")]+)', d.svg)}
    assert referred
    assert referred <= set(every)


def test_equal_records_give_equal_bytes(all_drawings):
    assert [d.svg for d in drawings(sample())] == [d.svg for d in all_drawings]


def test_no_date_no_fixed_size_and_small(all_drawings):
    for drawing in all_drawings:
        assert not re.search(r"\d{4}-\d{2}-\d{2}|metadata|<style|<script", drawing.svg)
        assert not re.search(r"<svg[^>]* width=", drawing.svg)
        assert len(drawing.svg) < 40_000


def test_every_colour_follows_the_theme(all_drawings):
    for drawing in all_drawings:
        bare = re.sub(r"var\(--(\w+), (#[0-9a-f]{6})\)", "", drawing.svg)
        assert not re.search(r"#[0-9a-fA-F]{6}\b", bare), drawing.name
        used = set(re.findall(r"var\(--(\w+), (#[0-9a-f]{6})\)", drawing.svg))
        assert used <= set(COLOURS.items())


def test_the_table_carries_the_figures(all_drawings):
    for drawing in all_drawings:
        assert drawing.rows
        assert all(len(row) == len(drawing.columns) for row in drawing.rows)
    curves, _, heat, *_ = all_drawings
    record = sample()
    assert len(curves.rows) == len(record.rounds)
    assert [int(r[1]) for r in heat.rows] == [sum(r) for r in record.data.partition.by_subject]


def test_titles_state_the_finding_with_chance():
    record = sample()
    best = attacks_bars(record).title.replace("\u00a0", " ")
    # 0.352 / 0.05 = 7.04
    assert best == (
        "A fresh attacker (nearest neighbours) identifies 35.2 % of test windows, "
        "7.0 times chance (5.0 %)"
    )
    assert "rises from 52.4" in learning_curves(record).title
    for drawing in (trade_off(record), learning_curves(record), per_person(record)):
        assert "chance" in drawing.title


def changed(record, **figures):
    return record.model_copy(update={"figures": record.figures.model_copy(update=figures)})


def test_an_attack_within_chance_is_not_called_a_success():
    record = sample()
    weak = record.figures.identity_strongest.model_copy(update={"value": 0.06, "low": 0.04})
    title = attacks_bars(changed(record, identity_strongest=weak)).title
    assert title.startswith("No attacker is clearly above chance")


def test_the_strongest_attack_is_on_top_and_the_own_head_is_named_for_what_it_is():
    rows = attacks_bars(sample()).rows
    assert [r[0] for r in rows] == [
        "fresh nearest neighbours (strongest)",
        "fresh small MLP",
        "fresh linear probe",
        "raw features, no model",
        "own head (not a privacy metric)",
    ]


def test_people_are_sorted_and_a_one_class_person_is_not_a_zero():
    rows = per_person(sample(spec="blocks")).rows
    assert rows[0][3] == "n/a (one class)"
    shown = [float(r[3].split("\u00a0")[0]) for r in rows[1:]]
    assert shown == sorted(shown)
    assert len(rows) == 24


def test_people_who_are_alike_are_not_ranked():
    record = sample()
    alike = tuple(
        p.model_copy(update={"stress_balanced_accuracy": 0.5}) for p in record.figures.per_person
    )
    title = per_person(changed(record, per_person=alike)).title
    assert title.startswith("Stress is read alike for all 4 people: 50.0")


def test_points_stand_where_the_numbers_say():
    """The run's marker, read back from the drawing by two reference marks of the axes."""
    record = sample()
    root = ElementTree.fromstring(trade_off(record).svg)
    ticks = {}
    for e in root.iter(f"{SVG}text"):
        if re.fullmatch(r"\d+", e.text or ""):
            place = re.search(r"translate\(([\d.]+) ([\d.]+)\)", e.get("transform", ""))
            at = place.groups() if place else (e.get("x"), e.get("y"))
            ticks.setdefault(e.get("style").split("text-anchor: ")[1].split(";")[0], {})[
                int(e.text)
            ] = [float(v) for v in at]
    across, up = ticks["middle"], ticks["end"]
    marks = [
        (float(u.get("x")), float(u.get("y")))
        for u in root.iter(f"{SVG}use")
        if "--blue" in u.get("style", "") and u.get("x")
    ]

    def place(scale, axis, value):
        (a, pa), *_, (b, pb) = scale.items()
        return pa[axis] + (value - a) / (b - a) * (pb[axis] - pa[axis])

    x, y = place(across, 0, 35.2), place(up, 1, 70.2)
    baseline = 3.42  # text stands on its baseline, ticks in its middle
    assert any(abs(x - mx) < 0.5 and abs(y - baseline - my) < 1.0 for mx, my in marks)


def test_missing_figures_are_left_out_not_drawn_as_zero():
    record = sample()
    gone = record.figures.stress_balanced_accuracy.model_copy(
        update={"value": None, "low": None, "high": None, "note": "one class"}
    )
    drawing = trade_off(changed(record, stress_balanced_accuracy=gone))
    assert "This run" not in text_of(drawing)
    assert drawing.rows[0][1] == "n/a (one class)"


def test_nothing_to_draw_is_none():
    record = sample()
    assert learning_curves(record.model_copy(update={"rounds": ()})) is None
    assert per_person(changed(record, per_person=())) is None


def test_markup_and_mathematics_in_names_are_plain_text():
    names = ("<script>alert(1)</script>", "$\\frac{1}{0$", "a\x00b", "名前", "&amp;")
    record = sample(person_names=names, clients=5)
    drawing = partition_heatmap(record.data.partition)
    assert "<script" not in drawing.svg
    shown = text_of(drawing)
    assert "<script>ale…" in shown
    assert "$\\frac{1}{0$" in shown
    assert "a?b" in shown


def test_label_is_short_and_printable():
    assert label("x" * 40, 10) == "x" * 9 + "…"
    assert label("a\nb\u202ec") == "a?b?c"


def test_a_thousand_clients_are_still_a_small_drawing():
    n, people = 1000, 60
    counts = tuple(tuple((i * j) % 5 for j in range(people)) for i in range(n))
    summary = PartitionSummary(
        name="iid",
        options={},
        clients=tuple(f"client {i}" for i in range(n)),
        subjects=tuple(f"P{j}" for j in range(people)),
        by_subject=counts,
        by_stress=tuple((sum(row), 1) for row in counts),
        subjects_per_client_max=people,
        clients_per_subject_max=n,
    )
    drawing = partition_heatmap(summary)
    assert len(drawing.svg) < 60_000
    assert len(text_of(drawing)) < 100
    assert len(drawing.rows) == n


def test_importing_the_figures_is_light_and_drawing_leaves_pyplot_alone():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from fedaffect.reports import figures, html_page, json_file;"
        "assert not {'matplotlib', 'jinja2', 'torch'} & set(sys.modules);"
        "from report_sample import sample; figures.trade_off(sample(rounds=1));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    here = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", code, here], check=True)
