"""Accounting against published and independent figures (tests/golden/dp_vectors.json)."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant

from fedaffect.privacy.accountants import accountant, closed_form, pld, rdp
from fedaffect.privacy.base import Event

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())
OWN_ORDERS = list(rdp._INTEGER_ORDERS)


def rows(table: str, *, below: float = 2) -> list[Any]:
    """Return rows with q < ``below``; rare sampling with little noise needs wide grids: slow."""
    return [
        pytest.param(
            row,
            id="-".join(str(value) for value in list(row.values())[:4]),
            marks=[pytest.mark.slow] * (row["q"] < 0.02 and row.get("sigma", 0) < 2),
        )
        for row in (row | {"q": row.get("q", 1)} for row in VECTORS[table])
        if row["q"] < below
    ]


def event_of(row: dict[str, Any]) -> Event:
    return Event("gaussian", row["sigma"], row["q"], row["T"])


def both(event: Event, delta: float) -> tuple[float, float]:
    """Return eps by the tight and by the Renyi accountant."""
    tight, moments = (accountant(method, event) for method in ("tight", "rdp"))
    return tight.epsilon(event, delta), moments.epsilon(event, delta)


@pytest.mark.parametrize("row", rows("subsampled_gaussian"))
def test_composed_epsilon(row: dict[str, Any]) -> None:
    tight, moments = both(event_of(row), row["delta"])
    assert tight == pytest.approx(row["expect_tight"], rel=row["tight_rtol"])
    assert moments >= tight
    if row["q"] < 1:  # the vector's orders are every integer from 2 to 1024
        assert moments == pytest.approx(row["rdp_own_integer_orders_2_1024"], rel=1e-5)
        assert moments == pytest.approx(row["rdp_dp_accounting"], rel=6e-2)  # fractional ones too
        assert tight == pytest.approx(row["pld_own_fft"], rel=row["tight_rtol"])
    else:  # our real orders are closer together than any grid of the vectors
        grids = ("rdp_dp_accounting", "rdp_opacus", "rdp_own_integer_orders_2_1024")
        best = min(row[grid] for grid in grids if row[grid] is not None)
        assert 0.95 * best <= moments <= best * (1 + 1e-4)
        assert tight == pytest.approx(row["exact_closed_form"], rel=1e-9)
    assert tight < row["prv_opacus_upper"] < tight + 0.02 * (1 + tight / 10)


def opacus_rdp(q: float, z: float, releases: int, delta: float) -> float:
    """Return eps by Opacus with its own alphas."""
    from opacus.accountants import RDPAccountant

    other = RDPAccountant()
    other.history = [(z, q, releases)]
    return float(other.get_epsilon(delta))


@pytest.mark.parametrize("row", rows("subsampled_gaussian", below=1))
def test_a_second_implementation_of_renyi_accounting(row: dict[str, Any]) -> None:
    other = RdpAccountant(OWN_ORDERS)
    other.compose(PoissonSampledDpEvent(row["q"], GaussianDpEvent(row["sigma"])), row["T"])
    moments = rdp.epsilon(event_of(row), row["delta"])
    assert moments == pytest.approx(other.get_epsilon(row["delta"]), rel=1e-9)


@pytest.mark.parametrize(
    "row",
    [r for r in VECTORS["subsampled_gaussian"] if r["id"] in ("fl_q13_z2_T40", "fl_q02_z3_T200")],
    ids=lambda r: r["id"],
)
def test_opacus_says_the_same(row: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "optimal order is the largest alpha"
        other = opacus_rdp(row["q"], row["sigma"], row["T"], row["delta"])
    assert other == pytest.approx(row["rdp_opacus"], rel=1e-9)
    tight, moments = both(event_of(row), row["delta"])
    assert tight < other <= moments * (1 + 1e-9)  # its orders include fractions
    assert moments == pytest.approx(other, rel=3e-2)


@pytest.mark.parametrize("row", rows("published"))
def test_published_figures(row: dict[str, Any]) -> None:
    """Published totals come from the conversion of Mironov 2017; ours is never above them."""
    event, delta = event_of(row), row["delta"]
    tight, moments = both(event, delta)
    if row["id"] == "opacus_test_prv":  # the published value is an upper end, 0.01 above
        assert tight == pytest.approx(row["published"] - 0.01, abs=1e-3)
    elif row["id"] == "opacus_test_rdp":  # the conversion is ours already
        assert moments == pytest.approx(row["published"], rel=1e-3)
    else:
        published = row.get("published", row.get("published_moments_accountant"))
        assert mironov_2017(event, delta) == pytest.approx(published, rel=4e-3)
        assert tight < moments < published
    for key in ("ours_pld", "pld"):
        assert tight == pytest.approx(row.get(key, tight), rel=1e-3)
    assert moments == pytest.approx(row.get("opacus_rdp", moments), rel=3e-2)


def mironov_2017(event: Event, delta: float) -> float:
    """Return min over a of T D_a + log(1/delta) / (a - 1), orders 2 to 64, by a plain loop."""

    def divergence(a: int) -> float:
        terms = [
            math.log(math.comb(a, k))
            + k * math.log(event.rate)
            + (a - k) * math.log1p(-event.rate)
            + k * (k - 1) / (2 * event.scale**2)
            for k in range(a + 1)
        ]
        return (max(terms) + math.log(sum(math.exp(t - max(terms)) for t in terms))) / (a - 1)

    return min(event.releases * divergence(a) - math.log(delta) / (a - 1) for a in range(2, 65))


@pytest.mark.parametrize("row", rows("analytic_gaussian"))
def test_one_release_needs_the_analytic_z(row: dict[str, Any]) -> None:
    z = closed_form.scale(Event("gaussian", 1.0, 1.0, 1), row["eps"], row["delta"])
    assert z == pytest.approx(row["sigma_own"], rel=1e-9)
    assert z == pytest.approx(row["sigma_dpa"], rel=1e-9)


@pytest.mark.parametrize("row", rows("classic_gaussian_true_eps"))
def test_what_the_classic_gaussian_is_worth(row: dict[str, Any]) -> None:
    z = math.sqrt(2 * math.log(1.25 / row["delta"])) / row["eps_claimed"]
    assert z == pytest.approx(row["z"], rel=1e-12)
    eps = closed_form.epsilon(Event("gaussian", z, 1.0, 1), row["delta"])
    assert eps == pytest.approx(row["eps_true"], rel=1e-9)
    claimed = closed_form.log_delta(row["eps_claimed"], 1 / z)
    assert math.exp(claimed) == pytest.approx(row["delta_at_claimed"], rel=1e-8)


def test_where_the_classic_gaussian_begins_to_fail() -> None:
    crossing = VECTORS["classic_crossover_eps_at_delta_1e5"]
    for factor, fails in ((1 - 1e-6, False), (1 + 1e-6, True)):
        claimed = crossing * factor
        z = math.sqrt(2 * math.log(1.25e5)) / claimed
        assert (closed_form.epsilon(Event("gaussian", z, 1.0, 1), 1e-5) > claimed) is fails


@pytest.mark.parametrize("row", rows("laplace_composition"))
def test_laplace_composition(row: dict[str, Any]) -> None:
    event = Event("laplace", 1 / row["eps0"], 1.0, row["T"])
    tight, moments = both(event, row["delta"])
    assert tight == pytest.approx(row["pld_dpa"], rel=1e-3)
    assert moments == pytest.approx(row["rdp_own"], rel=1e-2)
    assert moments == pytest.approx(row["rdp_dpa"], rel=1e-2)
    assert tight <= moments <= rdp.pure_epsilon(event) == pytest.approx(row["basic"])
    assert moments < row["advanced_DRV2010"]
    assert moments < row["kairouz_oh_viswanath_closed"]


@pytest.mark.parametrize("row", rows("calibration_total_budget"))
def test_the_noise_of_a_total_budget(row: dict[str, Any]) -> None:
    event, eps, delta = Event("gaussian", 1.0, row["q"], row["T"]), row["eps"], row["delta"]
    z = accountant("tight", event).scale(event, eps, delta)
    exact = row["q"] == 1
    assert z == pytest.approx(row["z"], rel=1e-9 if exact else 1e-3)
    kept = Event("gaussian", z, row["q"], row["T"])
    assert eps * (1 - 2e-4) <= accountant("tight", kept).epsilon(kept, delta) <= eps * (1 + 1e-12)
    if "rdp_z" in row:  # the vector's order grid is coarser than ours
        moments = accountant("rdp", event).scale(event, eps, delta)
        assert moments == pytest.approx(row["rdp_z"], rel=3e-3)
        assert moments > z
    if "opacus_prv_z" in row:  # its eps is the estimate + 0.01
        assert z == pytest.approx(row["opacus_prv_z"], rel=5e-3)


@pytest.mark.parametrize("row", rows("heterogeneous_blocks"))
def test_blocks_of_one_release_are_one_gaussian(row: dict[str, Any]) -> None:
    z = 1 / math.hypot(*(c / s for c, s in zip(row["C"], row["sigma"], strict=True)))
    assert z == pytest.approx(row["z_eff"], rel=1e-12)
    tight, moments = both(Event("gaussian", z, row["q"], row["T"]), row["delta"])
    assert tight == pytest.approx(row["eps"], rel=1e-9 if row["q"] == 1 else 1e-3)
    if row["q"] < 1:
        assert moments == pytest.approx(row["rdp"], rel=1e-2)
        assert tight > row["WRONG_if_blocks_subsampled_separately"]["pld"] * 1.05


def test_laplace_budget_of_5_over_40_rounds() -> None:
    # eps0 a round: .12500 by basic composition, .19055 by privacy loss distributions.
    event = Event("laplace", 1.0, 1.0, 40)
    assert 1 / pld.scale(event, 5.0, 1e-5) == pytest.approx(0.19055, rel=1e-3)


def test_third_party_trade_off_curve() -> None:
    # gdpnum 0.1.2: z 9.4, q .328, T 2000 is close to mu 1.56856 (regret .001).
    event = Event("gaussian", 9.4, 0.328, 2000)
    for delta in (1e-3, 1e-5):
        gaussian = closed_form.epsilon(Event("gaussian", 1 / 1.5685621993, 1.0, 1), delta)
        assert pld.epsilon(event, delta) == pytest.approx(gaussian, rel=1e-2)
