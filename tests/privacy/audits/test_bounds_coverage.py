"""A mechanism of known epsilon is refuted no more often than the confidence allows, and audited.

The true values are closed forms or quadratures. Each coverage test repeats a whole audit and
compares how often the bound lies above the truth with a binomial limit of one in a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom, norm

from fedaffect.privacy.audits.bounds import (
    best_steinke,
    clopper_pearson_eps,
    gdp_eps,
    gdp_lower_bound,
    hockey_stick_eps,
    steinke_eps,
    steinke_mu,
)

AUDITS, CONFIDENCE = 500, 0.9


def refuted_too_often(bounds: list[float], truth: float) -> bool:
    above = sum(bound > truth for bound in bounds)
    return above > binom.ppf(0.999, len(bounds), 1 - CONFIDENCE)


def holds_and_is_of_use(bounds: list[float], truth: float, of_use: float) -> None:
    assert not refuted_too_often(bounds, truth)
    assert refuted_too_often(bounds, of_use * truth)  # a claim that low is refuted


def test_randomised_response_in_one_run() -> None:
    """Each answer is right with odds e^eps: the worst case of (eps, 0), so the level is met."""
    rng, m, eps = np.random.default_rng(1), 200, 1.5
    right = rng.binomial(m, expit(eps), AUDITS)
    bounds = [steinke_eps(m, m, int(v), 0.0, CONFIDENCE) for v in right]
    holds_and_is_of_use(bounds, eps, 0.7)
    assert refuted_too_often([bound * 1.3 for bound in bounds], eps)  # it is not slack either


def gaussian_canaries(mu: float, m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    included = rng.random(m) < 0.5
    return mu * included + rng.normal(size=m), included


@pytest.mark.slow
def test_gaussian_canaries_in_one_run_with_abstention() -> None:
    mu, m, delta = 2.0, 100, 1e-5
    audits = [gaussian_canaries(mu, m, seed) for seed in range(120)]
    bounds = [best_steinke(*audit, delta, CONFIDENCE) for audit in audits]
    holds_and_is_of_use([bound.eps for bound in bounds], gdp_eps(mu, delta), 0.1)
    holds_and_is_of_use([bound.mu for bound in bounds], mu, 0.4)


def test_gaussian_canaries_at_a_fixed_number_of_guesses() -> None:
    mu, m = 1.0, 400
    bound, bounds = cache(lambda right: steinke_mu(m, m, right, CONFIDENCE)), []
    for seed in range(AUDITS):
        scores, included = gaussian_canaries(mu, m, seed)
        right = int(np.sum((scores > mu / 2) == included))
        bounds.append(bound(right))
    holds_and_is_of_use(bounds, mu, 0.3)


def test_independent_releases_of_gaussian_noise() -> None:
    rng, mu, n, delta = np.random.default_rng(2), 1.5, 1000, 1e-3
    counts = rng.binomial(n, norm.sf([0.8 - mu, 0.8]), (AUDITS, 2))
    eps = [clopper_pearson_eps(int(t), n, int(f), n, delta, CONFIDENCE) for t, f in counts]
    holds_and_is_of_use(eps, gdp_eps(mu, delta), 0.2)
    mus = [gdp_lower_bound(int(t), n, int(f), n, CONFIDENCE) for t, f in counts]
    holds_and_is_of_use(mus, mu, 0.8)


def test_randomised_response_over_independent_releases() -> None:
    """The rates are (p, 1 - p) with p = e^eps / (1 + e^eps): on the boundary of (eps, 0)."""
    rng, eps, n = np.random.default_rng(3), 2.0, 2000
    counts = rng.binomial(n, [expit(eps), 1 - expit(eps)], (AUDITS, 2))
    bounds = [clopper_pearson_eps(int(t), n, int(f), n, 0.0, CONFIDENCE) for t, f in counts]
    holds_and_is_of_use(bounds, eps, 0.8)


Draw = Callable[[np.random.Generator, int], np.ndarray]


def laplace(shift: float) -> Draw:
    return lambda rng, n: shift + rng.laplace(size=n)


def normal(shift: float, deviation: float = 1.0) -> Draw:
    return lambda rng, n: shift + deviation * rng.normal(size=n)


def answer(p: float) -> Draw:
    return lambda rng, n: (rng.random(n) < p).astype(float)


def eps_of_two_deviations(deviation: float, delta: float) -> float:
    """Return eps at ``delta`` of N(0, 1) and N(0, deviation^2), deviation > 1, either way round.

    log Q / P = x^2 (1 - 1 / deviation^2) / 2 - log(deviation) on |x| decides both sets.
    """
    curve, log_deviation = (1 - deviation**-2) / 2, math.log(deviation)

    def centre(eps: float) -> float:
        c = math.sqrt((log_deviation - eps) / curve)
        inside, outside = (1 - 2 * norm.sf(x) for x in (c, c / deviation))
        return float(inside - math.exp(eps) * outside - delta)

    def tails(eps: float) -> float:
        c = math.sqrt((log_deviation + eps) / curve)
        return float(2 * norm.sf(c / deviation) - math.exp(eps) * 2 * norm.sf(c) - delta)

    return float(max(brentq(centre, 0, log_deviation), brentq(tails, 0, 50)))


PAIRS = {
    "laplace": (laplace(1.5), laplace(0.0), 1.5, 0.0),
    "gaussian": (normal(1.0), normal(0.0), gdp_eps(1.0, 0.05), 0.05),
    "reversed": (normal(0.0), normal(1.0), gdp_eps(1.0, 0.05), 0.05),
    "answers": (answer(expit(1.0)), answer(1 - expit(1.0)), 1.0, 0.0),
    "no threshold": (normal(0.0), normal(0.0, 1.5), eps_of_two_deviations(1.5, 0.05), 0.05),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_histogram_of_many_draws_finds_nine_tenths_of_epsilon(pair: str) -> None:
    inside, outside, eps, delta = PAIRS[pair]
    rng, n = np.random.default_rng(4), 500_000
    bound = hockey_stick_eps(inside(rng, n), outside(rng, n), delta, 0.999)
    assert 0.9 * eps <= bound <= eps


def test_a_histogram_of_few_draws_shows_nothing() -> None:
    assert hockey_stick_eps(np.zeros(1), np.ones(500), 0.0) == 0
    assert hockey_stick_eps(np.zeros(5), np.ones(5), 0.0) == 0
    assert hockey_stick_eps(np.full(500, np.nan), np.full(500, np.nan), 0.0) == 0


def test_a_histogram_with_less_noise_than_claimed_refutes_the_claim() -> None:
    rng, n, delta = np.random.default_rng(5), 50_000, 0.01
    claimed = gdp_eps(1.0, delta)
    bound = hockey_stick_eps(3 + rng.normal(size=n), rng.normal(size=n), delta, 0.999)
    assert bound > claimed


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_a_histogram_holds_its_confidence(pair: str) -> None:
    inside, outside, eps, delta = PAIRS[pair]
    rng, n = np.random.default_rng(6), 2000
    bounds = [
        hockey_stick_eps(inside(rng, n), outside(rng, n), delta, CONFIDENCE, bins=16)
        for _ in range(200)
    ]
    holds_and_is_of_use(bounds, eps, 0.4)
