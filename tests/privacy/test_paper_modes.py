"""The paper's own noise: its size, its face value, and what it is really worth."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fedaffect import registry
from fedaffect.config import RunConfig
from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.mechanisms.paper import PaperClaim
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.promise import promise_of, spent_after
from fedaffect.privacy_plan import privacy_spec

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())
# Table II of the paper: 96,997 parameters.
TABLE_II = Layout(
    ("cnn", "stress", "identity"),
    ((61_980,), (101, 2), (34_815,)),
    {"shared": ("cnn",), "task:stress": ("stress",), "task:identity": ("identity",)},
)
MODES = {
    "gauss1_standard Df*sqrt(2ln(1.25/d))/eps": ("paper-gaussian1", 1.0),
    "eq12_as_printed sqrt(2ln(1.25/d)/eps)": ("paper-gaussian1-as-printed", 1.0),
    "gauss2 q=1": ("paper-gaussian2", 1.0),
    "gauss2 q=0.5": ("paper-gaussian2", 0.5),
}
FORMULAS = ["paper-gaussian1", "paper-gaussian1-as-printed", "paper-gaussian2", "paper-laplace"]


def plan_of(rate: float = 1.0, releases: int = 40) -> ReleasePlan:
    return ReleasePlan(releases, 20 * rate, rate, "full" if rate == 1 else "fixed", 20, 1, 1)


def calibrated(name: str, plan: ReleasePlan | None = None, **dp: Any) -> Any:
    """Return the mechanism as a run configuration resolves it."""
    if name != "paper-noise":
        dp = {"eps_per_round": 5.0} | dp
    spec = privacy_spec(RunConfig.model_validate({"dp": {"mechanism": name} | dp}))
    mechanism = mechanism_of(spec, registry.resolve("dp", name))
    return mechanism.calibrate(plan or plan_of(), TABLE_II)


def claim_of(name: str, plan: ReleasePlan | None = None, **dp: Any) -> PaperClaim:
    claim = calibrated(name, plan, **dp).paper_claim(plan or plan_of())
    assert isinstance(claim, PaperClaim)
    return claim


@pytest.mark.parametrize(
    "row",
    VECTORS["paper_formulas_T40_C1_Di1000_delta1e5"],
    ids=lambda r: f"{r['formula'].split()[0]} {r['eps']}",
)
def test_size_face_value_and_worth(row: dict[str, Any]) -> None:
    name, rate = MODES[row["formula"]]
    plan = plan_of(rate)
    ready = calibrated(name, plan, eps_per_round=float(row["eps"]))
    claim = ready.paper_claim(plan)
    assert (claim.eps_per_round, claim.delta, claim.releases) == (row["eps"], 1e-5, 40)
    assert claim.noise_sd == pytest.approx(row["sigma_coord"], rel=1e-12)
    assert claim.face_value_total == pytest.approx(row["eps_T40_if_Df_true"], rel=1e-6)
    assert claim.true_eps_per_round == pytest.approx(row["eps_round_update_clip_2C"], rel=1e-6)
    assert claim.true_eps_total == pytest.approx(row["eps_T40_update_clip_2C"], rel=1e-6)
    # The ordinary promise says the same: there is no second way to account.
    promise = promise_of(ready, plan)
    assert promise is not None and promise.eps == claim.true_eps_total
    assert spent_after(ready, plan, 1) == pytest.approx(claim.true_eps_per_round, rel=1e-9)


@pytest.mark.parametrize("row", VECTORS["laplace_l2clip"], ids=lambda r: f"{r['eps']} {r['d']}")
def test_laplace_noise_under_an_l2_clip(row: dict[str, Any]) -> None:
    identity = {"shared": "freeze", "task:stress": "keep_local"}
    dp: dict[str, Any] = {"eps_per_round": float(row["eps"])}
    if row["d"] == 34_815:
        dp |= {"noise_layers": "task:identity", "blocks": identity}
    claim = claim_of("paper-laplace", **dp)
    assert claim.noise_sd == pytest.approx(row["b"] * math.sqrt(2), rel=1e-12)
    assert claim.true_eps_per_round == pytest.approx(row["eps_round_true_L1"], rel=1e-6)
    assert claim.true_eps_total == pytest.approx(40 * row["eps_round_true_L1"], rel=1e-3)
    assert claim.eps_per_round is not None
    once = claim_of("paper-laplace", paper_records=1, **dp).true_eps_per_round
    assert once == pytest.approx(row["eps_if_update_l2_2C_and_b_2C_over_eps"], rel=1e-6)
    assert claim_of("paper-laplace", clip_norm="l1", paper_records=1, **dp).true_eps_per_round == (
        pytest.approx(row["eps"], rel=1e-3)
    )


def test_laplace_face_value_composes_the_claim() -> None:
    row = next(r for r in VECTORS["laplace_composition"] if r["eps0"] == 1 and r["T"] == 40)
    claim = claim_of("paper-laplace", eps_per_round=1.0)
    assert claim.face_value_total == pytest.approx(row["pld_dpa"], rel=1e-3)


@pytest.mark.parametrize("row", VECTORS["paper_plain_noise"], ids=lambda r: f"{r['sigma']}")
@pytest.mark.parametrize("adjacency", ["replace_one", "zero_out"])
def test_plain_noise_claims_nothing_and_is_accounted(row: dict[str, Any], adjacency: str) -> None:
    ready = calibrated("paper-noise", sigma=row["sigma"], adjacency=adjacency)
    claim = ready.paper_claim(plan_of())
    assert not ready.claims
    assert (claim.eps_per_round, claim.face_value_total) == (None, None)
    assert claim.noise_sd == row["sigma"]
    assert claim.true_eps_per_round == pytest.approx(row[adjacency]["round"], rel=3e-3)
    assert claim.true_eps_total == pytest.approx(row[adjacency]["T40"], rel=2e-3)


@pytest.mark.parametrize("name", FORMULAS)
def test_who_and_where_are_the_papers(name: str) -> None:
    ready = calibrated(name)
    assert (ready.noise_at, ready.norm, ready.spec.adjacency) == ("client", "l2", "replace_one")
    assert ready.claims and ready.spec.records == 1000
    reach = math.sqrt(96_997) if name == "paper-laplace" else 1.0
    (group,) = ready.groups
    assert group.sensitivity == pytest.approx(2 * reach)
    assert ready.scale == pytest.approx(group.noise / (2 * reach))


@pytest.mark.parametrize("name", [*FORMULAS, "paper-noise"])
def test_noise_drawn_is_noise_stated(name: str) -> None:
    dp = {"sigma": 0.3} if name == "paper-noise" else {}
    ready = calibrated(name, **dp)
    sd = ready.paper_claim(plan_of()).noise_sd
    silent = clipped_sum(np.zeros((1, TABLE_II.size)), ready)
    noise = ready.add_noise(silent, SecretNoiseKey(bytes(32)), 1).total
    unit = stats.laplace(scale=1 / math.sqrt(2)) if name == "paper-laplace" else stats.norm
    assert stats.kstest(noise / sd, unit.cdf).pvalue > 1e-6
    for wrong in (2 / 3, 3 / 2, math.sqrt(2)):
        assert stats.kstest(noise * wrong / sd, unit.cdf).pvalue < 1e-6


def test_noise_follows_clip_and_records_where_the_formula_has_them() -> None:
    base = {name: claim_of(name).noise_sd for name in FORMULAS}
    for name in FORMULAS:
        factor = 1.0 if name == "paper-gaussian1-as-printed" else 3.0 * 1000 / 250
        sd = claim_of(name, clip=3.0, paper_records=250).noise_sd
        assert sd == pytest.approx(factor * base[name])


def test_gaussian_2_grows_with_rounds_and_the_other_formulas_do_not() -> None:
    for name in FORMULAS:
        fewer = claim_of(name, plan_of(releases=10)).noise_sd / claim_of(name).noise_sd
        assert fewer == pytest.approx(0.5 if name == "paper-gaussian2" else 1.0)


def test_the_claim_of_fewer_releases_keeps_the_noise() -> None:
    ready = calibrated("paper-gaussian2")
    part, whole = (ready.paper_claim(plan_of(releases=t)) for t in (10, 40))
    assert part.noise_sd == whole.noise_sd and part.releases == 10
    assert part.true_eps_per_round == pytest.approx(whole.true_eps_per_round)
    assert part.true_eps_total < whole.true_eps_total
    assert part.face_value_total < whole.face_value_total


def test_clip_readings_of_algorithm_1() -> None:
    # Elementwise clipping moves a vector by up to 2C sqrt(d).
    each = calibrated("paper-noise", sigma=1.0, clip_norm="linf")
    assert 1 / each.scale == pytest.approx(2 * math.sqrt(96_997), rel=1e-9)
    weights = calibrated("paper-noise", sigma=1.0, clip_target="weights")
    start = np.full(TABLE_II.size, 2.0)
    sent = weights.on_client(np.zeros(TABLE_II.size), start)
    assert np.linalg.norm(sent) == pytest.approx(1.0)
    assert weights.scale == pytest.approx(0.5)


def test_a_block_in_the_clear_leaves_no_total() -> None:
    claim = claim_of("paper-gaussian1", noise_layers="task:identity")
    whole = claim_of("paper-gaussian1")
    assert claim.true_eps_total is None
    assert claim.true_eps_per_round == pytest.approx(whole.true_eps_per_round)


def test_capped_participation_lowers_what_the_noise_costs() -> None:
    plan = replace(plan_of(0.5), participation_cap=10)
    claim, all_rounds = claim_of("paper-gaussian1", plan), claim_of("paper-gaussian1", plan_of(0.5))
    assert claim.true_eps_total == pytest.approx(
        claim_of("paper-gaussian1", plan_of(releases=10)).true_eps_total
    )
    assert all_rounds.true_eps_total == claim_of("paper-gaussian1").true_eps_total  # no hidden q


def test_before_calibration_there_is_no_claim() -> None:
    spec = calibrated("paper-laplace").spec
    raw = registry.resolve("dp", "paper-laplace")(spec=replace(spec, delta=None))
    assert raw.paper_claim(plan_of()) is None


@pytest.mark.parametrize("value", [None, 0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", [*FORMULAS, "paper-noise"])
def test_a_level_must_be_a_positive_number(name: str, value: float | None) -> None:
    field = "sigma" if name == "paper-noise" else "eps_per_round"
    spec = replace(calibrated("paper-noise", sigma=1.0).spec, mechanism=name, sigma=None)
    with pytest.raises(UsageError) as caught:
        registry.resolve("dp", name)(spec=replace(spec, **{field: value})).calibrate(
            plan_of(), TABLE_II
        )
    assert caught.value.code == "E226"


@pytest.mark.parametrize(
    "odd",
    [
        {"block_clips": {"shared": 1.0, "task": 1.0}},
        {"clip": "adaptive", "where": "server"},
        {"unit": "window"},
    ],
    ids=lambda o: next(iter(o)),
)
@pytest.mark.parametrize("name", [*FORMULAS, "paper-noise"])
def test_what_the_paper_does_not_have_is_refused(name: str, odd: dict[str, Any]) -> None:
    dp = {"sigma": 1.0} | odd if name == "paper-noise" else odd
    with pytest.raises(UsageError) as caught:
        calibrated(name, **dp)
    assert caught.value.code == "E232"
