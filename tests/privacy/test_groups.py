"""Blocks that are clipped one by one: what they cost together, and how noise is divided."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from mechanism_cases import PLAN, SMALL, TABLE_II, VECTORS, calibrated, planned
from scipy import optimize

from fedaffect.errors import UsageError
from fedaffect.params import Layout
from fedaffect.privacy.accountants import closed_form, pld
from fedaffect.privacy.base import Event, Noise
from fedaffect.privacy.groups import NoiseGroup, allocate, joint_scale
from fedaffect.privacy.promise import promise_of
from fedaffect.privacy.spec import ClipSpec, PrivacySpec

HETEROGENEOUS = VECTORS["heterogeneous_blocks"]
CLIPS = {"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6}
ALLOCATIONS = ["uniform", "equal-z", "optimal", "custom"]
SIZES = st.floats(0.01, 100)
PARTS = st.lists(st.tuples(SIZES, st.integers(1, 10**6)), min_size=1, max_size=5)


def groups(clips: list[float], noise: list[float] | None = None) -> tuple[NoiseGroup, ...]:
    levels = noise or [0.0] * len(clips)
    return tuple(
        NoiseGroup((f"b{i}",), 1, c, c, s)
        for i, (c, s) in enumerate(zip(clips, levels, strict=True))
    )


def energy(made: tuple[NoiseGroup, ...]) -> float:
    return sum(g.parameters * g.noise**2 for g in made)


def per_block(**options: Any) -> Any:
    clip = ClipSpec(per_block=options.pop("clips", CLIPS))
    return calibrated(options.pop("name", "gaussian"), clip=clip, **{"z": 1.0} | options)


@pytest.mark.parametrize("row", [r for r in HETEROGENEOUS if r["q"] == 1], ids=lambda r: r["T"])
def test_groups_are_one_gaussian(row: dict[str, Any]) -> None:
    z = joint_scale(groups(row["C"], row["sigma"]), "gaussian")
    assert z == pytest.approx(row["z_eff"], rel=1e-12)
    eps = closed_form.epsilon(Event("gaussian", z, 1.0, row["T"]), row["delta"])
    assert eps == pytest.approx(row["eps"], rel=1e-9)
    grid = 1e-4 if row["T"] == 1 else 5e-4  # its error falls with eps
    composed = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE, grid)
    for clip, sigma in zip(row["C"], row["sigma"], strict=True):
        composed.compose(GaussianDpEvent(sigma / clip), row["T"])
    assert composed.get_epsilon(row["delta"]) == pytest.approx(eps, rel=1e-8)


@pytest.mark.parametrize("row", [r for r in HETEROGENEOUS if r["q"] < 1], ids=lambda r: r["T"])
def test_groups_are_sampled_together(row: dict[str, Any]) -> None:
    z = joint_scale(groups(row["C"], row["sigma"]), "gaussian")
    eps = pld.epsilon(Event("gaussian", z, row["q"], row["T"]), row["delta"])
    assert eps == pytest.approx(row["eps"], rel=1e-3)
    assert eps > 1.05 * row["WRONG_if_blocks_subsampled_separately"]["pld"]


@pytest.mark.parametrize("row", VECTORS["optimal_allocation"].values(), ids=lambda r: str(r["C"]))
def test_optimal_allocation(row: dict[str, Any]) -> None:
    clips = dict(zip(TABLE_II.blocks, row["C"], strict=True))
    made = {a: per_block(clips=clips, allocation=a) for a in ("optimal", "uniform", "equal-z")}
    noise = [g.noise for g in made["optimal"].groups]
    assert noise == pytest.approx(row["sigma_opt"], rel=1e-12)
    for allocation, field in (
        ("optimal", "energy_opt"),
        ("uniform", "energy_uniform"),
        ("equal-z", "energy_equal_z"),
    ):
        assert made[allocation].scale == pytest.approx(1.0, rel=1e-12)
        assert energy(made[allocation].groups) == pytest.approx(row[field], rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(parts=PARTS, ratios=st.lists(SIZES, min_size=5, max_size=5), scale=SIZES)
@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_no_allocation_needs_less_energy_than_the_optimal_one(
    noise: Noise, parts: list[tuple[float, int]], ratios: list[float], scale: float
) -> None:
    layout = Layout(
        tuple(f"b{i}" for i in range(len(parts))),
        tuple((d,) for _, d in parts),
        {f"b{i}": (f"b{i}",) for i in range(len(parts))},
    )
    made = {}
    for allocation in ALLOCATIONS:
        own = {f"b{i}": r for i, r in enumerate(ratios[: len(parts)])}
        clip = ClipSpec(per_block={f"b{i}": c for i, (c, _) in enumerate(parts)})
        options = {"ratios": own} if allocation == "custom" else {}
        ready = calibrated(
            noise, planned(releases=1), layout, clip, z=scale, allocation=allocation, **options
        )
        assert ready.scale == pytest.approx(scale, rel=1e-9)
        made[allocation] = energy(ready.groups)
    assert all(made["optimal"] <= e * (1 + 1e-9) for e in made.values())


def test_optimal_laplace_allocation_is_what_an_optimiser_finds() -> None:
    made = per_block(name="laplace", z=2.0, allocation="optimal").groups
    moves = np.array([g.sensitivity for g in made])
    sizes = np.array([g.parameters for g in made], dtype=float)
    assert np.sum(moves / [g.noise for g in made]) == pytest.approx(1 / 2.0, rel=1e-12)
    found = optimize.minimize(
        lambda log_b: np.log(np.sum(sizes * np.exp(2 * log_b))),
        np.log([3.0, 3.0, 3.0]),
        constraints={"type": "eq", "fun": lambda log_b: np.sum(moves / np.exp(log_b)) - 0.5},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    np.testing.assert_allclose([g.noise for g in made], np.exp(found.x), rtol=1e-4)


def test_laplace_costs_add_up() -> None:
    made = (NoiseGroup(("a",), 1, 1.0, 1.0, 4.0), NoiseGroup(("b",), 1, 0.5, 0.5, 1.0))
    assert 1 / joint_scale(made, "laplace") == pytest.approx(1 / 4 + 0.5 / 1)


def test_custom_and_equal_z_follow_their_words() -> None:
    custom = per_block(allocation="custom", ratios={"shared": 2.0, "task": 6.0}).groups
    assert [g.noise / custom[0].noise for g in custom] == pytest.approx([1.0, 3.0, 3.0])
    equal = per_block(allocation="equal-z").groups
    assert [g.noise / g.sensitivity for g in equal] == pytest.approx([math.sqrt(3)] * 3)


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_every_allocation_keeps_the_total_budget(noise: str, allocation: str) -> None:
    ratios = {"all": 1.0, "task": 2.0} if allocation == "custom" else {}
    for adjacency in ("zero_out", "replace_one"):
        ready = calibrated(
            noise,
            clip=ClipSpec(per_block=CLIPS),
            allocation=allocation,
            ratios=ratios,
            adjacency=adjacency,
        )
        promise = promise_of(ready, PLAN)
        assert promise is not None and 4.995 < promise.eps <= 5 * (1 + 1e-9)


@pytest.mark.parametrize(("norm", "reach"), [("l1", 1.0), ("l2", 1.0), ("linf", math.sqrt(202))])
def test_sensitivity_of_a_group_is_in_the_norm_of_the_noise(norm: str, reach: float) -> None:
    clip = ClipSpec(norm=norm, per_block=CLIPS)  # type: ignore[arg-type]
    stress = calibrated("gaussian", clip=clip, z=1.0, adjacency="replace_one").groups[1]
    assert stress.sensitivity == pytest.approx(2 * 0.1 * reach)
    if norm != "l2":
        laplace = calibrated("laplace", clip=clip, z=1.0).groups[1]
        assert laplace.sensitivity == pytest.approx(0.1 * (202 if norm == "linf" else 1))


def test_a_block_in_the_clear_leaves_no_promise() -> None:
    clips = {"shared": 0.8, "task:identity": 0.6}
    ready = per_block(clips=clips, policies={"task:stress": "clear"})
    assert len(ready.groups) == 2 and ready.scale > 0
    assert promise_of(ready, PLAN) is None
    for policy in ("freeze", "keep_local"):
        kept = per_block(clips=clips, policies={"task:stress": policy})
        assert promise_of(kept, PLAN) is not None


def test_a_group_without_noise_has_no_scale() -> None:
    for noise in ("gaussian", "laplace"):
        assert joint_scale(groups([1.0, 0.5], [2.0, 0.0]), noise) == 0.0
        assert joint_scale((), noise) == 0.0


@pytest.mark.parametrize(
    "odd",
    [
        {"clips": {"shared": 1.0}},
        {"clips": CLIPS, "noise_layers": "task"},
        {"allocation": "custom"},
        {"allocation": "custom", "ratios": {"shared": 1.0, "task:stress": 2.0}},
        {
            "clips": {"shared": 1.0, "task:stress": 1.0},
            "policies": {"task:identity": "freeze"},
            "allocation": "custom",
            "ratios": {"all": 1.0},
        },
    ],
)
def test_a_block_that_lacks_its_share_is_named(odd: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        per_block(**odd)
    assert caught.value.code == "E234"
    assert "task:" in str(caught.value) or "shared" in str(caught.value)


def test_a_block_without_parameters_needs_no_clip_of_its_own() -> None:
    layout = Layout(("a", "b"), ((3,), (0,)), {"shared": ("a",), "task:empty": ("b",)})
    clip = ClipSpec(per_block={"shared": 1.0})
    ready = calibrated("gaussian", PLAN, layout, clip, allocation="optimal")
    assert [g.blocks for g in ready.groups] == [("shared",)]
    assert promise_of(ready, PLAN) is not None
    both = ClipSpec(per_block={"shared": 1.0, "task": 1.0})
    with pytest.raises(UsageError):  # a name for nothing is a slip
        calibrated("gaussian", PLAN, layout, both)


def test_allocation_of_one_group_is_the_scale_itself() -> None:
    ready = calibrated("gaussian", planned(releases=1), SMALL, z=1.5)
    spec = PrivacySpec("gaussian", allocation="optimal")
    (group,) = allocate(ready.groups, 3.0, spec, ready.blocks, "gaussian")
    assert group.noise == pytest.approx(3.0)
