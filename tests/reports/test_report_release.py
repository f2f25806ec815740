"""What a report says of released numbers, the people whom they need, and public weights."""

from __future__ import annotations

import math
import re
from html import unescape
from pathlib import Path
from statistics import NormalDist
from typing import Any
from xml.etree import ElementTree

import pytest
from report_reader import without_figures, words
from report_sample import FORMAL, NO_DP, sample

from fedaffect.record import ReleaseSummary, RunRecord
from fedaffect.reports.model_card import model_card
from fedaffect.reports.people_needed import BUDGETS, guide, needed, people_needed
from fedaffect.reports.release_section import backbone_sentence, release_sentence

DOCS = Path(__file__).parents[2] / "docs"
SHA = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
HEAD: dict[str, Any] = {
    "plan": "head",
    "released": 9,
    "total": 4433,
    "plans": {"full": 4433, "adapter": 81, "head": 9},
    "backbone": {
        "name": "bench",
        "about": "a small <b>encoder</b>",
        "sha256": SHA,
        "objective": {"stress": 1.0, "identity-adversary": 0.25},
        "public_data": [
            {
                "title": "Open recordings",
                "people": 17,
                "windows": 9876,
                "synthetic": False,
                "licence": "MIT",
                "citation": "Iqbal et al. 2022",
            }
        ],
    },
}
PRIVACY = {**FORMAL, "releases_planned": 3, "eps": 2.0}


def run(privacy: dict[str, Any] | None = None, **changes: Any) -> RunRecord:
    release = ReleaseSummary.model_validate({**HEAD, **changes})
    record = sample(privacy=PRIVACY if privacy is None else privacy)
    return record.model_copy(update={"release": release})


def delta_of(eps: float, z: float, releases: int) -> float:
    """Return the exact delta of Gaussian releases (Balle & Wang 2018, theorem 8)."""
    mu = math.sqrt(releases) / z
    phi = NormalDist().cdf
    return phi(mu / 2 - eps / mu) - math.exp(eps) * phi(-mu / 2 - eps / mu)


@pytest.mark.parametrize("eps", BUDGETS)
@pytest.mark.parametrize("numbers", [2, 9, 98_502])
def test_people_needed_are_noise_over_signal(eps: float, numbers: int) -> None:
    n = needed(numbers, eps, 1e-5, 3)
    assert delta_of(eps, n / math.sqrt(numbers), 3) == pytest.approx(1e-5, rel=1e-3)
    assert needed(numbers, eps, 1e-5, 3, "client") == pytest.approx(n**2)


def test_the_figure_states_the_finding_and_has_every_plan() -> None:
    drawn = people_needed(run())
    assert drawn is not None
    at = {d: math.ceil(needed(d, 2.0, 1e-5, 3)) for d in (9, 81, 4433)}
    assert words(drawn.title) == (
        "At (ε = 2.00, δ = 1e-5), per client over 3 releases, 9 released numbers need "
        f"{at[9]} clients a round, all 4,433 would need {at[4433]}; this run has 20"
    )
    assert [tuple(map(words, row)) for row in drawn.rows] == [
        ("head (9)", str(at[9])),
        ("adapter (81)", str(at[81])),
        ("full (4,433)", str(at[4433])),
    ]
    assert ElementTree.fromstring(drawn.svg).get("role") == "img"


def test_noise_of_the_clients_needs_the_square() -> None:
    drawn = people_needed(run({**PRIVACY, "where": "client"}))
    assert drawn is not None
    wanted = math.ceil(needed(9, 2.0, 1e-5, 3) ** 2)
    assert drawn.rows[0] == ("head (9)", str(wanted))


@pytest.mark.parametrize(
    "privacy",
    [
        NO_DP,
        {**PRIVACY, "mechanism": "laplace"},
        {**PRIVACY, "unit": "window"},
        {**PRIVACY, "adjacency": "replace_one"},
    ],
)
def test_other_noise_has_no_such_figure(privacy: dict[str, Any]) -> None:
    assert people_needed(run(privacy)) is None


def test_records_of_older_versions_have_no_such_section() -> None:
    old = sample()
    assert old.release is None
    assert people_needed(old) is None
    assert (release_sentence(old), backbone_sentence(old)) == ("", "")
    assert "Public weights" not in without_figures(old)
    assert "Public weights" not in model_card(old)


def test_the_page_says_who_is_not_protected() -> None:
    seen = words(unescape(re.sub(r"<[^>]+>", " ", without_figures(run()))))
    for phrase in (
        "Trained on the clients' people and released: the heads; 9 of 4,433 numbers.",
        "made of 17 people of Open recordings. These people are not protected",
        f"SHA-256 {SHA}",
        "stress 1, identity-adversary 0.25",
        "Open recordings 17 9,876 MIT Iqbal et al. 2022",
    ):
        assert phrase in seen, phrase
    assert "<b>encoder</b>" not in without_figures(run())


def test_the_card_travels_with_the_model() -> None:
    card = model_card(run())
    weights = card[card.index("## Public weights") : card.index("## Figures")]
    assert SHA in weights
    assert "These people are not protected" in weights
    assert "17 people of Open recordings" in weights
    assert "| Open recordings | 17 | 9,876 | MIT | Iqbal et al. 2022 |" in weights
    assert "<b>" not in weights


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("full", "the whole network; 9 of"),
        ("adapter", "the constants of the shared layers; 9 of"),
        ("5", "a correction of the primary head by at most 5 numbers; 9 of"),
    ],
)
def test_every_plan_has_words(plan: str, said: str) -> None:
    assert said in words(release_sentence(run(plan=plan)))


def test_the_picture_of_the_guide_is_what_the_command_writes() -> None:
    stored = (DOCS / "people-needed.svg").read_text("utf-8")
    now = guide()
    assert now.title in stored, "python -m fedaffect.reports.people_needed docs/people-needed.svg"
    assert now.columns[1:] == tuple(f"ε = {eps:g}" for eps in BUDGETS)
    shown = [text for row in now.rows for text in re.findall(r"\(([\d,]+)\)$", row[0])]
    assert all(f"({text})" in stored for text in shown)
    people = [[int(cell.replace(",", "")) for cell in row[1:]] for row in now.rows]
    assert all(row == sorted(row, reverse=True) for row in people)
    assert min(row[-1] for row in people) < 20 < max(row[-1] for row in people)
