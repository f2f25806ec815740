"""What all runs on one data set cost together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ledger_cases import TERMS, of, opened
from scipy.optimize import brentq
from scipy.stats import norm

from fedaffect.privacy.charges import Terms
from fedaffect.privacy.spending import Spending, spending


def spent(home: Path, runs: list[tuple[Terms, int]], except_run: str | None = None) -> Spending:
    with opened(home) as ledger:
        for number, (terms, releases) in enumerate(runs):
            batch = [of(n, terms=terms) for n in range(1, releases + 1)]
            ledger.charge(f"run-{number}", batch, releases)
        return spending(ledger, except_run)


def gaussian_eps(mu: float, delta: float) -> float:
    """Balle & Wang 2018, theorem 8, solved anew."""

    def excess(eps: float) -> float:
        tail = float(np.exp(eps) * norm.cdf(-mu / 2 - eps / mu))
        return float(norm.cdf(mu / 2 - eps / mu)) - tail - delta

    return float(brentq(excess, 0, 200, xtol=1e-12))


def test_nothing_was_spent(tmp_path: Path) -> None:
    nothing = spent(tmp_path, [])
    assert (nothing.totals, nothing.unbounded, nothing.eps_of(TERMS)) == ((), (), 0.0)


def test_gaussian_runs_compose_exactly(tmp_path: Path) -> None:
    one, other = replace(TERMS, z=3.0), replace(TERMS, z=5.0, delta=1e-6)
    [total] = spent(tmp_path, [(one, 4), (other, 10)]).totals
    mu = math.sqrt(4 / 9 + 10 / 25)
    assert (total.unit, total.adjacency, total.runs) == ("client", "zero_out", 2)
    assert total.delta == pytest.approx(1.1e-5)
    assert total.mu == pytest.approx(mu)
    assert total.eps == pytest.approx(gaussian_eps(mu, 1.1e-5), rel=1e-8)
    basic = gaussian_eps(math.sqrt(4) / 3, 1e-5) + gaussian_eps(math.sqrt(10) / 5, 1e-6)
    assert total.eps < 0.9 * basic


def test_other_noise_adds_up(tmp_path: Path) -> None:
    """One Laplace release with b = 2 C is (0.5, 0); at delta 1e-5 hardly less."""
    laplace = replace(TERMS, mechanism="laplace", noise="laplace", z=2.0)
    [total] = spent(tmp_path, [(TERMS, 3), (laplace, 1)]).totals
    assert total.mu is None
    assert total.delta == pytest.approx(2e-5)
    expected = gaussian_eps(math.sqrt(3) / TERMS.z, 1e-5) + 0.5
    assert total.eps == pytest.approx(expected, rel=1e-3)


def test_units_and_adjacencies_are_totalled_apart(tmp_path: Path) -> None:
    runs = [
        (TERMS, 1),
        (replace(TERMS, adjacency="replace_one"), 2),
        (replace(TERMS, unit="window", steps=5), 3),
    ]
    all_of_them = spent(tmp_path, runs)
    told = {(t.unit, t.adjacency): (t.runs, t.mu) for t in all_of_them.totals}
    assert told == {
        ("client", "zero_out"): (1, pytest.approx(math.sqrt(1) / 1.5)),
        ("client", "replace_one"): (1, pytest.approx(math.sqrt(2) / 1.5)),
        ("window", "zero_out"): (1, pytest.approx(math.sqrt(15) / 1.5)),
    }


@pytest.mark.parametrize(
    ("change", "mu_squared"),
    [
        # replace_one moves a sum twice as far as zero_out: z of a run halves, or doubles
        ({}, 1 / 1.5**2 + 2 / 3.0**2),
        ({"adjacency": "replace_one"}, 1 / 0.75**2 + 2 / 1.5**2),
        # any change of a window is a replacement of its client's contribution
        ({"unit": "window"}, 1 / 0.75**2 + 2 / 1.5**2),
    ],
)
def test_eps_so_far_counts_every_run_in_the_terms_of_the_next(
    tmp_path: Path, change: dict[str, Any], mu_squared: float
) -> None:
    runs = [(TERMS, 1), (replace(TERMS, adjacency="replace_one"), 2)]
    expected = gaussian_eps(math.sqrt(mu_squared), 2e-5)
    so_far = spent(tmp_path, runs).eps_of(replace(TERMS, **change))
    assert so_far == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("change", [{"clear": True}, {"z": 0.0}])
def test_a_run_without_finite_eps_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    both = spent(tmp_path, [(replace(TERMS, **change), 2), (TERMS, 1)])
    assert both.unbounded == ("run-0",)
    assert [t.runs for t in both.totals] == [1]
    assert both.eps_of(TERMS) == math.inf
    assert math.isfinite(spent(tmp_path, [], except_run="run-0").eps_of(TERMS))


def test_a_promise_for_windows_says_nothing_about_clients(tmp_path: Path) -> None:
    windows = replace(TERMS, unit="window")
    so_far = spent(tmp_path, [(windows, 1)])
    assert so_far.unbounded == ()
    assert so_far.eps_of(TERMS) == math.inf
    assert so_far.eps_of(windows) == pytest.approx(gaussian_eps(1 / 1.5, 1e-5))


def test_the_largest_party_counts(tmp_path: Path) -> None:
    local = replace(TERMS, where="client")
    with opened(tmp_path) as ledger:
        for release in (1, 2):
            ledger.charge("run", [of(release, party="client 1", terms=local)], 2)
        ledger.charge("run", [of(1, party="client 2", terms=local)], 2)
        [cost] = spending(ledger).runs
    assert cost.releases == 2
    assert cost.eps == pytest.approx(gaussian_eps(math.sqrt(2) / 1.5, 1e-5))


def test_deltas_that_sum_to_one_leave_the_sum_of_eps(tmp_path: Path) -> None:
    careless = replace(TERMS, z=0.1, delta=0.5)
    [total] = spent(tmp_path, [(careless, 1), (careless, 1)]).totals
    assert total.delta == 1.0
    assert total.eps == pytest.approx(2 * gaussian_eps(10.0, 0.5), rel=1e-8)
