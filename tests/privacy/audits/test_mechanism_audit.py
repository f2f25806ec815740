"""The Monte-Carlo audit: a correct mechanism is bounded closely, a broken one is refuted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from evidence import evidence

from fedaffect.audit_record import AttackResult
from fedaffect.privacy.attacks.evidence import Claim
from fedaffect.privacy.audits.mechanism import MechanismAudit
from fedaffect.privacy.base import LocalSteps, ReleasePlan
from fedaffect.privacy.mechanisms.gaussian import Gaussian
from fedaffect.privacy.mechanisms.laplace import Laplace
from fedaffect.privacy.promise import promise_of
from fedaffect.privacy.spec import AdaptiveClip, ClipSpec

SLOW = pytest.mark.slow
AUDIT = MechanismAudit(draws=720_000, calls=100)
PER_BLOCK = ClipSpec(1.0, per_block={"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6})
LOCAL = {"where": "client", "adjacency": "replace_one"}
STEPS = LocalSteps(spans=((64, 70),), batch_size=16, local_epochs=1, windows_per_second=1)


def audited(
    name: str = "gaussian",
    *,
    rounds: int = 6,
    broken: Callable[[Any], Any] | None = None,
    local: LocalSteps | None = None,
    audit: MechanismAudit = AUDIT,
    **dp: Any,
) -> AttackResult:
    """Audit a mechanism that is ``broken`` after its statement was made."""
    if "sigma" not in dp and "eps_per_round" not in dp:
        dp = {"eps": 5.0} | dp
    made = evidence(rounds=rounds, params=np.zeros(1), dp={"name": name} | dp)
    plan = dataclasses.replace(made.plan, local=local)
    mechanism = made.mechanism.calibrate(plan, made.factory.layout)
    made = dataclasses.replace(made, plan=plan, mechanism=mechanism, claims=claims(mechanism, plan))
    if broken is not None:
        made = dataclasses.replace(made, mechanism=broken(mechanism))
    return audit.run(made)


def claims(mechanism: Any, plan: ReleasePlan) -> tuple[Claim, ...]:
    promise = promise_of(mechanism, plan) if mechanism.claims else None
    if promise is None:
        return ()
    spec = mechanism.spec
    observer = "participants" if mechanism.noise_at == "server" else "server"
    return (Claim("FORMAL", observer, spec.unit, spec.adjacency, promise.eps, promise.delta),)


def louder(factor: float) -> Callable[[Any], Any]:
    """Return the mechanism with noise that is wrong by ``factor``."""

    def broken(mechanism: Any) -> Any:
        groups = (dataclasses.replace(g, noise=factor * g.noise) for g in mechanism.groups)
        return dataclasses.replace(mechanism, groups=tuple(groups))

    return broken


def as_class(kind: type) -> Callable[[Any], Any]:
    """Return the mechanism as one of a class whose code is wrong: its numbers look right."""

    def broken(mechanism: Any) -> Any:
        fields = {f.name: getattr(mechanism, f.name) for f in dataclasses.fields(mechanism)}
        return kind(**fields)

    return broken


class Quiet(Gaussian):
    def _draw(self, stream: Any, size: int) -> np.ndarray:
        return super()._draw(stream, size) / 3


class QuietLaplace(Laplace):
    def _draw(self, stream: Any, size: int) -> np.ndarray:
        return super()._draw(stream, size) / 3


class NeverClips(Gaussian):
    def _shortened(self, values: np.ndarray) -> np.ndarray:
        return values


class SameNoiseEveryRelease(Gaussian):
    def add_noise(self, total: Any, key: Any, release: int) -> Any:
        return super().add_noise(total, key, 1)


class SameNoiseNextDoor(Gaussian):
    def _draw(self, stream: Any, size: int) -> np.ndarray:
        return np.repeat(super()._draw(stream, (size + 1) // 2), 2)[:size]


class SameNoiseInEveryBlock(Gaussian):
    def add_noise(self, total: Any, key: Any, release: int) -> Any:
        class OneStream:
            def stream(self, *, release: int, block: str, inputs: bytes) -> Any:
                return key.stream(release=release, block="one for all", inputs=inputs)

        return super().add_noise(total, OneStream(), release)  # type: ignore[arg-type]


def forget_block(mechanism: Any) -> Any:
    """Leave the identity head out of the groups: it is neither clipped nor noised."""
    (group,) = mechanism.groups
    kept = tuple(b for b in group.blocks if b != "task:identity")
    return dataclasses.replace(mechanism, groups=(dataclasses.replace(group, blocks=kept),))


def clear_block(mechanism: Any) -> Any:
    """Say that the stress head leaves in the clear, where the statement says it is noised."""
    forgotten = forget_block(mechanism)
    plan = mechanism.blocks
    policies = tuple((b, "clear" if b == "task:identity" else p) for b, p in plan.policies)
    return dataclasses.replace(
        forgotten, plan_of_blocks=dataclasses.replace(plan, policies=policies)
    )


def silent_block(mechanism: Any) -> Any:
    """Per-block noise, of which one is zero."""
    first, *others = mechanism.groups
    return dataclasses.replace(mechanism, groups=(dataclasses.replace(first, noise=0.0), *others))


BROKEN = {
    "noise divided by 3": ({}, louder(1 / 3)),
    "half the noise": ({}, louder(1 / 2)),
    "draws divided by 3": ({}, as_class(Quiet)),
    "Laplace divided by 3": ({"name": "laplace"}, louder(1 / 3)),
    "Laplace draws divided by 3": ({"name": "laplace"}, as_class(QuietLaplace)),
    "clip forgotten": ({}, as_class(NeverClips)),
    "block forgotten": ({}, forget_block),
    "block clear": ({}, clear_block),
    "block without noise": ({"clip": PER_BLOCK}, silent_block),
    "noise of clients divided by 3": (LOCAL, louder(1 / 3)),
    "noise used in every release": ({}, as_class(SameNoiseEveryRelease)),
    "noise used twice in a block": ({}, as_class(SameNoiseNextDoor)),
    "noise used in two blocks": ({}, as_class(SameNoiseInEveryBlock)),
    "noise of steps divided by 3": (
        {"unit": "window", "where": "client", "local": STEPS},
        louder(1 / 3),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_mechanism_is_refuted(what: str) -> None:
    options, broken = BROKEN[what]
    found = audited(**options, broken=broken)  # type: ignore[arg-type]
    assert found.bound is not None and found.bound.lower_gate is not None
    assert found.bound.claimed is not None
    assert found.bound.lower_gate > found.bound.claimed
    assert "refuted" in found.finding


CORRECT: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "laplace": {"name": "laplace"},
    "moments": {"name": "moments"},
    "at the clients": LOCAL,
    "block by block": {"clip": PER_BLOCK, "allocation": "optimal"},
    "adaptive": {"clip": ClipSpec(1.0, adaptive=AdaptiveClip())},
    "in a cube": {"clip": ClipSpec(1.0, norm="linf")},
    "identity kept": {"policies": {"task:identity": "keep_local"}},
    "steps": {"unit": "window", "where": "client", "local": STEPS},
    "one round": {"rounds": 1},
}


@pytest.mark.parametrize("what", CORRECT)
def test_correct_mechanism_is_not_refuted(what: str) -> None:
    found = audited(**CORRECT[what])
    assert found.status == "done" and found.bound is not None
    assert found.bound.lower is not None and found.bound.lower_gate is not None
    assert found.bound.claimed == pytest.approx(5.0, rel=1e-3)
    assert found.bound.lower_gate <= found.bound.lower <= found.bound.claimed
    assert found.bound.horizon == "run"


@pytest.mark.parametrize("factor", [1.0, *(pytest.param(f, marks=SLOW) for f in (2 / 3, 3 / 2))])
def test_mu_is_measured_within_three_percent(factor: float) -> None:
    found = audited(audit=MechanismAudit(draws=4_000_000), broken=louder(factor))
    z = audited_z()
    assert found.bound is not None and found.bound.mu is not None
    assert found.bound.mu == pytest.approx(math.sqrt(6) / z / factor, rel=0.03)
    assert found.bound.mu_low is not None and found.bound.mu_low < found.bound.mu


def audited_z() -> float:
    """Return z for eps 5 at delta 1e-5 over 6 releases: golden z of one release, times root T."""
    return 0.8918683 * math.sqrt(6)


def test_bound_comes_near_a_known_eps() -> None:
    found = audited(rounds=1, audit=MechanismAudit(draws=4_000_000))
    assert found.bound is not None and found.bound.lower is not None
    assert 4.5 < found.bound.lower <= 5.0


@pytest.mark.slow
def test_sums_of_laplace_noise_are_not_taken_for_gaussian() -> None:
    # Forty Laplace releases look normal to 100,000 draws; their tails are lighter than mu says.
    found = audited("laplace", rounds=40, audit=MechanismAudit(draws=10_000_000))
    assert found.bound is not None and found.bound.mu is None
    assert found.bound.lower is not None and found.bound.lower < 5.0


def test_the_papers_claim_is_refuted_and_its_true_value_is_not() -> None:
    found = audited("paper-gaussian1", eps_per_round=1.0, **LOCAL)
    assert found.bound is not None and found.bound.lower is not None
    assert found.bound.claimed is not None and found.bound.lower_gate is not None
    assert found.bound.claimed > 1e5 > found.bound.lower_gate > 9
    assert "The paper's claim of eps 1 a round is refuted" in found.finding


def test_laplace_noise_on_an_l2_clip_is_worst_along_the_whole_vector() -> None:
    found = audited("paper-laplace", eps_per_round=50.0, sigma=None, **LOCAL)
    assert "the whole vector" in {row.name for row in found.rows}


def test_without_noise_there_is_nothing_to_audit() -> None:
    found = audited("none", eps=None)
    assert (found.status, found.bound) == ("not_run", None) and "no noise" in found.reason


def test_rates_and_curve_stay_within_what_the_trials_resolve() -> None:
    found = audited()
    assert found.n_members >= 10_000
    assert min(p.fpr for p in found.roc) == pytest.approx(1 / found.n_nonmembers)
    assert [p.tpr for p in found.roc] == sorted(p.tpr for p in found.roc)
    for fpr, tpr in found.tpr_at_fpr.items():
        assert tpr.value is not None and tpr.value >= float(fpr) * 0.5


def test_same_seed_same_numbers() -> None:
    made = evidence(rounds=2, params=np.zeros(1), dp={"name": "gaussian", "eps": 5.0})
    small = MechanismAudit(draws=240_000)
    one, again, other = (
        small.run(dataclasses.replace(made, seed=s)).model_dump(exclude={"seconds"})
        for s in (0, 0, 1)
    )
    assert one == again and one["bound"]["mu"] != other["bound"]["mu"]
