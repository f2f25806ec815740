from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import pytest
from command_line import call

from fedaffect.config_sources import KEYS
from fedaffect.data.synthetic import Synthetic

PLAN = ("simulate", "--dry-run", "--clients", "20", "--dp", "gaussian", "--eps", "5")


def multiplier(eps: float, delta: float, releases: int) -> float:
    """Return the exact noise multiplier of composed Gaussian releases, by bisection.

    Balle & Wang 2018, theorem 8, with mu = sqrt(releases) / multiplier (Dong, Roth & Su 2019).
    """
    phi = NormalDist().cdf

    def delta_of(z: float) -> float:
        mu = math.sqrt(releases) / z
        return phi(mu / 2 - eps / mu) - math.exp(eps) * phi(-mu / 2 - eps / mu)

    low, high = 0.1, 1000.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle) > delta else (low, middle)
    return high


MULTIPLIER = multiplier(5, 1e-5, 40)


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A plan that reads a signal, or writes here, fails."""

    def read(*_: object) -> None:
        raise AssertionError("a dry run read signals")

    monkeypatch.setattr(Synthetic, "load", read)
    monkeypatch.chdir(tmp_path)


def test_the_plan_says_what_noise_does_before_anything_is_trained(tmp_path: Path) -> None:
    said = call(*PLAN)
    assert (said.code, said.err) == (0, "")
    parameters = 98_502
    assert f"stress_identity_cnn, {parameters:,} parameters" in said.out
    clients = MULTIPLIER * math.sqrt(parameters)  # noise on the sum against n clipped updates
    assert f"noise is as long as the signal at {math.ceil(clients):,} clients" in said.out
    assert f"with 20 it is {clients / 20:.1f} times the signal" in said.out
    assert "total eps 5 at delta 1e-05 over 40 releases" in said.out
    assert "unit=client, zero-out adjacency" in said.out
    assert "\n! W112" in said.out
    assert not list(tmp_path.iterdir())


def test_every_value_is_shown_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDAFFECT_RUN__SEED", "3")
    lines = [line.split() for line in call(*PLAN, "-o", "data.gap_s=30").out.splitlines()]
    told = {words[0]: words[2:] for words in lines if len(words) > 3 and words[1] == "="}
    assert told["federation.clients"] == ["20", "--clients"]
    assert told["federation.rounds"] == ["40", "default"]
    assert told["data.gap_s"] == ["30.0", "-o", "data.gap_s"]
    assert told["run.seed"] == ["3", "environment"]
    assert told["dp.eps"] == ["5.0", "--eps"]
    assert set(told) <= set(KEYS)


def test_json_is_one_document() -> None:
    said = call(*PLAN, "--json", "--quiet")
    plan = said.document
    assert (said.code, said.err) == (0, "")
    assert plan["parameters"] == sum(plan["blocks"].values()) == 98_502
    assert (plan["people"], plan["people_unseen"]) == (24, 4)
    assert plan["config"]["dp"]["eps"] == 5.0
    assert plan["origins"]["dp.eps"] == "--eps"
    forecast = plan["forecast"]
    assert forecast["noise_multiplier"] == pytest.approx(MULTIPLIER, rel=1e-6)
    assert forecast["break_even_clients"] == pytest.approx(MULTIPLIER * math.sqrt(98_502), rel=1e-6)
    assert forecast["can_learn"] is False


def test_the_words_go_to_stderr_beside_json() -> None:
    said = call(*PLAN, "--json")
    assert said.document["people"] == 24
    assert "noise multiplier 5.641 x clip 1" in said.err


def test_a_block_in_the_clear_has_no_finite_epsilon() -> None:
    said = call(*PLAN, "--noise-layers", "task:identity")
    assert "released in the clear: shared, task:stress" in said.out
    assert "status NONE: Noise was added only to `task:identity`" in said.out
    assert "total eps" not in said.out


def test_without_dp_there_is_no_epsilon() -> None:
    said = call("simulate", "--dry-run")
    assert "privacy  none: no epsilon, whatever the accuracies below say" in said.out
    assert "eps 5" not in said.out


def test_quiet_says_nothing() -> None:
    said = call(*PLAN, "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
