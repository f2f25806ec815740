"""The paper's claim, other runs, clients one by one, and what a file of parameters says."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from statement_cases import FULL, LOCAL, POISSON, state, words_of

from fedaffect.privacy.accountants import closed_form
from fedaffect.privacy.base import Event
from fedaffect.privacy.charges import Terms
from fedaffect.privacy.spending import RunCost, Spending
from fedaffect.privacy.statement import statement_metadata

TERMS = Terms(
    "gaussian", "gaussian", 5.640670, 1.0, "zero_out", "client", "server", (), False, 5.0, 1e-5
)


def gaussian(z: float, releases: int, delta: float = 1e-5) -> float:
    return closed_form.epsilon(Event("gaussian", z, 1.0, releases), delta)


class TestPaper:
    def test_the_claim_stands_beside_its_true_value(self) -> None:
        # Vectors: claimed 5 a round is 536,947 a round and 2.13e7 over 40; at face value 48.4.
        said = state("paper-gaussian1", eps_per_round=5.0, **LOCAL)  # type: ignore[arg-type]
        claim, true = said.paper_claim, said.true_value_of_paper_claim
        assert claim is not None and true is not None
        assert claim["eps_per_round"] == 5.0 and claim["releases"] == 40
        assert claim["face_value_total"] == pytest.approx(48.4, abs=0.05)
        assert true["eps_per_round"] == pytest.approx(536_947, rel=1e-5)
        assert true["eps_total"] == pytest.approx(2.13e7, rel=2e-3) == said.eps
        text = words_of(said)
        assert "eps=5 is the nominal cost of one round. Composed over 40 rounds: " in text
        assert "True value of this noise: (eps=21,400,000, delta=1e-5)" in text
        assert "in practice it protects nobody" in text

    def test_noise_that_claims_nothing_has_a_worth_and_no_promise(self) -> None:
        # Vectors: sd .3 is eps 49.9 a round and 1,068 over 40, replace-one.
        said = state("paper-noise", sigma=0.3, **LOCAL)  # type: ignore[arg-type]
        assert said.status == "NONE" and said.paper_claim is None
        assert said.sentence.startswith("No differential privacy is claimed")
        assert said.eps is said.delta is said.mu is said.budget is said.accountant is None
        true = said.true_value_of_paper_claim
        assert true is not None
        assert true["eps_per_round"] == pytest.approx(49.9, abs=0.05)
        assert true["eps_total"] == pytest.approx(1068, rel=1e-3)

    def test_a_block_in_the_clear_leaves_no_total(self) -> None:
        said = state("paper-gaussian1", eps_per_round=5.0, noise_layers="task:identity", **LOCAL)  # type: ignore[arg-type]
        true = said.true_value_of_paper_claim
        assert said.status == "NONE" and true is not None and true["eps_total"] is None
        assert "no finite epsilon over the run" in true["text"]

    def test_reproducible_noise_has_no_epsilon_anywhere(self) -> None:
        facts = {"key_kind": "unsafe-test", "other_runs": Spending((RunCost("a", TERMS, 40),))}
        said = state("paper-gaussian1", eps_per_round=5.0, facts=facts, **LOCAL)  # type: ignore[arg-type]
        assert said.paper_claim is said.true_value_of_paper_claim is said.other_runs is None
        assert "eps=" not in json.dumps(said.to_dict())

    def test_other_mechanisms_have_no_claim(self) -> None:
        assert state().paper_claim is state().true_value_of_paper_claim is None


class TestOtherRuns:
    def test_two_equal_runs_compose_to_one_of_twice_the_releases(self) -> None:
        spent = Spending((RunCost("a", TERMS, 40), RunCost("b", TERMS, 40)))
        other = state(facts={"other_runs": spent}).other_runs
        assert other is not None and (other["runs"], other["delta"]) == (2, 2e-5)
        assert other["eps"] == pytest.approx(gaussian(5.640670, 80, 2e-5))
        assert other["mu"] == pytest.approx(math.sqrt(80) / 5.640670)
        for words in ("2 other runs", "delta=2e-5", "one client", "zero_out", "delta=3e-5"):
            assert words in other["text"]

    def test_a_run_in_the_clear_bounds_nothing(self) -> None:
        spent = Spending((RunCost("a", dataclasses.replace(TERMS, clear=True), 3),))
        other = state(facts={"other_runs": spent}).other_runs
        assert other is not None and other["eps"] is other["mu"] is None
        assert "1 without a finite epsilon, so no total is finite" in other["text"]

    def test_promises_for_windows_say_nothing_about_clients(self) -> None:
        window = dataclasses.replace(TERMS, unit="window", where="client")
        other = state(facts={"other_runs": Spending((RunCost("a", window, 3),))}).other_runs
        assert other is not None and other["eps"] is None
        assert "bounds nothing for one client" in other["text"]

    def test_no_other_run(self) -> None:
        assert state(facts={"other_runs": Spending(())}).other_runs is None


class TestClients:
    def test_real_participations(self) -> None:
        took = {0: 10, 1: 20, 2: 30, 3: 40, 4: 40}
        said = state(facts={"participations": took})
        seen = said.per_client
        assert seen is not None
        assert seen["participations"] == {"min": 10, "q1": 20, "median": 30, "q3": 40, "max": 40}
        assert seen["eps"]["median"] == pytest.approx(gaussian(said.z, 30))
        assert seen["by_client"]["1"] == 20
        assert seen["text"] == "5 clients took part in 10 to 40 releases, median 30"

    def test_secret_draws_stay_secret(self) -> None:
        said = state(plan=POISSON, facts={"participations": {0: 40}})
        assert said.per_client is not None and said.per_client["by_client"] is None
        assert "secret" in said.per_client["text"]

    def test_a_cap_bounds_what_a_client_pays(self) -> None:
        capped = dataclasses.replace(FULL, sampler="fixed", participation_cap=10)
        said = state(plan=capped)
        assert said.eps == pytest.approx(5.0) == gaussian(said.z, 10)
        assert said.participation_cap == 10 and "nobody in more than 10" in said.sampling["text"]

    def test_a_cap_that_was_not_kept_is_not_believed(self) -> None:
        capped = dataclasses.replace(FULL, sampler="fixed", participation_cap=10)
        said = state(plan=capped, facts={"participations": {0: 10, 1: 12}})
        assert said.eps == pytest.approx(gaussian(said.z, 12))


def test_composition_by_round() -> None:
    said = state()
    assert [p["release"] for p in said.composition] == [5, 10, 15, 20, 25, 30, 35, 40]
    for point in said.composition:
        assert point["tight"] == pytest.approx(gaussian(said.z, point["release"]))
        assert point["tight"] < point["rdp"]
    basic = 40 * gaussian(said.z, 1, 1e-5 / 40)
    assert said.composition[-1]["basic"] == pytest.approx(basic) == said.eps_basic
    assert state(facts={"planned": True}).composition == []


def test_a_run_that_was_stopped_says_why() -> None:
    said = state(facts={"releases_done": 7, "stopped": "release 8 would exceed the budget"})
    assert said.stopped == "release 8 would exceed the budget"
    assert "The run ended early: release 8 would exceed the budget." in words_of(said)


@pytest.mark.parametrize(
    ("where", "observer"),
    [({}, "participants, external"), (LOCAL, "server, participants, external")],
)
def test_metadata_of_parameters(where: dict[str, str], observer: str) -> None:
    said = state(**where)  # type: ignore[arg-type]
    about = statement_metadata(said.to_dict())
    assert about["privacy_status"] == "FORMAL" and about["observer"] == observer
    assert (float(about["eps"]), about["delta"]) == (said.eps, "1e-05")
    assert about["accountant"] == "closed-form Gaussian" and about["ledger_head"] == "ab" * 32
    assert (about["unit"], about["adjacency"], about["mechanism"], about["horizon"]) == (
        "client", said.adjacency, "gaussian", "run, 40 releases",
    )  # fmt: skip


def test_metadata_without_a_promise() -> None:
    about = statement_metadata(state(noise_layers="task:identity").to_dict())
    assert (about["privacy_status"], about["eps"], about["observer"]) == ("NONE", "None", "None")
    assert about["accountant"] == "None"
