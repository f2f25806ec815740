from __future__ import annotations

import re
from pathlib import Path

import pytest

import fedaffect.reports
from fedaffect.reports.svg import COLOURS


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
@pytest.mark.parametrize(("colour", "densest"), [("blue", 0.60), ("vermillion", 0.54)])
def test_numbers_on_the_densest_cell_of_a_heat_map_are_legible(theme, colour, densest):
    p = palettes()[theme]
    ink, panel = COLOURS[colour], p["panel"]  # cells have the light colour in every theme
    parts = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (ink, panel)]
    mixed = "#" + "".join(
        f"{round(densest * a + (1 - densest) * b):02x}" for a, b in zip(*parts, strict=True)
    )
    assert contrast(p["ink"], mixed) >= 4.5


def test_a_drawing_on_its_own_has_the_light_colours_of_the_page():
    light = palettes()["light"]
    assert {name: light[name] for name in COLOURS} == COLOURS
