"""Bounds on epsilon against golden numbers, closed forms, slow loops and jax-privacy's numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import beta

from fedaffect.privacy.audits.bounds import (
    best_possible,
    best_steinke,
    clopper_pearson_eps,
    gdp_eps,
    gdp_lower_bound,
    steinke_eps,
    steinke_mu,
)

GOLDEN = Path(__file__).parents[2] / "golden"
BOUNDS = json.loads((GOLDEN / "audit_bounds.json").read_text())
CLOPPER_PEARSON = json.loads((GOLDEN / "dp_vectors.json").read_text())["clopper_pearson_eps"]


def counts(row: dict[str, Any]) -> str:
    return "-".join(str(row[key]) for key in list(row)[:5])


@pytest.mark.parametrize("row", BOUNDS["steinke_one_run"], ids=counts)
def test_one_run_bound(row: dict[str, Any]) -> None:
    bound = steinke_eps(row["m"], row["r"], row["v"], row["delta"], 1 - row["p"])
    assert bound == pytest.approx(row["eps_lb"], rel=1e-10)


@pytest.mark.parametrize("row", BOUNDS["one_run_gaussian"], ids=counts)
def test_one_run_bound_under_a_gaussian_assumption(row: dict[str, Any]) -> None:
    mu = steinke_mu(row["m"], row["r"], row["v"], 1 - row["p"])
    assert gdp_eps(mu, row["delta"]) == pytest.approx(row["eps_lb"], rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("row", CLOPPER_PEARSON, ids=counts)
def test_clopper_pearson_bound(row: dict[str, Any]) -> None:
    bound = clopper_pearson_eps(row["TP"], row["P"], row["FP"], row["N"], row["delta"])
    assert bound == pytest.approx(row["eps_lb"], rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("row", BOUNDS["gdp_lower_bound"], ids=counts)
def test_gaussian_bound(row: dict[str, Any]) -> None:
    mu = gdp_lower_bound(row["TP"], row["P"], row["FP"], row["N"])
    assert mu == pytest.approx(row["mu"], rel=1e-10)
    assert gdp_eps(mu, row["delta"]) == pytest.approx(row["eps"], rel=1e-10)


def test_saying_out_well_counts_as_much_as_saying_in_well() -> None:
    assert clopper_pearson_eps(400, 1000, 50, 1000, 0.0) == pytest.approx(
        clopper_pearson_eps(950, 1000, 600, 1000, 0.0)
    )


def test_nothing_is_shown_without_releases_or_signal() -> None:
    assert clopper_pearson_eps(0, 0, 0, 0, 1e-5) == 0
    assert clopper_pearson_eps(50, 100, 50, 100, 1e-5) == 0
    assert clopper_pearson_eps(0, 100, 100, 100, 0.9) == 0  # delta above every rate
    assert gdp_lower_bound(50, 100, 50, 100) == gdp_eps(0.0, 1e-5) == 0
    assert steinke_eps(100, 40, 20, 1e-5) == steinke_mu(100, 40, 20) == 0
    assert steinke_eps(0, 0, 0, 1e-5) == steinke_mu(0, 0, 0) == 0


@pytest.mark.parametrize("bound", [lambda m, r, v: steinke_eps(m, r, v, 1e-5), steinke_mu])
@pytest.mark.parametrize(("m", "r", "v"), [(10, 11, 3), (10, 5, 6), (10, 5, -1)])
def test_impossible_counts_are_refused(bound: Any, m: int, r: int, v: int) -> None:
    with pytest.raises(ValueError, match="canaries"):
        bound(m, r, v)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.data())
def test_pure_dp_one_run_bound_is_the_log_odds_of_a_clopper_pearson_end(m: int, data: Any) -> None:
    r = data.draw(st.integers(1, m))
    v = data.draw(st.integers(1, r))
    accuracy = float(beta.ppf(0.05, v, r - v + 1))
    assert steinke_eps(m, r, v, 0.0) == pytest.approx(max(0.0, logit(accuracy)), abs=1e-9)


def p_value(m: int, r: int, v: int, eps: float, delta: float) -> float:
    """Return Theorem 5.2's bound by a plain loop over exact binomial terms."""
    q = 1 / (1 + math.exp(-eps))
    terms = [math.comb(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
    alpha = max(math.fsum(terms[max(0, v - i) : v]) / i for i in range(1, v + 1))
    return math.fsum(terms[v:]) + 2 * m * delta * alpha


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.data())
def test_one_run_bound_is_where_a_slow_p_value_meets_the_level(m: int, data: Any) -> None:
    r = data.draw(st.integers(1, m))
    v = data.draw(st.integers(1, r))
    delta = data.draw(st.sampled_from([1e-6, 1e-3, 1 / (2 * m)]))
    bound = steinke_eps(m, r, v, delta, 0.9)
    if bound == 0:
        assert p_value(m, r, v, 1e-9, delta) > 0.1 - 1e-9
    else:
        assert p_value(m, r, v, bound, delta) == pytest.approx(0.1, rel=1e-6)


def test_what_a_design_can_show_at_most() -> None:
    assert best_possible(100, 0.0) == pytest.approx(3.49, abs=0.005)
    assert best_possible(15, 0.0) == pytest.approx(1.51, abs=0.005)
    assert best_possible(100, 0.3) < best_possible(100, 1e-5) < best_possible(100, 0.0)
    assert best_possible(1, 0.0) == 0


def test_abstention_keeps_what_the_extremes_show() -> None:
    """100 of 800 canaries are seen clearly, the others not at all."""
    included = np.arange(800) % 2 == 0
    scores = np.where(np.arange(800) < 100, np.where(included, 1.0, -1.0), 0.0)
    best = best_steinke(scores, included, 1e-5)
    assert (best.guesses, best.right, best.tried) == (100, 100, 4)
    assert best.eps == steinke_eps(800, 100, 100, 1e-5, 1 - 0.05 / 4)
    assert steinke_eps(800, 800, 450, 1e-5) < best.eps < best.best_possible
    assert best.mu >= steinke_mu(800, 100, 100, 1 - 0.05 / 4)


def test_perfect_scores_reach_the_best_possible() -> None:
    for m in (1, 7, 15, 101):
        included = np.arange(m) % 2 == 0
        best = best_steinke(included.astype(float), included, 1e-5)
        assert best.right == best.guesses == m
        assert best.eps == best.best_possible


@pytest.mark.parametrize("score", [0.0, math.nan])
def test_scores_that_say_nothing_show_nothing_in_any_order(score: float) -> None:
    included = np.arange(200) >= 100  # the order alone would tell
    for member in (included, ~included):
        best = best_steinke(np.full(200, score), member, 1e-5)
        assert best.eps == best.mu == best.right == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=40), st.data())
@settings(max_examples=30, deadline=None)
def test_the_order_of_canaries_does_not_matter(canaries: list[tuple[int, bool]], data: Any) -> None:
    shuffled = data.draw(st.permutations(canaries))
    one, other = (
        best_steinke(np.array([float(s) for s, _ in c]), np.array([i for _, i in c]), 0.0)
        for c in (canaries, shuffled)
    )
    assert one == other
