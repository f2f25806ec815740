"""Replacing one window: the paper's sensitivity falls, the clip's and the window's do not."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import FederatedTrainer, evidence, people

from fedaffect.audit_record import AttackResult
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.audits.bounds import clopper_pearson_eps
from fedaffect.privacy.audits.one_window import changes, sensitivity_of
from fedaffect.privacy.audits.refute_sensitivity import RefuteSensitivity
from fedaffect.privacy.base import LocalSteps
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.spec import ClipSpec

GOLDEN = Path(__file__).parents[2] / "golden" / "refute_sensitivity.json"
PAPER = {"name": "paper-gaussian1", "eps_per_round": 1.0, "where": "client"} | {
    "adjacency": "replace_one"
}
AUDIT = RefuteSensitivity(natural=2, trials=100)
STEPS = LocalSteps(spans=((64, 70),), batch_size=16, local_epochs=1, windows_per_second=1)


def handed(lr: float = 0.2, **dp: Any) -> Evidence:
    made = evidence(people(windows=60), params=np.zeros(1), dp=dp or PAPER)
    trainer = made.trainer
    assert isinstance(trainer, FederatedTrainer)
    local = dataclasses.replace(trainer.local, lr=lr)
    return dataclasses.replace(made, trainer=dataclasses.replace(trainer, local=local), local=local)


def row(found: AttackResult, name: str) -> float:
    (value,) = (r.figure.value for r in found.rows if r.name.startswith(name))
    assert value is not None
    return value


@pytest.mark.parametrize("name", ["paper-gaussian1", "paper-gaussian2", "paper-laplace"])
def test_the_papers_sensitivity_is_refuted(name: str) -> None:
    found = AUDIT.run(handed(**PAPER | {"name": name}))
    assert row(found, "claimed sensitivity") == 0.002  # C = 1, |D_i| = 1000
    assert found.figure.value is not None and found.figure.value > 5
    assert row(found, "what the clip bounds") == 2.0
    assert found.finding.startswith("The claimed sensitivity is refuted")
    assert found.bound is not None and found.bound.lower is not None
    assert found.bound.lower > 1.0  # the claim of one round
    # All 100 trials told right: log(0.96378 / 0.03622), a golden Clopper-Pearson row.
    assert found.bound.best_possible == pytest.approx(3.2813359732686576)
    assert found.bound.lower_gate is None  # a finding, not a gate
    assert found.bound.claimed is not None and found.bound.claimed > 1000  # the true value


def test_two_thousand_trials_reach_the_golden_bound() -> None:
    golden = json.loads(GOLDEN.read_text())["refute_sensitivity"]
    n = RefuteSensitivity().trials
    ceiling = golden["eps_lb95_at_claimed_eps1"]["lr05_mom_natural"]  # all trials told right
    assert clopper_pearson_eps(n, n, 0, n, 1e-5) == pytest.approx(ceiling, abs=0.005)
    mechanism = handed().mechanism
    assert isinstance(mechanism, NoisedSum)
    assert sensitivity_of(mechanism).claimed == golden["claimed"]


def test_measured_change_is_that_of_training_twice() -> None:
    made = handed()
    mechanism = made.mechanism
    assert isinstance(mechanism, NoisedSum)
    natural, _, outlier = changes(made, mechanism, 2, 7)
    for change in (natural, outlier):
        assert change.size == pytest.approx(math.dist(change.before, change.after))
        for sent in (change.before, change.after):
            assert np.linalg.norm(sent) <= 1 + 1e-9
    w = made.windows
    rows = np.flatnonzero(w.train & (w.client == 0))
    update = made.trainer.update(made.initial, rows, 7, {})
    assert natural.length == pytest.approx(np.linalg.norm(update))
    clipped = update * min(1.0, 1 / natural.length)
    np.testing.assert_allclose(natural.before, clipped, atol=1e-12)
    assert outlier.size > 0


def test_at_a_tiny_learning_rate_the_claim_is_not_contradicted() -> None:
    found = AUDIT.run(handed(lr=1e-4))
    assert found.figure.value is not None and found.figure.value < 1
    assert found.finding.startswith("The claimed sensitivity is not contradicted")
    assert "clipping is never active" in found.finding


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_a_sensitivity_of_the_whole_contribution_is_not_refuted(name: str) -> None:
    found = AUDIT.run(handed(lr=5.0, name=name, eps=5.0))
    assert found.figure.value is not None and 0 < found.figure.value <= 1
    assert found.bound is not None and found.bound.lower is not None
    assert found.bound.claimed is not None and found.bound.lower <= found.bound.claimed
    assert "not contradicted" in found.finding


def test_per_window_steps_are_not_refuted() -> None:
    made = handed(name="gaussian", eps=5.0, unit="window", where="client")
    plan = dataclasses.replace(made.plan, local=STEPS)
    mechanism = made.mechanism.calibrate(plan, made.factory.layout)
    local = dataclasses.replace(made.local, batch_size=16)
    made = dataclasses.replace(made, plan=plan, mechanism=mechanism, local=local)
    found = AUDIT.run(made)
    assert found.status == "done" and "not contradicted" in found.finding
    # A replaced window takes its clipped gradient with it and brings another: at most 2C.
    assert found.figure.value is not None and 0 < found.figure.value <= 1
    assert found.bound is not None and found.bound.lower is not None
    assert found.bound.claimed is not None and found.bound.lower <= found.bound.claimed


def test_sensitivity_is_that_of_the_noise() -> None:
    per_block = {"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6}
    made = handed(name="gaussian", eps=5.0, clip=ClipSpec(per_block=per_block))
    assert isinstance(made.mechanism, NoisedSum)
    expected = 2 * math.hypot(0.8, 0.1, 0.6)
    assert sensitivity_of(made.mechanism).claimed == pytest.approx(expected)


def test_nothing_to_refute_without_noise_or_clients() -> None:
    found = AUDIT.run(handed(name="none"))
    assert found.status == "not_run" and "nothing is clipped" in found.reason
    made = handed()
    nobody = dataclasses.replace(made.windows, client=np.full_like(made.windows.client, -1))
    found = AUDIT.run(dataclasses.replace(made, windows=nobody))
    assert found.status == "not_run" and "no client" in found.reason
