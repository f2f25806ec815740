"""Canary audits on models whose every term is planted."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evidence import evidence, people

from fedaffect.privacy.attacks.evidence import Claim, Evidence
from fedaffect.privacy.audits.bounds import steinke_eps
from fedaffect.privacy.audits.canary import CanaryAudit
from fedaffect.privacy.audits.one_run import OneRunAudit
from fedaffect.privacy.canaries import canaries_of, longest_along
from fedaffect.rng import generator

ROUNDS = 10
PEOPLE = people(n_features=60)  # a model of some 600 parameters


def planted(
    count: int, factor: float = 1.0, *, seed: int = 0, included: bool = True, **dp: Any
) -> Evidence:
    """Return a run whose model holds canaries and noise only, ``factor`` times as much."""
    asked = {"name": "gaussian", "eps": 5.0} | dp
    made = evidence(PEOPLE, rounds=ROUNDS, params=np.zeros(1), dp=asked)
    mechanism: Any = made.mechanism
    canaries = canaries_of(seed, count, mechanism, ROUNDS)
    assert canaries is not None
    total = np.zeros(len(made.initial))
    for number in np.flatnonzero(canaries.included & included):
        total += ROUNDS * longest_along(canaries.direction(int(number)), mechanism)
    noise = generator(seed, "planted noise").standard_normal((ROUNDS, len(total)))
    for group in mechanism.groups:
        at = np.concatenate([mechanism.blocks.place(b) for b in group.blocks])
        total[at] += factor * group.noise * noise[:, at].sum(axis=0)
    claims = (
        Claim("FORMAL", "server", "client", "zero_out", None, None),
        Claim("FORMAL", "participants", "client", "zero_out", 5.0, 1e-5),
    )
    params = made.initial + total / (made.plan.clients_per_round + count / 2)
    return replace(made, params=params, canaries=canaries, claims=claims)


def test_mu_is_recovered_within_its_interval() -> None:
    mu = 1 / 0.8918683  # golden multiplier of eps 5 at delta 1e-5
    hits, found_mu = 0, []
    for seed in range(40):
        found = CanaryAudit().run(planted(20, seed=seed))
        assert found.figure.low is not None and found.figure.high is not None
        hits += found.figure.low <= mu <= found.figure.high
        assert found.figure.value is not None
        found_mu.append(found.figure.value)
    assert np.mean(found_mu) == pytest.approx(mu, abs=3 * math.sqrt(1 / 10 / 40) + 0.05)
    assert hits >= 34  # of 40 at 95 %: fewer with probability 0.003


@pytest.mark.parametrize("factor", [1 / 3, 3.0])
def test_wrong_noise_is_seen_in_the_estimate(factor: float) -> None:
    found = CanaryAudit().run(planted(60, factor))
    assert found.bound is not None and found.bound.estimate is not None
    assert found.bound.lower is None and found.bound.claimed == 5.0
    assert found.bound.estimate > 8 if factor < 1 else found.bound.estimate < 4


@pytest.mark.parametrize("options", [{}, {"name": "laplace"}])
def test_left_out_canaries_follow_the_null(options: dict[str, Any]) -> None:
    found = CanaryAudit().run(planted(400, included=False, **options))
    mean, deviation, *_ = (row.figure.value for row in found.rows)
    assert mean is not None and abs(mean) < 4 / math.sqrt(200)
    assert deviation == pytest.approx(1, abs=4 / math.sqrt(2 * 200))
    assert found.figure.low is not None and found.figure.low < 0.3


def test_no_canary_in_the_model_is_worded_as_not_detected() -> None:
    found = CanaryAudit().run(planted(60, included=False, seed=1))
    assert "not detected by this attack" in found.finding
    one_run = OneRunAudit().run(planted(60, included=False, seed=1))
    assert one_run.bound is not None and one_run.bound.lower == 0.0
    assert "not detected by this attack" in one_run.finding


def test_one_run_bounds_a_broken_mechanism_above_its_claim_only() -> None:
    sound = OneRunAudit().run(planted(300)).bound
    broken = OneRunAudit().run(planted(300, 1 / 30))
    assert sound is not None and sound.lower is not None and sound.lower < 5.0
    assert broken.bound is not None and broken.bound.lower is not None
    assert broken.bound.lower > 1.5 * sound.lower
    assert broken.bound.lower_gate is not None and broken.bound.lower_gate < broken.bound.lower
    assert broken.bound.claimed == 5.0 and broken.bound.observer == "participants"


def test_best_possible_is_that_of_all_guesses_right() -> None:
    found = OneRunAudit().run(planted(100)).bound
    assert found is not None and found.best_possible is not None
    golden = 3.492965431152292  # (m, r, v) = (100, 100, 100), delta 0, 95 %: shared vectors
    assert steinke_eps(100, 100, 100, 0.0) == pytest.approx(golden, rel=1e-6)
    assert 2.5 < found.best_possible < golden  # several guess counts are paid for


def test_no_canaries_no_audit() -> None:
    made = evidence(params=np.zeros(1), dp={"name": "gaussian", "eps": 5.0})
    for audit in (CanaryAudit(), OneRunAudit()):
        found = audit.run(made)
        assert found.status == "not_run"
        assert found.reason == "no canaries in this run; -o audit.canaries=100"


def test_too_few_canaries_cannot_be_compared() -> None:
    assert CanaryAudit().run(planted(2)).status == "not_resolvable"
