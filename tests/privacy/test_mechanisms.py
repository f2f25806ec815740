"""Mechanisms from budget to noise: blocks, calibration, forecast, refusals."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fedaffect import registry
from fedaffect.errors import PrivacyError, UsageError
from fedaffect.params import Layout
from fedaffect.privacy.base import ClippedSum, PrivacySpec, ReleasePlan
from fedaffect.privacy.blocks import noised_blocks
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.forecast import plan_forecast
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey

# Table II of the paper: shared 61,980, stress head 202, identity head 34,815 parameters.
TABLE_II = Layout(
    ("cnn", "stress", "identity"),
    ((61_980,), (101, 2), (34_815,)),
    {"shared": ("cnn",), "task:stress": ("stress",), "task:identity": ("identity",)},
)
PLAN = ReleasePlan(40, 20, 1.0, "full", 20, 1, 1)
KEY = SecretNoiseKey(bytes(32))


def calibrated(
    name: str,
    plan: ReleasePlan = PLAN,
    layout: Layout = TABLE_II,
    eps: float | None = 5.0,
    delta: float | None = None,
    layers: str = "all",
    clip: float = 1.0,
) -> Any:
    spec = PrivacySpec(name, eps, delta, layers, clip)
    return registry.resolve("dp", name)(spec=spec).calibrate(plan, layout)


def planned(**changes: Any) -> ReleasePlan:
    return dataclasses.replace(PLAN, **changes)


@pytest.mark.parametrize(
    ("name", "scale", "sd"),
    [
        ("gaussian", 5.640670, 5.640670),
        ("moments", 6.0332, 6.0332),
        ("laplace", 5.248, 5.248 * math.sqrt(2)),
    ],
)
def test_noise_for_a_total_of_5_over_40_rounds(name: str, scale: float, sd: float) -> None:
    ready = calibrated(name)
    assert ready.scale == pytest.approx(scale, rel=2e-3)
    assert ready.noise_sd == pytest.approx(sd, rel=2e-3)
    assert calibrated(name, clip=3.0).noise_sd == pytest.approx(3 * ready.noise_sd)
    spent = [ready.eps_spent(PLAN, k) for k in (0, 1, 20, 40)]
    assert spent[0] == 0 and spent == sorted(spent)
    assert 4.995 < spent[-1] <= 5 * (1 + 1e-9)


def test_replacing_all_releases_by_one_needs_less_noise_by_the_root() -> None:
    once = calibrated("gaussian", planned(releases=1))
    assert calibrated("gaussian").scale == pytest.approx(math.sqrt(40) * once.scale)


def test_only_secret_poisson_draws_amplify() -> None:
    rate = 1 / 3
    full = calibrated("gaussian", delta=1e-5)
    fixed = calibrated("gaussian", planned(sampling_rate=rate, sampler="fixed"), delta=1e-5)
    poisson = calibrated("gaussian", planned(sampling_rate=rate, sampler="poisson"), delta=1e-5)
    assert fixed.scale == full.scale
    assert poisson.scale == pytest.approx(2.1138, rel=1e-3)


@pytest.mark.parametrize(("units", "delta"), [(20, 1e-5), (10_000, 1e-5), (1_000_000, 1e-7)])
def test_default_delta(units: int, delta: float) -> None:
    assert calibrated("gaussian", planned(n_units=units)).spec.delta == pytest.approx(delta)


@pytest.mark.parametrize("delta", [0.05, 0.2, 1.0, 0.0])
def test_delta_must_be_below_one_over_n(delta: float) -> None:
    with pytest.raises(UsageError) as caught:
        calibrated("gaussian", delta=delta)
    assert caught.value.code == "E224" and caught.value.exit_code == 2
    assert "1/N = 0.05" in str(caught.value)
    assert calibrated("gaussian", delta=0.0499).spec.delta == 0.0499


@pytest.mark.parametrize("eps", [None, 0.0, -1.0, math.inf, math.nan])
def test_a_budget_must_be_a_positive_number(eps: float | None) -> None:
    with pytest.raises(UsageError) as caught:
        calibrated("laplace", eps=eps)
    assert caught.value.code == "E226"


def test_a_budget_out_of_reach() -> None:
    with pytest.raises(UsageError) as caught:
        calibrated("gaussian", eps=1e12)
    assert caught.value.code == "E222"


@pytest.mark.parametrize(
    ("words", "blocks"),
    [
        ("all", ("shared", "task:stress", "task:identity")),
        ("shared", ("shared",)),
        ("task", ("task:stress", "task:identity")),
        ("task:identity", ("task:identity",)),
        ("task:identity, shared", ("shared", "task:identity")),
        ("task,shared", ("shared", "task:stress", "task:identity")),
    ],
)
def test_noise_layers(words: str, blocks: tuple[str, ...]) -> None:
    assert noised_blocks(words, TABLE_II) == blocks
    ready = calibrated("gaussian", layers=words)
    sizes = TABLE_II.block_sizes
    assert ready.noised.sum() == sum(sizes[b] for b in blocks)
    assert (ready.eps_spent(PLAN, 40) is None) is (len(blocks) < 3)


@pytest.mark.parametrize("words", ["task:identiy", "", "shared,", "Shared", "none", "shared task"])
def test_an_unknown_block_is_refused_with_a_hint(words: str) -> None:
    with pytest.raises(UsageError) as caught:
        calibrated("gaussian", layers=words)
    assert caught.value.code == "E225"
    assert "known: all, shared, task, task:identity, task:stress" in caught.value.do
    if words == "task:identiy":
        assert "did you mean task:identity?" in caught.value.do


def test_a_model_without_heads_has_no_task_blocks() -> None:
    layout = Layout(("a",), ((3,),), {"shared": ("a",)})
    with pytest.raises(UsageError):
        noised_blocks("task", layout)


@pytest.mark.parametrize("name", ["gaussian", "moments", "laplace"])
@pytest.mark.parametrize("layers", ["all", "task"])
def test_noise_on_every_noised_coordinate_and_nowhere_else(name: str, layers: str) -> None:
    ready = calibrated(name, layers=layers, clip=0.25)
    total = clipped_sum(np.zeros((3, TABLE_II.size)), ready)
    noisy = ready.on_server(total, KEY, 1)
    assert (noisy.count, noisy.sensitivity, noisy.norm) == (3, 0.25, ready.norm)
    assert not total.total.any()
    assert not noisy.total[~ready.noised].any()
    unit = stats.laplace if name == "laplace" else stats.norm
    for block in ready.noised_blocks:
        noise = noisy.total[TABLE_II.indices(block)]
        assert stats.kstest(noise / (ready.scale * 0.25), unit.cdf).pvalue > 1e-6
        assert abs(noise.std() / ready.noise_sd - 1) < 4 * 1.2 / math.sqrt(len(noise))
    values = noisy.total[ready.noised] / (ready.scale * 0.25)
    for wrong in (2 / 3, 3 / 2):
        assert stats.kstest(values * wrong, unit.cdf).pvalue < 1e-6
    heads = [noisy.total[TABLE_II.indices(b)][:202] for b in ("task:stress", "task:identity")]
    assert abs(np.corrcoef(*heads)[0, 1]) < 5 / math.sqrt(202)


def test_equal_inputs_repeat_a_release_and_any_change_gives_other_noise() -> None:
    ready = calibrated("gaussian")
    rows = np.zeros((2, TABLE_II.size))
    rows[0, -1] = 1e-12
    one, other = clipped_sum(rows, ready), clipped_sum(rows * 2, ready)

    def noise(mechanism: Any, total: ClippedSum, release: int = 1) -> np.ndarray:
        return (mechanism.on_server(total, KEY, release).total - total.total) / mechanism.scale

    base = noise(ready, one)
    np.testing.assert_array_equal(noise(ready, one), base)
    # Noise of another size on the same sum must not be the same draws: the two would be solved.
    smaller = calibrated("gaussian", eps=8.0)
    for changed in (
        noise(ready, other),
        noise(ready, one, release=2),
        noise(smaller, one),
        noise(ready, dataclasses.replace(one, count=1)),
    ):
        assert abs(np.corrcoef(changed, base)[0, 1]) < 5 / math.sqrt(TABLE_II.size)


def test_test_noise_is_equal_for_sums_that_differ_by_rounding() -> None:
    ready, key = calibrated("gaussian"), TestNoiseKey("engines")
    one = clipped_sum(np.zeros((2, TABLE_II.size)), ready)
    other = dataclasses.replace(one, total=one.total + 1e-15)
    difference = ready.on_server(one, key, 3).total - ready.on_server(other, key, 3).total
    assert np.abs(difference).max() < 1e-13


def test_a_sum_that_was_clipped_otherwise_gets_no_noise() -> None:
    total = clipped_sum(np.zeros((1, TABLE_II.size)), calibrated("gaussian", clip=2.0))
    for wrong in (calibrated("gaussian"), calibrated("laplace", clip=2.0)):
        with pytest.raises(PrivacyError) as caught:
            wrong.on_server(total, KEY, 1)
        assert caught.value.code == "E406"


def test_a_mechanism_that_is_not_calibrated_does_nothing() -> None:
    raw = registry.resolve("dp", "gaussian")(spec=PrivacySpec("gaussian", 5.0, None, "all", 1.0))
    with pytest.raises(ValueError, match="calibrate"):
        raw.on_client(np.zeros(3))
    with pytest.raises(ValueError, match="calibrate"):
        raw.on_server(ClippedSum(np.zeros(3), 1, 1.0, "l2"), KEY, 1)


def test_none_changes_nothing_and_costs_nothing() -> None:
    ready = calibrated("none", eps=None)
    rows = np.full((2, TABLE_II.size), 7.0)
    total = clipped_sum(rows, ready)
    np.testing.assert_array_equal(ready.on_server(total, KEY, 1).total, rows.sum(axis=0))
    assert (ready.noise_sd, total.sensitivity, ready.event(PLAN)) == (0.0, math.inf, None)
    assert ready.eps_spent(PLAN, 3) is None and not ready.noised.any()
    seen = plan_forecast(ready, PLAN, TABLE_II)
    assert (seen.can_learn, seen.n_break_even, seen.sentences) == (True, 0.0, ())


def test_break_even_clients() -> None:
    seen = plan_forecast(calibrated("gaussian"), PLAN, TABLE_II)
    assert seen.n_break_even == pytest.approx(1756.7496, rel=1e-6)
    assert [round(n) for n in seen.n_break_even_of.values()] == [1404, 80, 1052]
    assert seen.noise_to_signal == pytest.approx(1756.7496 / 20, rel=1e-6)
    assert not seen.can_learn
    text = " ".join(seen.sentences)
    for words in (
        "20 clients",
        "87.8 times",
        "1,757 clients",
        "at most 12",
        "eps=5",
        "40 releases",
    ):
        assert words in text
    identity = plan_forecast(calibrated("gaussian", layers="task:identity"), PLAN, TABLE_II)
    assert identity.n_break_even == pytest.approx(1052.48, rel=1e-5)
    laplace = plan_forecast(calibrated("laplace"), PLAN, TABLE_II)
    assert laplace.n_break_even == pytest.approx(509_029, rel=1e-3)
    assert "--dp gaussian" in " ".join(laplace.sentences)


def test_break_even_is_where_noise_and_signal_really_meet() -> None:
    ready = calibrated("gaussian")
    n = plan_forecast(ready, PLAN, TABLE_II).n_break_even
    total = clipped_sum(np.zeros((1, TABLE_II.size)), ready)
    noise = np.linalg.norm(ready.on_server(total, KEY, 1).total)
    assert noise / n == pytest.approx(ready.sensitivity, rel=0.02)
    enough = plan_forecast(ready, planned(clients_per_round=1758), TABLE_II)
    assert enough.can_learn and enough.sentences == ()
    assert not plan_forecast(ready, planned(clients_per_round=1756), TABLE_II).can_learn


@pytest.mark.parametrize(
    "wrong",
    [
        {"releases": 0},
        {"clients_per_round": 0},
        {"sampling_rate": 0.0},
        {"sampling_rate": 1.5},
        {"sampling_rate": 0.5},
        {"n_units": 0},
    ],
)
def test_plans_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        planned(**wrong)
