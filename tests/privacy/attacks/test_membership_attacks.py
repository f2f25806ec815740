"""Membership attacks on real small models: a planted leak is found, no leak is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evidence import evidence, people
from mean_estimation import mean_estimation
from scipy.stats import binom
from tiny import tiny

from fedaffect.audit_record import AttackResult
from fedaffect.outline import outline
from fedaffect.privacy.attacks.evidence import Attack, Claim, Evidence
from fedaffect.privacy.attacks.membership_lira import OfflineLira
from fedaffect.privacy.attacks.membership_loss import LossThreshold
from fedaffect.privacy.attacks.membership_rmia import Rmia
from fedaffect.privacy.attacks.membership_subject import SubjectMembership
from fedaffect.registry import AUDITS, resolve

LOSS, RMIA, LIRA, SUBJECT = LossThreshold(), Rmia(), OfflineLira(models=8), SubjectMembership()
ATTACKS: tuple[Attack, ...] = (LOSS, RMIA, LIRA, SUBJECT)
NAMES = [attack.name for attack in ATTACKS]
PLANTED = "Who took part in training shows"


def overfitted(seed: int, people: int = 12) -> Evidence:
    """Random labels in more dimensions than windows: every training window is remembered."""
    return mean_estimation(people, people, 400, windows=3, seed=seed)


def null(seed: int, members: int = 10, others: int = 10) -> Evidence:
    """The attacked model saw other people: who is called a member is without meaning."""
    params = mean_estimation(members, others, 40, windows=3, seed=seed + 10**6).params
    return mean_estimation(members, others, 40, windows=3, seed=seed, params=params)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_an_overfitted_model_is_found_out(attack: Attack) -> None:
    results = [attack.run(overfitted(seed)) for seed in range(10)]
    found = [r.figure.value > 0.9 and r.figure.low > 0.5 for r in results]
    assert sum(found) >= 9
    assert sum(r.finding.startswith(PLANTED) for r in results) >= 9


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_a_model_that_saw_nobody_is_not(attack: Attack) -> None:
    assert_quiet([attack.run(null(seed)) for seed in range(10)])


CASES = [(LOSS, 10), (LOSS, 4), (RMIA, 4), (LIRA, 10), (SUBJECT, 10), (SUBJECT, 4)]


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "others"), CASES, ids=lambda x: getattr(x, "name", x))
def test_false_alarms_over_200_seeds(attack: Attack, others: int) -> None:
    assert_quiet([attack.run(null(seed, others=others)) for seed in range(200)])


def assert_quiet(results: list[AttackResult]) -> None:
    """Check that at most the binomial 99.9 % limit of results at 5 % are alarms."""
    limit = binom.ppf(0.999, len(results), 0.05)
    quiet = [r for r in results if "not detected by these attacks" in r.finding]
    assert len(results) - len(quiet) <= limit
    assert sum(r.finding.startswith(PLANTED) for r in results) == len(results) - len(quiet)
    assert sum(not r.figure.low <= 0.5 <= r.figure.high for r in results) <= limit


def test_rmia_beats_the_loss_where_people_differ_in_difficulty() -> None:
    """Long windows have large logits of either sign: their loss says little, the ratio more."""
    gains = []
    for seed in range(10):
        found = mean_estimation(40, 40, 60, windows=2, seed=seed)
        scale = np.exp(np.random.default_rng(seed).normal(size=80))[found.windows.subject]
        features = found.windows.features * scale[:, None].astype(np.float32)
        found = mean_estimation(40, 40, 60, windows=2, seed=seed, about={"features": features})
        by_window = [attack.run(found).rows[0].figure.value for attack in (RMIA, LOSS)]
        gains.append(by_window[0] - by_window[1])
    assert np.mean(gains) > 0


def test_a_network_trained_by_federated_averaging_remembers_its_people() -> None:
    who = people(10, 10, windows=8, recordings=1, identity=0, stress=0, n_features=60, seed=1)
    found = evidence(who, rounds=12)
    result = LOSS.run(found)
    assert result.status == "done"
    assert result.finding.startswith(PLANTED)
    assert result.figure.value > 0.8
    untrained = [row.figure for row in result.rows if row.name == "untrained net"]
    assert len(untrained) == 2
    assert all(figure.low <= 0.5 <= figure.high for figure in untrained)
    plain = LOSS.run(evidence(who, params=found.initial, reference=found.params))
    assert plain.reference.value > 0.7
    assert "not detected by these attacks" in plain.finding
    assert {row.role for row in plain.rows if row.name == "same run without DP"} == {"baseline"}


def test_what_a_result_holds() -> None:
    result = LOSS.run(overfitted(0, people=40))
    assert AttackResult.model_validate_json(result.model_dump_json()) == result
    assert (result.n_members, result.n_nonmembers) == (120, 120)
    assert result.tpr_at_fpr["0.01"].low > 0.05
    assert result.tpr_at_fpr["0.001"].value is None
    assert result.roc[0].fpr >= 1 / 120
    assert result.figure.chance == 0.5
    assert result.figure.n_people == 80
    assert 0.5 < result.smallest_effect < 0.8
    assert "identity head" in result.notes[0]


def test_groups_that_differ_anyway_are_pointed_out() -> None:
    found = null(0, 20, 20)
    w = found.windows
    shifted = w.features + 3 * w.train[:, None] * (2 * w.stress - 1)[:, None].astype(np.float32)
    ones = np.ones(w.features.shape[1]) / 20
    odd = mean_estimation(
        20, 20, 40, windows=3, about={"features": shifted}, params=ones, initial=ones
    )
    assert any("differ in more than membership" in note for note in LOSS.run(odd).notes)
    assert not any("differ in more" in note for note in LOSS.run(overfitted(0)).notes)


def changed(**about: Any) -> Evidence:
    return mean_estimation(11, 4, 20, windows=3, about=about)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
@pytest.mark.parametrize(
    ("about", "status", "reason"),
    [
        ({"leaks_overlap": True}, "refused", "raw samples"),
        ({"people_drawn_at_random": False}, "refused", "generalisation gap is not leakage"),
        ({"unseen": np.zeros(45, dtype=bool)}, "refused", "generalisation gap is not leakage"),
        ({"unseen": np.arange(45) >= 42}, "not_resolvable", "too few"),
    ],
)
def test_unfair_comparisons_are_refused(
    attack: Attack, about: dict[str, Any], status: str, reason: str
) -> None:
    result = attack.run(changed(**about))
    assert result.status == status
    assert reason in result.reason
    assert result.figure.value is None


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_without_a_stress_head_there_is_nothing_to_read(attack: Attack) -> None:
    factory = outline(tiny({"model.tasks": ["identity"]})).factory
    result = attack.run(replace(changed(), factory=factory))
    assert (result.status, result.figure.value) == ("not_run", None)
    assert "no stress head" in result.reason


def test_fifteen_people_resolve_no_low_false_positive_rate() -> None:
    result = SUBJECT.run(changed())
    assert result.status == "done"
    assert (result.n_members, result.n_nonmembers) == (11, 4)
    for rate in result.tpr_at_fpr.values():
        assert rate.value is None
        assert rate.note.startswith("not resolvable")
    assert result.smallest_effect > 0.8


def test_a_bound_beside_the_claim_to_outsiders() -> None:
    claims = tuple(
        Claim("guaranteed", observer, "client", "zero_out", eps, 1e-5)
        for observer, eps in (("server", 9.0), ("external", 0.5))
    )
    result = SUBJECT.run(mean_estimation(150, 150, 4000, windows=3, claims=claims))
    bound = result.bound
    assert (bound.claimed, bound.delta, bound.observer) == (0.5, 1e-5, "external")
    assert bound.claimed < bound.lower <= bound.best_possible < 5
    assert bound.lower_gate is None
    assert any("no gate" in note for note in result.notes)
    quiet = SUBJECT.run(null(0))
    assert quiet.bound.lower == 0.0
    assert quiet.bound.claimed is None


def test_no_bound_where_a_client_is_no_person() -> None:
    found = null(0)
    spread = type(found.plan)(**{**vars(found.plan), "clients_per_subject": 2})
    result = SUBJECT.run(type(found)(**{**vars(found), "plan": spread}))
    assert result.bound is None
    assert any("not one person" in note for note in result.notes)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_same_seed_same_result(attack: Attack) -> None:
    results = [attack.run(overfitted(5)).model_copy(update={"seconds": 0.0}) for _ in range(2)]
    assert results[0] == results[1]


def test_a_diverged_model_is_attacked_and_shows_nothing() -> None:
    found = mean_estimation(8, 8, 20, windows=3, params=np.full(20, np.nan))
    for attack in ATTACKS:
        result = attack.run(found)
        assert result.status == "done"
        assert result.figure.low <= 0.5 <= result.figure.high


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_registered_under_its_name(attack: Attack) -> None:
    assert attack.name in AUDITS
    assert resolve("audit", attack.name) is type(attack)
    assert attack.threat == "A"
    assert attack.full is (attack is not LOSS)
