"""Real statements of every kind in a report: nothing is lost, nothing is improved."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest
from report_reader import Reader, without_figures, words
from report_sample import FORMAL, sample

from fedaffect import registry
from fedaffect.params import Layout
from fedaffect.privacy.base import LocalSteps, PrivacySpec, ReleasePlan
from fedaffect.privacy.charges import Terms
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.run_facts import RunFacts
from fedaffect.privacy.spec import AdaptiveClip, ClipSpec
from fedaffect.privacy.spending import RunCost, Spending
from fedaffect.privacy.state_run import make_statement
from fedaffect.reports.attack_card import attack_card
from fedaffect.reports.break_even import break_even
from fedaffect.reports.curves import learning_curves
from fedaffect.reports.spending import spending

LAYOUT = Layout(
    ("cnn", "stress", "identity"),
    ((61_980,), (202,), (34_815,)),
    {"shared": ("cnn",), "task:stress": ("stress",), "task:identity": ("identity",)},
)
FULL = ReleasePlan(40, 20, 1.0, "full", 20, 1, 1)
WINDOWS = ReleasePlan(2, 20, 1.0, "full", 7_000, 1, 1, local=LocalSteps(((320, 320),), 16, 1, 2))
TERMS = Terms(
    "gaussian", "gaussian", 5.64067, 1.0, "zero_out", "client", "server", (), False, 5.0, 1e-5
)
LOCAL: dict[str, Any] = {"where": "client", "adjacency": "replace_one"}
CASES: dict[str, dict[str, Any]] = {
    "central": {},
    "client": LOCAL,
    "window": {"unit": "window", "where": "client"},
    "paper": {"mechanism": "paper-gaussian1", "eps": None, "eps_per_round": 5.0, **LOCAL},
    "sigma": {"mechanism": "paper-noise", "eps": None, "sigma": 0.3, **LOCAL},
    "kept": {"policies": {"task:identity": "keep_local", "task:stress": "freeze"}},
    "adaptive": {"clip": ClipSpec(adaptive=AdaptiveClip())},
}


@cache
def statement(case: str) -> dict[str, Any]:
    spec = PrivacySpec(**{"mechanism": "gaussian", "eps": 5.0, **CASES[case]})
    plan = WINDOWS if case == "window" else FULL
    mechanism = mechanism_of(spec, registry.resolve("dp", spec.mechanism))
    facts = RunFacts(
        releases_done=plan.releases,
        key_kind="secret",
        normalisation="public",
        ledger_head="ab" * 32,
        participations={client: 1 + client % plan.releases for client in range(20)},
        fewest_replies=10,
        other_runs=Spending((RunCost("earlier", TERMS, 40),)),
        stopped="release 41 would exceed the budget" if case == "adaptive" else None,
    )
    return make_statement(mechanism.calibrate(plan, LAYOUT), plan, LAYOUT, facts).to_dict()


@cache
def page(case: str) -> str:
    record = sample(privacy=statement(case))
    drawn = {"breakeven": break_even(record), "card": attack_card(record)}  # they name an epsilon
    return without_figures(record, **drawn, spending=spending(record))


@cache
def text_of(case: str, anchor: str = "guarantee") -> str:
    found = [e for e in Reader(page(case)).all("section") if e["attrs"]["id"] == anchor]
    return words(found[0]["text"])


@pytest.mark.parametrize("case", CASES)
def test_sentence_and_details_stand_in_the_page_and_every_epsilon_has_its_words(case: str) -> None:
    said, shown = statement(case), text_of(case)
    assert said["sentence"] in shown
    assert all(words(line) in shown for line in said["details"])
    for pair in re.findall(r"ε = [^<]*", page(case)):
        assert re.match(r"ε = [\d.,]+, δ = [\de.-]+\),? per (client|window|person)", words(pair)), (
            pair
        )
    status = "FORMAL" if case != "sigma" else "NONE"
    assert said["status"] == status


def test_the_page_of_noise_without_a_claim_has_a_worth_but_no_promise() -> None:
    assert "No formal guarantee" in text_of("sigma", "summary")
    assert "True value 1,070 1e-5 40 rounds" in text_of("sigma")
    assert spending(sample(privacy=statement("sigma"))) is None


def test_observers_of_local_noise() -> None:
    shown = text_of("client")
    assert "server receives every contribution, with the noise of its client in it 5.00" in shown
    # z sqrt(10) for an outsider, z sqrt(9) for a participant
    assert "participants see the global models, and know their own noise in them" in shown
    assert "1.45 1e-5" in shown and "1.37 1e-5" in shown
    assert "noise that each client adds" in text_of("client", "protected")
    assert "nothing: it is trusted" in text_of("central", "protected")


def test_a_window_is_not_called_a_person() -> None:
    shown = text_of("window", "protected")
    assert "one training window, not a person" in shown
    assert "holds per person" not in shown
    assert "One second of signal one second of signal lies in up to 2 windows" in text_of("window")


def test_the_papers_claim_stands_beside_its_true_value() -> None:
    shown = text_of("paper")
    for row in (
        "Claimed by the paper 5.00 1e-5 one round",
        "That claim, composed 48.38 1e-5 40 rounds",
        "True value 537,000 1e-5 one round",
        "True value 21,400,000 1e-5 40 rounds",
    ):
        assert row in shown
    assert "2C / |D_i|" in shown
    assert "The paper's claim" not in text_of("central")


def test_blocks_that_stay_and_blocks_that_never_move() -> None:
    shown = text_of("kept")
    assert "keep_local n/a n/a yes: never leaves the client" in shown
    assert "freeze n/a n/a yes: never trained" in shown


def test_clip_clients_other_runs_and_an_early_end() -> None:
    shown = text_of("adaptive")
    assert "l2 norm of the update at most 1 at the start; it follows the quantile 0.5" in shown
    assert "Releases 1 6 11 16 20" in shown
    assert "20 clients took part in 1 to 20 releases, median 11." in shown
    assert "This site has spent on this data set before, in 1 other run: (eps=5.01" in shown
    assert "Ended early release 41 would exceed the budget" in shown


def test_the_curve_shows_three_ways_to_count_and_the_budget() -> None:
    said = statement("central")
    drawing = spending(sample(privacy=said))
    assert drawing is not None and drawing.title.startswith("(ε = 5.00, δ = 1e-5) per client")
    assert drawing.rows[-1] == ("40", "5.00", "5.40", "31.45")
    shown = [e.text for e in ElementTree.fromstring(drawing.svg).iter() if e.text]
    for name in ("tight", "budget", "sum over rounds (basic)"):
        assert name in shown
    assert drawing.title in text_of("central")


def test_a_statement_of_the_first_schema_is_laid_out_as_before() -> None:
    assert FORMAL["schema_version"] == 1
    shown = without_figures(sample(privacy=FORMAL))
    assert spending(sample(privacy=FORMAL)) is None
    assert "The paper's claim" not in shown and "other runs on the same data</h3>" not in shown


def test_lost_rounds_are_marked() -> None:
    record = sample()
    lost = record.rounds[4].model_copy(update={"abandoned": True, "clients": 3})
    rounds = (*record.rounds[:4], lost, *record.rounds[5:])
    record = record.model_copy(update={"rounds": rounds})
    text = words(without_figures(record, curves=learning_curves(record)))
    assert "3/20 (abandoned)" in text
    assert "1 round had too few replies: nothing was released." in text
