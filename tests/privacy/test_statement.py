"""What a run may claim, word for word."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statement_cases import FULL, LAYOUT, LOCAL, PER_WINDOW, POISSON, WINDOWS, state, words_of

from fedaffect import registry
from fedaffect.errors import PrivacyError
from fedaffect.privacy import wording
from fedaffect.privacy.accountants import closed_form
from fedaffect.privacy.base import Event, PrivacySpec, ReleasePlan
from fedaffect.privacy.run_facts import RunFacts
from fedaffect.privacy.state_run import make_statement
from fedaffect.privacy.statement import PrivacyStatement

NO_KEY = {"key_kind": "none", "ledger_head": None}
BANNED = (
    "anonymous",
    "fully private",
    "guarantees anonymity",
    "GDPR-compliant",
    "HIPAA-safe",
    "cannot be re-identified",
)


def test_every_block_noised() -> None:
    said = state()
    assert said.status == "FORMAL"
    assert said.sentence == (
        "The final global model and all 40 intermediate models satisfy (eps=5.00, delta=1e-5)-"
        "differential privacy with respect to adding or removing one client, assuming an honest "
        "server and Gaussian noise added at aggregation (closed-form Gaussian accountant)."
    )
    assert said.eps == pytest.approx(5.0, rel=1e-9) and said.delta == 1e-5
    assert said.mu == pytest.approx(40**0.5 / 5.640670, rel=1e-6)
    assert said.accountant is not None
    check = said.accountant["cross_check"]
    assert check["name"] == "RDP" and 5.3 < check["eps"] < 5.5
    assert [b["policy"] for b in said.blocks] == ["noise"] * 3
    assert said.n_break_even == pytest.approx(1756.75, rel=1e-5)
    assert said.warnings == ()


@pytest.mark.parametrize("name", ["gaussian", "laplace", "moments"])
@pytest.mark.parametrize("plan", [FULL, POISSON], ids=["full", "poisson"])
def test_epsilon_comes_with_its_six_words(name: str, plan: ReleasePlan) -> None:
    text = words_of(state(name, plan=plan))
    for word in ("delta=", "Unit: one client", "Adjacency: zero_out", "Observer:", "Horizon:"):
        assert word in text
    assert "accountant" in text


def test_the_accountant_of_each_mechanism() -> None:
    assert state("moments").accountant["name"] == "RDP"  # type: ignore[index]
    check = state("moments").accountant["cross_check"]  # type: ignore[index]
    assert check["name"] == "closed-form Gaussian" and check["eps"] < 4.9
    laplace = state("laplace")
    assert laplace.accountant["name"] == "PLD"  # type: ignore[index]
    assert laplace.mu is None
    assert laplace.eps_pure == pytest.approx(40 * 0.19055, rel=1e-3)
    assert "By basic composition also (eps=7.63, delta=0)" in words_of(laplace)


def test_a_run_that_stopped_early_claims_what_it_released() -> None:
    said = state(facts={"releases_done": 12})
    assert said.eps == pytest.approx(closed_form.epsilon(Event("gaussian", said.z, 1, 12), 1e-5))
    assert "all 12 intermediate models" in said.sentence
    assert "12 of 40 planned releases" in words_of(said)
    assert said.budget == {"eps": 5.0, "delta": 1e-5}


def test_each_observer() -> None:
    said = {line["observer"]: line for line in state(plan=POISSON).observers}
    assert said["server"]["eps"] is None
    assert said["server"]["text"].startswith("sees every update in the clear; trusted")
    assert said["external"]["eps"] == pytest.approx(5.0, rel=1e-3)
    # Who knows that they took part gets no amplification: z = 2.1138, T = 40, q = 1.
    unamplified = closed_form.epsilon(Event("gaussian", 2.1138, 1.0, 40), 1e-5)
    assert said["participants"]["eps"] == pytest.approx(unamplified, rel=1e-3)
    assert "an external observer" in words_of(state(plan=POISSON))
    assert any("how many" in line for line in state(plan=POISSON).assumptions)
    fixed = dataclasses.replace(POISSON, sampler="fixed")
    assert {line["eps"] for line in state(plan=fixed).observers[1:]} == {state(plan=fixed).eps}


def test_one_block_noised() -> None:
    said = state(noise_layers="task:identity")
    assert said.status == "NONE"
    assert said.sentence == (
        "Noise was added only to `task:identity` (34,815 of 96,997 parameters). Parameters outside "
        "it are released without a DP guarantee; the overall model has no finite epsilon."
    )
    assert said.eps is said.delta is said.mu is said.budget is said.person["eps"] is None
    assert {line["eps"] for line in said.observers} == {None}
    shared, stress, identity = said.blocks
    assert shared["policy"] == stress["policy"] == "clear"
    assert shared["conditional_eps"] is stress["sigma"] is None
    assert identity["policy"] == "noise" and identity["conditional_status"] == "CONDITIONAL"
    once = closed_form.epsilon(Event("gaussian", said.z, 1.0, 1), 1e-5)
    assert identity["conditional_eps"] == pytest.approx(once)
    assert "(eps_b=0.64, delta_b=1e-5), one round, given the broadcast model" in words_of(said)


def test_the_conditional_promise_of_a_block_is_never_amplified() -> None:
    blocks = state(noise_layers="shared", plan=POISSON).blocks
    z = state(noise_layers="shared", plan=POISSON).z
    once = closed_form.epsilon(Event("gaussian", z, 1.0, 1), 1e-5)
    assert blocks[0]["conditional_eps"] == pytest.approx(once)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"key_kind": "unsafe-test"}, "NO GUARANTEE: noise reproducible."),
        ({"key_kind": "unsafe-test", "ledger_head": None}, "NO GUARANTEE: noise reproducible."),
        ({"normalisation": "global"}, "data preparation (normalise global)"),
        ({"ledger_head": None}, "charged to no privacy ledger"),
        ({"releases_done": 0}, "nothing has been released"),
    ],
)
@pytest.mark.parametrize("layers", ["all", "task:identity"])
def test_reasons_for_no_promise(facts: dict[str, Any], words: str, layers: str) -> None:
    said = state(facts=facts, noise_layers=layers)
    assert said.status == "NONE" and words in said.sentence
    assert said.eps is said.delta is said.mu is said.budget is said.accountant is None
    assert said.eps_pure is said.person["eps"] is None
    assert all(line["eps"] is None for line in said.observers)
    assert all(line["conditional_eps"] is None for line in said.blocks)
    assert "eps=" not in words_of(said) and "eps_b" not in words_of(said)


def test_several_reasons_are_all_given() -> None:
    said = state(facts={"key_kind": "unsafe-test", "normalisation": "global"})
    assert said.sentence == wording.TEST_NOISE
    assert "normalise global" in said.details[0]


def test_own_statistics_are_fine_unless_a_person_is_spread() -> None:
    spread = dataclasses.replace(FULL, clients_per_subject=2)
    assert state(facts={"normalisation": "subject"}).status == "FORMAL"
    assert state(facts={"normalisation": "none"}).status == "FORMAL"
    assert state(facts={"normalisation": "subject"}, plan=spread).status == "NONE"


def test_without_a_mechanism() -> None:
    said = state("none", facts=NO_KEY)
    assert (said.status, said.sentence) == ("NONE", wording.NO_NOISE)
    assert said.eps is None and said.z == 0.0 and said.n_break_even == 0.0
    assert [b["policy"] for b in said.blocks] == ["clear"] * 3


@pytest.mark.parametrize(("m", "eps"), [(1, 5.0), (2, 11.5), (3, 19.4)])
def test_a_person_in_m_clients(m: int, eps: float) -> None:
    # z = 5.641, T = 40: eps 5 becomes 11.5 for m = 2 and 19.4 for m = 3.
    said = state(plan=dataclasses.replace(FULL, clients_per_subject=m))
    assert said.person["eps"] == pytest.approx(eps, abs=0.05)
    assert said.eps == pytest.approx(5.0)
    assert bool(said.warnings) is (m > 1)
    if m > 1:
        assert said.warnings[0].startswith("W120") and "no per-person guarantee" in said.warnings[0]
        assert f"up to {m} clients" in said.warnings[0]
        assert f"(eps={wording.eps_text(said.person['eps'])}, delta=1e-5)" in said.warnings[0]


def test_people_who_share_a_client() -> None:
    said = state(plan=dataclasses.replace(FULL, subjects_per_client=4))
    assert len(said.warnings) == 1 and "up to 4 people" in said.warnings[0]


def test_more_releases_than_planned_are_never_stated() -> None:
    with pytest.raises(PrivacyError) as caught:
        state(facts={"releases_done": 41})
    assert caught.value.code == "E401"
    raw = registry.resolve("dp", "gaussian")(spec=PrivacySpec("gaussian", 5.0))
    with pytest.raises(PrivacyError) as caught:
        make_statement(raw, FULL, LAYOUT, RunFacts(1, "secret", "public", ledger_head="x"))
    assert caught.value.code == "E406"


EXAMPLES = [
    state(),
    state("laplace", plan=dataclasses.replace(FULL, clients_per_subject=3, subjects_per_client=2)),
    state("moments", noise_layers="task"),
    state("none", facts=NO_KEY),
    state(**LOCAL),  # type: ignore[arg-type]
    state(plan=WINDOWS, **PER_WINDOW),  # type: ignore[arg-type]
    state("paper-gaussian1", eps_per_round=5.0, **LOCAL),  # type: ignore[arg-type]
    state("paper-noise", sigma=0.3),
    state(facts={"key_kind": "unsafe-test"}),
]


@pytest.mark.parametrize("said", EXAMPLES, ids=range(len(EXAMPLES)))
def test_json_round_trip_and_words(said: PrivacyStatement) -> None:
    text = json.dumps(said.to_dict(), allow_nan=False)
    assert PrivacyStatement.from_dict(json.loads(text)) == said
    for word in BANNED:
        assert word.lower() not in text.lower()
    topics = " ".join(said.not_covered)
    for topic in ("hyper-param", "metrics", "floating", "timing", "test-time", "other runs"):
        assert topic in topics


@pytest.mark.parametrize("change", [{"eps2": 1}, {"schema_version": 1}, {"status": None}])
def test_other_fields_or_versions_are_refused(change: dict[str, Any]) -> None:
    values = {**EXAMPLES[0].to_dict(), **change}
    if change == {"status": None}:
        del values["status"]
    with pytest.raises(PrivacyError) as caught:
        PrivacyStatement.from_dict(values)
    assert caught.value.code == "E407"


@given(eps=st.floats(1e-6, 1e8))
def test_epsilon_is_never_rounded_down(eps: float) -> None:
    shown = float(wording.eps_text(eps).replace(",", ""))
    assert eps * (1 - 2e-9) <= shown <= max(eps * 1.01, eps + 0.0101)


@given(delta=st.floats(1e-12, 0.999))
def test_delta_is_never_rounded_down(delta: float) -> None:
    text = wording.delta_text(delta)
    assert re.fullmatch(r"\d+(\.\d+)?e-?\d+", text)
    assert delta * (1 - 2e-9) <= float(text) <= delta * 1.011


def test_numbers_as_shown() -> None:
    assert [wording.eps_text(e) for e in (0.0, 5.0, 5.004, 0.0634, 1234.5)] == [
        "0.00",
        "5.00",
        "5.01",
        "0.0634",
        "1,240",
    ]
    assert [wording.delta_text(d) for d in (1e-5, 1e-7, 0.00123, 0.05)] == [
        "1e-5",
        "1e-7",
        "1.23e-3",
        "5e-2",
    ]
