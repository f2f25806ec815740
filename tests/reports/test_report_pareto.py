"""The front and its area, against enumeration and Monte Carlo integration."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.record import Estimate
from fedaffect.reports.pareto import Point, front, hypervolume, tradeoff_front

SVG = "{http://www.w3.org/2000/svg}"
shares = st.integers(0, 20).map(lambda i: i / 20)
pairs = st.lists(st.tuples(shares, shares), max_size=12)


def points_of(given_pairs):
    return [
        Point(f"p{i}", Estimate(value=u, chance=0.5), Estimate(value=v, chance=0.05), f"f{i % 3}")
        for i, (u, v) in enumerate(given_pairs)
    ]


@given(pairs)
def test_the_front_is_what_nothing_beats(found):
    points = points_of(found)
    kept = set(front(points))
    for p, (u, v) in zip(points, found, strict=True):
        beaten = any((a >= u and b < v) or (a > u and b <= v) for a, b in found)
        assert (p in kept) == (not beaten)


@given(pairs, shares, shares)
def test_the_area_is_that_of_the_cells_it_covers(found, utility, leak):
    side = (np.arange(20) + 0.5) / 20  # figures are multiples of 1/20: whole cells
    a, b = np.meshgrid(side, side, indexing="ij")
    covered = np.zeros((20, 20), bool)
    for u, v in found:
        covered |= (a < u) & (b > v)
    covered &= (a > utility) & (b < leak)
    area = hypervolume(points_of(found), (utility, leak))
    assert area == pytest.approx(covered.sum() / 400, abs=1e-12)


@given(pairs.filter(bool), shares, shares)
def test_another_point_never_makes_the_area_smaller(found, utility, leak):
    less = hypervolume(points_of(found[:-1]), (utility, leak))
    assert hypervolume(points_of(found), (utility, leak)) >= less - 1e-12


def test_the_front_ascends_and_undefined_points_are_in_the_table_only():
    lost = Point("lost", Estimate(value=None, note="one class"), Estimate(value=0.0), "f0")
    points = [*points_of([(0.9, 0.6), (0.7, 0.2), (0.6, 0.4)]), lost]
    assert [p.name for p in front(points)] == ["p1", "p0"]
    drawing = tradeoff_front(points)
    assert [row[-1] for row in drawing.rows] == ["yes", "yes", "no", "no"]
    assert drawing.rows[3][2] == "n/a (one class)"
    assert drawing.title.replace("\u00a0", " ") == (
        "2 of 4 settings are on the front, from 70.0 % at a leak of 20.0 % (p1) to 90.0 % at "
        "60.0 % (p0)"
    )


def test_nothing_measured_is_said():
    drawing = tradeoff_front([])
    assert drawing.title == "No setting could be measured"
    assert drawing.rows == ()


def test_hollow_and_filled_marks_differ_and_names_are_plain_text():
    evil = Point("<b>$x", Estimate(value=0.8), Estimate(value=0.1), "<i>", filled=False)
    drawing = tradeoff_front([evil])
    assert "<b>" not in drawing.svg
    root = ElementTree.fromstring(drawing.svg)
    assert "<b>$x" in [e.text for e in root.iter(f"{SVG}text")]
    solid = tradeoff_front([Point("a", evil.utility, evil.leak, "<i>")])
    hollow = "fill: var(--panel, #ffffff); stroke: var(--blue"
    assert hollow in drawing.svg
    assert hollow not in solid.svg
