"""How far one client can move a sum, searched for by adversaries."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedaffect.params import Layout
from fedaffect.privacy.base import PrivacySpec, ReleasePlan
from fedaffect.privacy.clipping import clip, clipped_sum, vector_norm
from fedaffect.privacy.mechanisms.gaussian import Gaussian
from fedaffect.privacy.mechanisms.laplace import Laplace
from fedaffect.privacy.mechanisms.none import NoMechanism

LAYOUT = Layout(
    ("a", "scalar", "b"), ((3,), (), (2,)), {"shared": ("a", "scalar"), "task:stress": ("b",)}
)
PLAN = ReleasePlan(2, 4, 1.0, "full", 4, 1, 1)
HARD = st.one_of(
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, -0.0, 1e30, -1e30, 1e300, 1.7e308, 5e-324, -2e-310, 1e-30]),
)
VECTORS = arrays(np.float64, 6, elements=HARD)
BOUNDS = st.sampled_from([1e-6, 0.5, 1.0, 3.0, 1e6])


def mechanism(kind: str, clip_norm: float = 1.0, layers: str = "all") -> Gaussian | Laplace:
    made = {"gaussian": Gaussian, "laplace": Laplace}[kind]
    return made(PrivacySpec(kind, 5.0, None, layers, clip_norm)).calibrate(PLAN, LAYOUT)


def slow_norm(values: np.ndarray, norm: str) -> float:
    """Exact to a rounding, by ``math``: an oracle that shares no code."""
    return math.fsum(abs(v) for v in values.tolist()) if norm == "l1" else math.hypot(*values)


@settings(deadline=None)
@given(values=arrays(np.float64, 6, elements=st.floats(-1e150, 1e150)))
def test_norms(values: np.ndarray) -> None:
    for norm in ("l1", "l2"):
        assert vector_norm(values, norm) == pytest.approx(slow_norm(values, norm), rel=1e-12)


@settings(deadline=None)
@given(values=VECTORS, bound=BOUNDS, norm=st.sampled_from(["l1", "l2"]))
def test_a_clipped_vector_is_short_parallel_and_untouched_when_short(
    values: np.ndarray, bound: float, norm: str
) -> None:
    before = values.copy()
    clipped = clip(values, bound, norm)
    assert np.array_equal(values, before)
    assert slow_norm(clipped, norm) <= bound * (1 + 1e-9)
    with np.errstate(over="ignore"):
        long = vector_norm(values, norm) > bound
    if not long:
        assert np.array_equal(clipped, values)
        return
    assert slow_norm(clipped, norm) == pytest.approx(bound, rel=1e-9)
    unit, clipped_unit = values / np.abs(values).max(), clipped / np.abs(clipped).max()
    np.testing.assert_allclose(clipped_unit, unit, rtol=1e-9, atol=1e-300)


@settings(deadline=None, max_examples=200)
@given(
    rows=arrays(np.float64, (4, 6), elements=st.floats(-1e3, 1e3)),
    mine=VECTORS,
    bound=BOUNDS,
    kind=st.sampled_from(["gaussian", "laplace"]),
    layers=st.sampled_from(["all", "shared", "task"]),
)
def test_zeroing_one_client_moves_the_noised_blocks_by_at_most_c(
    rows: np.ndarray, mine: np.ndarray, bound: float, kind: str, layers: str
) -> None:
    ready = mechanism(kind, bound, layers)
    with_me, without_me = np.vstack([rows, mine]), np.vstack([rows, np.zeros(6)])
    one, other = clipped_sum(with_me, ready), clipped_sum(without_me, ready)
    moved = slow_norm((one.total - other.total)[ready.noised], ready.norm)
    assert moved <= one.sensitivity * (1 + 1e-6)
    assert one.sensitivity == other.sensitivity == bound
    assert one.norm == {"gaussian": "l2", "laplace": "l1"}[kind]
    assert one.count == 5
    # Blocks in the clear stay as the client sent them.
    np.testing.assert_array_equal(ready.on_client(mine)[~ready.noised], mine[~ready.noised])


def test_an_adversary_reaches_the_bound() -> None:
    # The bound is tight: noise for less than C would be too little.
    huge = np.array([0, 0, 0, 1e30, 0, 0])
    for kind in ("gaussian", "laplace"):
        total = clipped_sum(huge[None], mechanism(kind, 2.5)).total
        assert np.abs(total).max() == pytest.approx(2.5, rel=1e-12)


def test_blocks_are_clipped_together_not_one_by_one() -> None:
    update = np.array([3.0, 0, 0, 0, 4.0, 0])
    np.testing.assert_allclose(mechanism("gaussian").on_client(update)[[0, 4]], [0.6, 0.8])
    np.testing.assert_allclose(mechanism("laplace").on_client(update)[[0, 4]], [3 / 7, 4 / 7])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 3, 5])
@pytest.mark.parametrize("kind", ["gaussian", "laplace", "none"])
def test_values_that_are_not_finite_are_refused_in_every_block(
    bad: float, at: int, kind: str
) -> None:
    update = np.zeros(6)
    update[at] = bad
    if kind == "none":
        ready = NoMechanism(PrivacySpec("none", None, None, "all", 1.0)).calibrate(PLAN, LAYOUT)
    else:
        ready = mechanism(kind, layers="shared")
    with pytest.raises(ValueError, match="not finite"):
        ready.on_client(update)
    with pytest.raises(ValueError, match="not finite"):
        clipped_sum(np.vstack([np.zeros(6), update]), ready)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clip_itself_refuses_what_no_norm_bounds(norm: Literal["l1", "l2"], bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        clip(np.array([0.1, bad]), 1.0, norm)


def test_an_empty_round_is_a_sum_of_nothing() -> None:
    total = clipped_sum(np.empty((0, 6)), mechanism("gaussian"))
    assert total.count == 0
    np.testing.assert_array_equal(total.total, np.zeros(6))


def test_float32_rounding_is_clipped_again() -> None:
    ready = mechanism("gaussian", 0.1)
    sent = ready.on_client(np.full(6, 7.0)).astype(np.float32) * np.float32(1.001)
    assert slow_norm(clipped_sum(sent[None], ready).total, "l2") <= 0.1 * (1 + 1e-12)
