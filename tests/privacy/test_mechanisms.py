"""Mechanisms from budget to noise: calibration, draws, refusals."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from mechanism_cases import KEY, PLAN, TABLE_II, calibrated, planned
from scipy import stats

from fedaffect import registry
from fedaffect.errors import PrivacyError, UsageError
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.forecast import plan_forecast
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.privacy.promise import promise_of, spent_after
from fedaffect.privacy.spec import ClipSpec, PrivacySpec

SHORT = planned(releases=2)
PER_BLOCK = ClipSpec(per_block={"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6})


def silent(mechanism: Any, rows: int = 3) -> ClippedSum:
    """Return a sum of contributions that are zero: what comes out of the noise is noise."""
    return clipped_sum(np.zeros((rows, len(mechanism.blocks.released))), mechanism)


@pytest.mark.parametrize(
    ("name", "scale"), [("gaussian", 5.640670), ("moments", 6.0332), ("laplace", 5.248)]
)
def test_noise_for_a_total_of_5_over_40_rounds(name: str, scale: float) -> None:
    ready = calibrated(name, delta=1e-5)
    assert ready.scale == pytest.approx(scale, rel=2e-3)
    (group,) = ready.groups
    assert (group.noise, group.sensitivity) == (pytest.approx(ready.scale), 1.0)
    assert calibrated(name, clip=3.0).groups[0].noise == pytest.approx(3 * group.noise)
    spent = [spent_after(ready, PLAN, k) or 0.0 for k in (0, 1, 20, 40)]
    assert spent[0] == 0 and spent == sorted(spent)
    assert 4.995 < spent[-1] <= 5 * (1 + 1e-9)


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_replacing_a_client_needs_twice_the_noise_of_zeroing_it(name: str) -> None:
    zeroed, replaced = (
        calibrated(name, SHORT, adjacency=adjacency) for adjacency in ("zero_out", "replace_one")
    )
    assert replaced.scale == pytest.approx(zeroed.scale)
    assert replaced.groups[0].noise == pytest.approx(2 * zeroed.groups[0].noise)
    assert replaced.groups[0].sensitivity == 2.0


def test_replacing_all_releases_by_one_needs_less_noise_by_the_root() -> None:
    once = calibrated("gaussian", planned(releases=1))
    assert calibrated("gaussian").scale == pytest.approx(math.sqrt(40) * once.scale)


def test_a_given_multiplier_is_taken_as_it_is() -> None:
    ready = calibrated("gaussian", z=1.25, delta=1e-5)
    assert ready.scale == pytest.approx(1.25) and ready.groups[0].noise == pytest.approx(1.25)
    both = calibrated("gaussian", z=1.25, eps=5.0)
    assert both.scale == pytest.approx(1.25)


def test_only_secret_poisson_draws_at_the_server_amplify() -> None:
    rate = 1 / 3
    full = calibrated("gaussian", delta=1e-5)
    fixed = calibrated("gaussian", planned(sampling_rate=rate, sampler="fixed"), delta=1e-5)
    poisson_plan = planned(sampling_rate=rate, sampler="poisson")
    poisson = calibrated("gaussian", poisson_plan, delta=1e-5)
    local = calibrated("gaussian", poisson_plan, delta=1e-5, where="client")
    assert fixed.scale == local.scale == full.scale
    assert poisson.scale == pytest.approx(2.1138, rel=1e-3)
    assert [e.rate for m in (poisson, local) for e in m.events(poisson_plan)] == [rate, 1.0]


def test_a_cap_on_participation_needs_less_noise() -> None:
    capped = calibrated("gaussian", planned(participation_cap=10), delta=1e-5)
    assert capped.scale == pytest.approx(calibrated("gaussian", delta=1e-5).scale / 2)


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


@pytest.mark.parametrize("eps", [None, -1.0, math.inf, math.nan])
def test_a_budget_must_be_a_positive_number(eps: float | None) -> None:
    with pytest.raises(UsageError) as caught:
        calibrated("laplace", eps=eps)
    assert caught.value.code == "E226"


def test_a_budget_out_of_reach() -> None:
    with pytest.raises(UsageError) as caught:
        calibrated("gaussian", eps=1e12)
    assert caught.value.code == "E222"


@pytest.mark.parametrize("name", ["gaussian", "moments", "laplace"])
@pytest.mark.parametrize("layers", ["all", "task"])
def test_noise_on_every_noised_coordinate_and_nowhere_else(name: str, layers: str) -> None:
    ready = calibrated(name, noise_layers=layers, clip=0.25)
    total = silent(ready)
    noisy = ready.add_noise(total, KEY, 1)
    assert (noisy.count, noisy.bounds, noisy.norm) == (3, (0.25,), ready.norm)
    assert not total.total.any()
    noised = ready.blocks.mask("noise")
    assert not noisy.total[~noised].any()
    unit = stats.laplace if name == "laplace" else stats.norm
    level = ready.scale * 0.25
    for block in ready.blocks.named("noise"):
        noise = noisy.total[ready.blocks.place(block)] / level
        assert stats.kstest(noise, unit.cdf).pvalue > 1e-6
        assert abs(noise.std() / unit.std() - 1) < 4 * 1.2 / math.sqrt(len(noise))
    for wrong in (2 / 3, 3 / 2):
        assert stats.kstest(noisy.total[noised] / level * wrong, unit.cdf).pvalue < 1e-6
    heads = [noisy.total[ready.blocks.place(b)][:202] for b in ("task:stress", "task:identity")]
    assert abs(np.corrcoef(*heads)[0, 1]) < 5 / math.sqrt(202)


def test_every_group_gets_the_noise_of_its_own() -> None:
    ready = calibrated("gaussian", clip=PER_BLOCK, allocation="equal-z")
    assert len({group.noise for group in ready.groups}) == 3
    noisy = ready.add_noise(silent(ready), KEY, 1).total
    for group in ready.groups:
        noise = noisy[ready.blocks.place(group.blocks[0])]
        assert abs(noise.std() / group.noise - 1) < 4 / math.sqrt(2 * len(noise))


def test_equal_inputs_repeat_a_release_and_any_change_gives_other_noise() -> None:
    ready = calibrated("gaussian", SHORT)
    rows = np.zeros((2, TABLE_II.size))
    rows[0, -1] = 1e-12
    one, other = clipped_sum(rows, ready), clipped_sum(rows * 2, ready)

    def noise(mechanism: Any, total: ClippedSum, release: int = 1, key: Any = KEY) -> Any:
        added = mechanism.add_noise(total, key, release).total - total.total
        return added / mechanism.groups[0].noise

    base = noise(ready, one)
    np.testing.assert_array_equal(noise(ready, one), base)
    # Noise of another size on the same sum must not be the same draws: the two would be solved.
    smaller = calibrated("gaussian", SHORT, eps=8.0)
    elsewhere = calibrated("gaussian", SHORT, policies={"shared": "clear"})
    for changed in (
        noise(ready, other),
        noise(ready, one, release=2),
        noise(ready, one, key=SecretNoiseKey(bytes(31) + b"1")),
        noise(smaller, one),
        noise(elsewhere, one),
        noise(ready, dataclasses.replace(one, count=1)),
    ):
        rest = slice(61_980, None)
        assert abs(np.corrcoef(changed[rest], base[rest])[0, 1]) < 5 / math.sqrt(35_017)


def test_test_noise_is_equal_for_sums_that_differ_by_rounding() -> None:
    ready, key = calibrated("gaussian", SHORT), TestNoiseKey("engines")
    one = silent(ready)
    other = dataclasses.replace(one, total=one.total + 1e-15)
    difference = ready.add_noise(one, key, 3).total - ready.add_noise(other, key, 3).total
    assert np.abs(difference).max() < 1e-13


def test_a_sum_that_was_clipped_otherwise_gets_no_noise() -> None:
    total = silent(calibrated("gaussian", SHORT, clip=2.0))
    for wrong in (
        calibrated("gaussian", SHORT),
        calibrated("laplace", SHORT, clip=2.0),
        calibrated("gaussian", SHORT, clip=ClipSpec(2.0, norm="linf")),
        calibrated("gaussian", SHORT, clip=PER_BLOCK),
    ):
        with pytest.raises(PrivacyError) as caught:
            wrong.add_noise(total, KEY, 1)
        assert caught.value.code == "E406"


def test_a_mechanism_that_is_not_calibrated_does_nothing() -> None:
    raw = registry.resolve("dp", "gaussian")(spec=PrivacySpec("gaussian", 5.0))
    with pytest.raises(ValueError, match="calibrate"):
        raw.on_client(np.zeros(3), np.zeros(3))
    with pytest.raises(PrivacyError):
        raw.add_noise(ClippedSum(np.zeros(3), 1, (1.0,), "l2"), KEY, 1)
    with pytest.raises(ValueError, match="calibrate"):
        raw.add_noise(ClippedSum(np.zeros(3), 1, (), "l2"), KEY, 1)
    assert raw.scale == 0.0 and promise_of(raw, PLAN) is None


def test_other_clip_norms_scale_the_noise_and_keep_the_promise() -> None:
    ready = calibrated("gaussian", SHORT, clip=PER_BLOCK)
    assert ready.at_bounds(ready.bounds) is ready
    moved = ready.at_bounds([0.4, 0.2, 1.2])
    assert moved.bounds == (0.4, 0.2, 1.2)
    assert [m.noise / r.noise for m, r in zip(moved.groups, ready.groups, strict=True)] == (
        pytest.approx([0.5, 2.0, 2.0])
    )
    assert moved.scale == pytest.approx(ready.scale, rel=1e-12)
    for wrong in ([1.0], [1.0, 1.0, 0.0], [1.0, 1.0, math.inf], [1.0, 1.0, math.nan]):
        with pytest.raises(ValueError, match="clip norms"):
            ready.at_bounds(wrong)


def test_none_changes_nothing_and_costs_nothing() -> None:
    ready = calibrated("none", eps=None, policies={"task:identity": "keep_local"})
    update = np.full(TABLE_II.size, 7.0)
    np.testing.assert_array_equal(ready.on_client(update, update), np.full(62_182, 7.0))
    assert (ready.groups, ready.events(PLAN), ready.claims) == ((), (), False)
    seen = plan_forecast(ready, PLAN, TABLE_II)
    assert (seen.can_learn, seen.n_break_even, seen.sentences) == (True, 0.0, ())
    assert ready.within(update, update) is None and promise_of(ready, PLAN) is None
    with pytest.raises(TypeError):
        ready.add_noise(ClippedSum(update, 1, (), "none"), KEY, 1)


def test_break_even_clients() -> None:
    ready = calibrated("gaussian")
    seen = plan_forecast(ready, PLAN, TABLE_II)
    assert seen.n_break_even == pytest.approx(1756.7496, rel=1e-6)
    assert [round(n) for n in seen.n_break_even_of.values()] == [1404, 80, 1052]
    assert seen.noise_to_signal == pytest.approx(1756.7496 / 20, rel=1e-6)
    assert not seen.can_learn
    text = " ".join(seen.sentences)
    for words in ("20 clients", "87.8 times", "1,757 clients", "40 releases"):
        assert words in text
    identity = plan_forecast(calibrated("gaussian", noise_layers="task:identity"), PLAN, TABLE_II)
    assert identity.n_break_even == pytest.approx(1052.48, rel=1e-5)
    laplace = plan_forecast(calibrated("laplace"), PLAN, TABLE_II)
    assert laplace.n_break_even == pytest.approx(509_029, rel=1e-3)
    assert "--dp gaussian" in " ".join(laplace.sentences)


def test_break_even_is_where_noise_and_signal_really_meet() -> None:
    ready = calibrated("gaussian")
    n = plan_forecast(ready, PLAN, TABLE_II).n_break_even
    noise = np.linalg.norm(ready.add_noise(silent(ready), KEY, 1).total)
    assert noise / n == pytest.approx(ready.groups[0].clip, rel=0.02)
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
