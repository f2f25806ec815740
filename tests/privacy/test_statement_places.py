"""What is stated for each place of the noise, each unit, each observer, and each kind of block."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statement_cases import (
    FULL,
    LOCAL,
    PER_WINDOW,
    POISSON,
    STEPS,
    WINDOWS,
    ready,
    state,
    words_of,
)

from fedaffect.privacy import wording
from fedaffect.privacy.accountants import closed_form, pld
from fedaffect.privacy.base import Event
from fedaffect.privacy.spec import AdaptiveClip, ClipSpec
from fedaffect.privacy.statement import PrivacyStatement

TOPICS = (r"delta=", r"[Uu]nit: one ", r"Adjacency: ", r"Observer: ", r"Horizon: ", "accountant")


def gaussian(z: float, releases: int) -> float:
    """Return eps at 1e-5 of Gaussian noise without sampling."""
    return closed_form.epsilon(Event("gaussian", z, 1.0, releases), 1e-5)


def observers(said: PrivacyStatement) -> dict[str, float | None]:
    return {line["observer"]: line["eps"] for line in said.observers}


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ({}, {}),
        (LOCAL, {}),
        (PER_WINDOW | {"plan": WINDOWS}, {}),
        ({"name": "laplace"} | LOCAL, {}),
        ({"adjacency": "replace_one"}, {}),
        ({"policies": {"task:identity": "keep_local"}}, {}),
        ({"clip": ClipSpec(adaptive=AdaptiveClip())}, {}),
        ({"name": "paper-gaussian1", "eps_per_round": 5.0} | LOCAL, {}),
        ({"z": 3.0, "eps": None}, {}),
    ],
)
def test_every_kind_of_promise_has_its_six_words(spec: dict[str, Any], facts: Any) -> None:
    said = state(facts=facts, **spec)
    assert said.status == "FORMAL"
    for topic in TOPICS:
        assert re.search(topic, words_of(said)), topic
    assert (said.unit, said.adjacency) == (spec.get("unit", "client"), said.adjacency)


def test_noise_at_the_clients() -> None:
    said = state(facts={"fewest_replies": 10}, **LOCAL)
    assert said.sentence == (
        "The contributions that a client sends in up to 40 rounds satisfy (eps=5.00, delta=1e-5)-"
        "differential privacy with respect to replacing one client, against the server too, "
        "assuming an honest client and Gaussian noise added by the client before it sends "
        "(closed-form Gaussian accountant)."
    )
    assert said.where == "client"
    # Ten noises of sd 2 C z in a sum; a participant subtracts its own.
    assert observers(said) == pytest.approx(
        {
            "server": 5.0,
            "participants": gaussian(said.z * 3.0, 40),
            "external": gaussian(said.z * math.sqrt(10), 40),
        }
    )
    assert any("other clients add their noise honestly" in line for line in said.assumptions)
    assert not any(line.startswith("The server is honest") for line in said.assumptions)


@pytest.mark.parametrize("fewest", [None, 1])
def test_a_lonely_reply_hides_in_nobody_elses_noise(fewest: int | None) -> None:
    said = state(facts={"fewest_replies": fewest}, **LOCAL)
    assert set(observers(said).values()) == {said.eps}


def test_laplace_noise_of_others_is_not_counted() -> None:
    said = state("laplace", facts={"fewest_replies": 10}, where="client")
    assert set(observers(said).values()) == {said.eps}


def test_draws_amplify_nothing_where_clients_add_the_noise() -> None:
    said = state(plan=POISSON, facts={"fewest_replies": 5}, **LOCAL)
    assert said.eps == pytest.approx(5.0)
    assert observers(said)["external"] == pytest.approx(gaussian(said.z * math.sqrt(5), 40))
    assert "no amplification" in said.sampling["text"]


def test_both_adjacencies_are_stated_for_local_noise() -> None:
    said = state(**LOCAL)
    other = said.other_adjacency
    assert other is not None and other["adjacency"] == "zero_out"
    assert other["eps"] == pytest.approx(gaussian(2 * said.z, 40))
    assert "The same noise under zero_out: (eps=2.27, delta=1e-5)" in words_of(said)
    back = state(where="client").other_adjacency
    assert back is not None and back["eps"] == pytest.approx(gaussian(said.z / 2, 40))
    assert state().other_adjacency is None


def test_a_person_in_two_clients_that_noise_themselves_sends_twice_as_much() -> None:
    said = state(plan=dataclasses.replace(FULL, clients_per_subject=2), **LOCAL)
    assert said.person["eps"] == pytest.approx(gaussian(said.z, 80))
    assert "W120" in said.warnings[0]


class TestWindow:
    said = state(plan=WINDOWS, facts={"participations": {0: 2, 1: 1}}, **PER_WINDOW)

    def test_the_unit_is_a_window_and_no_person(self) -> None:
        assert self.said.unit == "window"
        assert "adding or removing one training window, against the server too" in (
            self.said.sentence
        )
        assert self.said.person["eps"] is None
        assert "One training window is not a person" in words_of(self.said)
        assert "nothing is promised for a person" in self.said.warnings[0]

    def test_everyone_outside_a_client_sees_the_same(self) -> None:
        assert set(observers(self.said).values()) == {self.said.eps}

    def test_eps_is_that_of_the_clients_who_pay_most(self) -> None:
        spans = [pld.epsilon(Event("gaussian", self.said.z, 16 / 320, 2 * 20), 1e-5)]
        spans.append(pld.epsilon(Event("gaussian", self.said.z, 16 / 390, 2 * 25), 1e-5))
        assert self.said.eps == pytest.approx(max(spans), rel=1e-6)
        assert "clients with 320 training windows pay most" in words_of(self.said)

    def test_draws_of_windows_are_told_from_draws_of_clients(self) -> None:
        text = self.said.sampling["text"]
        assert text.startswith("in a local step each window of a client with probability up to ")
        assert text.endswith("Clients: everyone takes part in every round: no amplification")

    def test_one_second_of_signal_is_a_group_of_windows(self) -> None:
        group = self.said.group
        assert group is not None and group["units"] == 2
        assert group["eps"] > 1.5 * self.said.eps  # type: ignore[operator]
        assert f"eps={wording.eps_text(group['eps'])}" in group["text"]
        apart = dataclasses.replace(WINDOWS, local=dataclasses.replace(STEPS, windows_per_second=1))
        alone = state(plan=apart, **PER_WINDOW).group
        assert alone is not None and alone["eps"] == pytest.approx(self.said.eps)

    def test_a_round_is_all_its_steps(self) -> None:
        once = pld.epsilon(Event("gaussian", self.said.z, 16 / 320, 20), 1e-5)
        assert self.said.eps_per_round == pytest.approx(once, rel=1e-6)

    @pytest.mark.parametrize("choice", ["subject", "global"])
    def test_statistics_over_windows_void_it(self, choice: str) -> None:
        said = state(plan=WINDOWS, facts={"normalisation": choice}, **PER_WINDOW)
        assert said.status == "NONE" and said.eps is None

    def test_blocks_that_stay_are_noised_as_well(self) -> None:
        said = state(plan=WINDOWS, policies={"task:identity": "keep_local"}, **PER_WINDOW)
        assert said.status == "FORMAL"
        assert "with the same noise in every step, never leave the client" in words_of(said)


class TestBlocks:
    def test_kept_and_frozen_blocks_leave_the_eps_finite(self) -> None:
        said = state(policies={"task:identity": "keep_local", "task:stress": "freeze"})
        assert said.status == "FORMAL" and said.eps == pytest.approx(5.0)
        text = words_of(said)
        assert "`task:identity`: trained on each client for itself, never leave the client" in text
        assert "`task:stress`: frozen" in text and "leaves the eps finite" in text
        assert [b["policy"] for b in said.blocks] == ["noise", "freeze", "keep_local"]

    def test_one_clear_block_is_enough_for_none(self) -> None:
        said = state(noise_layers="shared", policies={"task:identity": "keep_local"})
        assert said.status == "NONE" and said.eps is None
        assert "`task:stress`: released without a DP guarantee" in said.sentence
        assert "no finite epsilon" in said.sentence
        assert "never leave the client" in words_of(said)
        assert "leaves the eps finite" not in words_of(said)

    def test_each_block_with_its_own_clip(self) -> None:
        clips = {"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6}
        said = state(clip=ClipSpec(per_block=clips), allocation="optimal", z=1.0, eps=None)
        # PRIVACY vectors: sigma = (1.0022, 1.4829, 1.0025) at z = 1
        assert [b["sigma"] for b in said.blocks] == pytest.approx(
            [1.0022, 1.4829, 1.0025], abs=5e-4
        )
        assert said.clip is not None and said.clip["bounds"] == [0.8, 0.1, 0.6]
        assert said.z == pytest.approx(1.0)


def test_an_adaptive_clip_is_described() -> None:
    mechanism = ready(clip=ClipSpec(adaptive=AdaptiveClip(quantile=0.4)))
    said = state(clip=ClipSpec(adaptive=AdaptiveClip(quantile=0.4)))
    assert said.clip is not None and said.clip["adaptive"]["quantile"] == 0.4
    assert said.clip["adaptive"]["count_noise"] == mechanism.count_noise  # type: ignore[attr-defined]
    assert said.eps == pytest.approx(5.0)  # the count is paid for


@settings(max_examples=25, deadline=None)
@given(fewest=st.integers(1, 40), done=st.integers(1, 40))
def test_no_observer_is_told_more_than_the_server_of_local_noise(fewest: int, done: int) -> None:
    said = state(facts={"fewest_replies": fewest, "releases_done": done}, **LOCAL)
    eps = observers(said)
    assert eps["external"] <= eps["participants"] <= eps["server"] == said.eps  # type: ignore[operator]
    assert said.eps_per_round <= said.eps <= said.eps_basic * (1 + 1e-9)  # type: ignore[operator]
