from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_sample import FORMAL, NO_DP, PARTIAL, sample

from fedaffect.reports import beside, guarantee, tables
from fedaffect.reports.spending import spending

NO_EPS = "The released models have no finite ε."


def test_a_formal_epsilon_carries_everything_it_needs():
    text = guarantee.budget(FORMAL)
    assert text.startswith("(ε = 5.00, δ = 1e-5), per client")
    for part in ("zero_out", "participants and external", "40 of 40 releases", "closed form"):
        assert part in text


@pytest.mark.parametrize("privacy", [PARTIAL, NO_DP, {}, {"status": "formal?", "eps": 1}])
def test_without_a_formal_status_there_is_no_epsilon(privacy):
    assert guarantee.budget(privacy) == NO_EPS


def test_an_epsilon_without_formal_status_is_not_shown_even_if_present():
    assert guarantee.budget({**FORMAL, "status": "NONE"}) == NO_EPS
    assert guarantee.budget({**FORMAL, "eps": None}) == NO_EPS


def test_an_amplified_epsilon_is_claimed_for_the_outsider_only():
    server, participants, external = FORMAL["observers"]
    poisson = {**FORMAL, "observers": [server, {**participants, "eps": 48.4}, external]}
    assert "observer external, horizon" in guarantee.budget(poisson)
    rows = guarantee.observer_rows(poisson)
    assert [row["eps"] for row in rows] == ["no finite value", "48.40", "5.00"]


def test_blocks_say_what_is_covered_and_what_holds_on_its_own():
    rows = {row["name"]: row for row in guarantee.block_rows(sample(privacy=PARTIAL))}
    assert rows["shared"]["covered"] == "NO: released in the clear"
    assert rows["task:identity"]["covered"] == "yes: noised"
    # 0.713 rounded up
    assert rows["task:identity"]["conditional"] == (
        "(ε = 0.72, δ = 1e-5) per client, one round, given the broadcast model"
    )


def test_a_block_that_the_statement_forgets_counts_as_released_in_the_clear():
    partly = {**FORMAL, "blocks": FORMAL["blocks"][:1]}
    rows = {row["name"]: row for row in guarantee.block_rows(sample(privacy=partly))}
    assert rows["task:stress"]["covered"] == "NO: released in the clear"
    assert rows["task:stress"]["parameters"] == "202"


def test_the_server_is_never_said_to_be_kept_out_when_it_adds_the_noise():
    for privacy in (FORMAL, PARTIAL, NO_DP):
        assert guarantee.threat_rows(privacy)[0]["shield"].startswith("nothing: it is trusted")
    shields = {row["shield"] for row in guarantee.threat_rows(NO_DP)[1:]}
    assert shields == {"nothing formal"}


def test_what_holds_for_a_person():
    assert "holds per person" in guarantee.person_sentence(sample())
    spread = {**FORMAL, "person": {"clients_per_subject": 20, "eps": 412.4, "delta": 1e-5}}
    text = guarantee.person_sentence(sample(privacy=spread, partition="iid"))
    assert "no per-person guarantee at the stated ε" in text
    assert "(ε = 412.40, δ = 1e-5)" in text
    assert "per person" in text
    text = guarantee.person_sentence(sample(privacy=NO_DP, partition="iid"))
    assert "ε" not in text


def test_epsilon_by_round_names_its_scope():
    text = tables.spent_scope(sample())
    for part in ("δ = 1e-5", "per client", "zero_out", "rounds so far"):
        assert part in text
    assert tables.spent_scope(sample(privacy=NO_DP)) == "there is no finite value."


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


NEWER = ("composition", "per_client", "paper_claim", "true_value_of_paper_claim", "other_runs")
KEYS = [*FORMAL, *NEWER, "group", "clip", "eps_per_round", "budget", "conditional"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), anything))
def test_any_statement_can_be_laid_out_and_none_is_improved(privacy):
    record = sample(rounds=1, privacy=NO_DP).model_copy(update={"privacy": privacy})
    tables.guarantee_facts(record)
    guarantee.observer_rows(privacy)
    guarantee.observer_caption(privacy)
    guarantee.threat_rows(privacy)
    guarantee.person_sentence(record)
    for rows in (beside.paper_rows, beside.client_rows, beside.notes):
        rows(privacy)
    beside.paper_note(privacy)
    drawing = spending(record)
    assert drawing is None or privacy["status"] == "FORMAL"
    names = {row["name"] for row in guarantee.block_rows(record)}
    assert set(record.model.blocks) <= names
    for key in ("assumptions", "not_covered", "warnings", "details"):
        assert all(isinstance(line, str) for line in guarantee.lines(privacy.get(key)))
    if privacy.get("status") != "FORMAL":
        assert guarantee.budget(privacy) == NO_EPS
