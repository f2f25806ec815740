"""How far one client can move a sum, searched for by adversaries."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mechanism_cases import SMALL, TABLE_II, calibrated, planned, sent, slow_norm

from fedaffect.privacy.clipping import clip, clipped_sum, to_grid, vector_norm
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.plausible import longest_contribution
from fedaffect.privacy.spec import ClipSpec

ONCE = planned(releases=2, clients_per_round=4, n_units=4)
HARD = st.one_of(
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, -0.0, 1e30, -1e30, 1e300, 1.7e308, 5e-324, -2e-310, 1e-30]),
)
VECTORS = arrays(np.float64, 6, elements=HARD)
ROWS = arrays(np.float64, (3, 6), elements=st.floats(-1e3, 1e3))
BOUNDS = st.sampled_from([1e-6, 0.5, 1.0, 3.0, 1e6])
WAYS = [("gaussian", "l2"), ("gaussian", "l1"), ("gaussian", "linf")]
WAYS += [("laplace", "l1"), ("laplace", "linf"), ("paper-laplace", "l2")]
PER_BLOCK = {"shared": 0.5, "task": 2.0}


def mechanism(kind: str = "gaussian", bound: float = 1.0, **options: Any) -> Any:
    """Return a mechanism on six parameters; options of the clip and of the spec in one."""
    names = ("norm", "target", "per_block")
    clip_spec = ClipSpec(bound, **{n: options.pop(n) for n in names if n in options})
    noise = {"eps_per_round": 1.0} if kind.startswith("paper") else {"z": 1.0}
    return calibrated(kind, ONCE, SMALL, clip_spec, **noise | options)


@settings(deadline=None)
@given(values=arrays(np.float64, 6, elements=st.floats(-1e150, 1e150)))
def test_norms(values: np.ndarray) -> None:
    for norm in ("l1", "l2", "linf"):
        assert vector_norm(values, norm) == pytest.approx(slow_norm(values, norm), rel=1e-12)


@settings(deadline=None)
@given(values=VECTORS, bound=BOUNDS, norm=st.sampled_from(["l1", "l2"]))
def test_a_clipped_vector_is_short_parallel_and_untouched_when_short(
    values: np.ndarray, bound: float, norm: Literal["l1", "l2"]
) -> None:
    before = values.copy()
    clipped = clip(values, bound, norm)
    assert np.array_equal(values, before)
    assert slow_norm(clipped, norm) <= bound * (1 + 1e-9)
    if not vector_norm(values, norm) > bound:
        assert np.array_equal(clipped, values)
        return
    assert slow_norm(clipped, norm) == pytest.approx(bound, rel=1e-9)
    unit, clipped_unit = values / np.abs(values).max(), clipped / np.abs(clipped).max()
    np.testing.assert_allclose(clipped_unit, unit, rtol=1e-9, atol=1e-300)


@settings(deadline=None)
@given(values=VECTORS, bound=BOUNDS)
def test_linf_cuts_every_coordinate_by_itself(values: np.ndarray, bound: float) -> None:
    expected = [max(-bound, min(bound, v)) for v in values.tolist()]
    np.testing.assert_array_equal(clip(values, bound, "linf"), expected)


@settings(deadline=None, max_examples=200)
@given(
    rows=ROWS,
    one=VECTORS,
    other=VECTORS,
    bound=BOUNDS,
    way=st.sampled_from(WAYS),
    layers=st.sampled_from(["all", "shared", "task"]),
    adjacency=st.sampled_from(["zero_out", "replace_one"]),
)
def test_a_neighbour_moves_the_noised_blocks_by_at_most_the_sensitivity(
    rows: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    bound: float,
    way: tuple[str, str],
    layers: str,
    adjacency: str,
) -> None:
    kind, norm = way
    ready = mechanism(kind, bound, norm=norm, noise_layers=layers, adjacency=adjacency)
    other = np.zeros(6) if adjacency == "zero_out" else other
    sums = [clipped_sum(np.vstack([rows, mine]), ready) for mine in (one, other)]
    (group,) = ready.groups
    noised = ready.blocks.mask("noise")
    move = (sums[0].total - sums[1].total)[noised]
    assert slow_norm(move, "l1" if ready.noise == "laplace" else "l2") <= group.sensitivity * (
        1 + 1e-6
    )
    assert sums[0].bounds == (bound,) and sums[0].norm == norm and sums[0].count == 4
    contribution = sent(ready, one)
    assert slow_norm(contribution[noised], norm) <= bound * (1 + 1e-6)
    # Blocks in the clear stay as the client sent them.
    np.testing.assert_array_equal(contribution[~noised], one[~noised])


@settings(deadline=None, max_examples=100)
@given(one=VECTORS, other=VECTORS, kind=st.sampled_from(["gaussian", "laplace"]))
def test_blocks_with_clips_of_their_own_stay_within_them(
    one: np.ndarray, other: np.ndarray, kind: str
) -> None:
    ready = mechanism(kind, per_block=PER_BLOCK, adjacency="replace_one")
    move = sent(ready, one) - sent(ready, other)
    noise_norm = "l2" if kind == "gaussian" else "l1"
    assert [g.clip for g in ready.groups] == [0.5, 2.0]
    for group in ready.groups:
        at = ready.blocks.place(group.blocks[0])
        assert slow_norm(sent(ready, one)[at], ready.norm) <= group.clip * (1 + 1e-6)
        assert slow_norm(move[at], noise_norm) <= group.sensitivity * (1 + 1e-6)


@pytest.mark.parametrize(("kind", "norm"), WAYS)
@pytest.mark.parametrize("adjacency", ["zero_out", "replace_one"])
def test_an_adversary_reaches_the_sensitivity(kind: str, norm: str, adjacency: str) -> None:
    # The bound is tight: noise for less would be too little.
    ready = mechanism(kind, 2.5, norm=norm, adjacency=adjacency)
    (group,) = ready.groups
    noise_norm = "l1" if ready.noise == "laplace" else "l2"
    candidates = [np.full(6, 1e30), np.eye(6)[3] * 1e30]
    others = [np.zeros(6)] if adjacency == "zero_out" else [-c for c in candidates]
    reached = max(
        slow_norm(sent(ready, a) - sent(ready, b), noise_norm) for a in candidates for b in others
    )
    assert reached == pytest.approx(group.sensitivity, rel=1e-12)


def test_blocks_are_clipped_together_unless_they_have_clips_of_their_own() -> None:
    update = np.array([3.0, 0, 0, 0, 4.0, 0])
    np.testing.assert_allclose(sent(mechanism(), update)[[0, 4]], [0.6, 0.8])
    np.testing.assert_allclose(sent(mechanism("laplace"), update)[[0, 4]], [3 / 7, 4 / 7])
    np.testing.assert_allclose(sent(mechanism(per_block=PER_BLOCK), update)[[0, 4]], [0.5, 2.0])


def test_target_weights_clips_where_the_client_is_and_not_how_far_it_went() -> None:
    start, update = np.full(6, 3.0), np.array([0.0, 0, 0, 0, 4.0, 0])
    reached = start + update
    weights = mechanism(target="weights").on_client(update, start)
    np.testing.assert_allclose(weights, reached / np.linalg.norm(reached))
    np.testing.assert_allclose(mechanism().on_client(update, start), update / 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 3, 5])
@pytest.mark.parametrize("kind", ["gaussian", "laplace", "none"])
def test_values_that_are_not_finite_are_refused_in_every_block(
    bad: float, at: int, kind: str
) -> None:
    update = np.zeros(6)
    update[at] = bad
    policies = {"task": "freeze"}
    if kind == "none":
        ready = calibrated("none", ONCE, SMALL, eps=None, policies=policies)
    else:
        ready = mechanism(kind, policies=policies)
    with pytest.raises(ValueError, match="not finite"):
        ready.on_client(update, np.zeros(6))
    if kind != "none":
        with pytest.raises(ValueError, match="not finite"):
            clipped_sum(np.vstack([np.zeros(6), update]), mechanism(kind))
        with pytest.raises(ValueError, match="not finite"):
            mechanism(kind, target="weights").on_client(np.zeros(6), update)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clip_itself_refuses_what_no_norm_bounds(
    norm: Literal["l1", "l2", "linf"], bad: float
) -> None:
    with pytest.raises(ValueError, match="not finite"):
        clip(np.array([0.1, bad]), 1.0, norm)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_nothing_and_zero_are_within_every_bound(norm: Literal["l1", "l2", "linf"]) -> None:
    assert clip(np.empty(0), 1.0, norm).shape == (0,)
    np.testing.assert_array_equal(clip(np.zeros(6), 1e-300, norm), np.zeros(6))
    np.testing.assert_allclose(clip(np.array(-3.0), 1.0, norm), -1.0)  # a 0-d parameter
    np.testing.assert_array_equal(
        sent(mechanism(norm=norm, per_block=PER_BLOCK), np.zeros(6)), np.zeros(6)
    )


def test_whole_numbers_are_clipped_as_floats() -> None:
    clipped = sent(mechanism(), np.array([0, 0, 0, 3, 4, 0], dtype=np.int64))
    assert clipped.dtype == np.float64
    np.testing.assert_allclose(clipped, [0, 0, 0, 0.6, 0.8, 0])


def test_an_empty_round_is_a_sum_of_nothing() -> None:
    total = clipped_sum(np.empty((0, 6)), mechanism())
    assert total.count == 0
    np.testing.assert_array_equal(total.total, np.zeros(6))


def test_float32_rounding_is_clipped_again() -> None:
    ready = mechanism(bound=0.1)
    rounded = sent(ready, np.full(6, 7.0)).astype(np.float32) * np.float32(1.001)
    assert slow_norm(clipped_sum(rounded[None], ready).total, "l2") <= 0.1 * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
@pytest.mark.parametrize("per_block", [{}, {"shared": 0.8, "task": 0.1}])
def test_honest_contributions_are_plausible_and_much_longer_ones_are_not(
    kind: str, per_block: dict[str, float]
) -> None:
    made = calibrated(
        kind, layout=TABLE_II, clip=ClipSpec(1.0, per_block=per_block), where="client"
    )
    longest = longest_contribution(made)
    small = mechanism(kind, where="client")
    limit = longest_contribution(small)
    full = sent(small, np.array([9.0, 0, 0, 0, 0, 0]))
    for release in range(1000):
        key = SecretNoiseKey(release.to_bytes(32))
        one = small.add_noise(clipped_sum(full[None], small), key, 1).total
        assert slow_norm(one, "l2") < limit
    update = np.zeros(TABLE_II.size)
    update[[0, -1]] = 9.0
    for release in range(3):
        noisy = made.add_noise(
            clipped_sum(sent(made, update)[None], made), SecretNoiseKey(bytes(32)), release
        )
        assert 0.5 * longest < np.linalg.norm(noisy.total) < longest
        assert np.linalg.norm(3 * noisy.total) > longest


def test_nothing_is_implausible_where_the_server_clips_or_a_block_is_clear() -> None:
    assert longest_contribution(mechanism()) == np.inf
    assert longest_contribution(mechanism(where="client", noise_layers="task")) == np.inf


@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-1, 1)),
    st.sampled_from([1e-6, 0.3, 0.5, 1.0, 3.0, 1e6]),
    st.randoms(use_true_random=False),
)
def test_sums_on_the_grid_are_exact_in_any_order(rows: np.ndarray, bound: float, dice: Any) -> None:
    rows = rows * bound
    before = rows.copy()
    for row in rows:
        to_grid(row, bound, len(rows))
    assert (np.abs(rows) <= np.abs(before)).all()  # no norm grows
    assert np.abs(rows - before).max() < bound * len(rows) * 2**-49
    exact = [sum(map(Fraction, column)) for column in rows.T.tolist()]
    shuffled = rows.tolist()
    dice.shuffle(shuffled)
    halves = (np.array(shuffled[0::2]), np.array(shuffled[1::2]).reshape(-1, 3))
    for total in (np.add.reduce(shuffled), sum(half.sum(axis=0) for half in halves)):
        assert [Fraction(x) for x in np.asarray(total).tolist()] == exact
    again = rows.copy()
    for row in again:
        to_grid(row, bound, len(rows))
    assert np.array_equal(again, rows)


def test_without_the_grid_the_order_would_show() -> None:
    values = np.array([1.0, 2.0**-53, 2.0**-53])
    assert (values[0] + values[1]) + values[2] != values[0] + (values[1] + values[2])
    to_grid(values, 1.0, 3)
    assert values.tolist() == [1.0, 0.0, 0.0]


@given(st.sampled_from([5e-324, 1e-310, 1e-300, 1e300, 1.7e308]))
def test_the_grid_of_an_extreme_bound_is_finite(bound: float) -> None:
    values = np.array([bound, -bound / 2, 0.0])
    to_grid(values, bound, 1000)
    assert np.isfinite(values).all() and (np.abs(values) <= bound).all()
