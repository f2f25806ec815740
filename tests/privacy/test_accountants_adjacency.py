"""What neighbours are: scales, the traps of the library, sampling under replace_one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fedaffect.privacy.accountants import accountant, closed_form, pld, rdp
from fedaffect.privacy.base import Event

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())
TRAP = VECTORS["dp_accounting_replace_one_trap"]
DELTA = 1e-5


def tight(event: Event, delta: float = DELTA) -> float:
    return accountant("tight", event).epsilon(event, delta)


def test_the_library_reads_replace_one_in_two_ways() -> None:
    """The trap that ``replace_one_multiplier`` exists for; a new release may change it."""
    z, relation = TRAP["z"], NeighboringRelation.REPLACE_ONE
    by_pld, by_rdp, zeroed = PLDAccountant(relation), RdpAccountant(None, relation), PLDAccountant()
    for library in (by_pld, by_rdp, zeroed):
        library.compose(GaussianDpEvent(z))
    assert by_pld.get_epsilon(DELTA) == pytest.approx(TRAP["pld_replace_one"], rel=1e-4)
    assert by_rdp.get_epsilon(DELTA) == pytest.approx(TRAP["rdp_replace_one"], rel=2e-3)
    assert zeroed.get_epsilon(DELTA) == pytest.approx(TRAP["pld_add_remove"], rel=1e-4)
    assert by_pld.get_epsilon(DELTA) == pytest.approx(tight(Event("gaussian", z / 2, 1.0, 1)), 1e-4)


@pytest.mark.parametrize("method", ["tight", "rdp"])
def test_without_sampling_only_the_scale_knows_the_adjacency(method: Any) -> None:
    for noise in ("gaussian", "laplace"):
        zeroed = Event(noise, 3.0, 1.0, 40)
        replaced = replace(zeroed, adjacency="replace_one")
        counting = accountant(method, replaced)
        assert counting.name == accountant(method, zeroed).name
        assert counting.epsilon(replaced, DELTA) == counting.epsilon(zeroed, DELTA)
        assert counting.scale(replaced, 5.0, DELTA) == counting.scale(zeroed, 5.0, DELTA)


def test_the_price_of_the_wrong_row() -> None:
    """N = 15, n = 5, T = 40, noise sd 2C throughout, so z is 2 (zero_out) or 1 (replace_one)."""
    zeroed = Event("gaussian", 2.0, 1 / 3, 40)
    replaced = Event("gaussian", 1.0, 1 / 3, 40, adjacency="replace_one")
    assert tight(zeroed) == pytest.approx(5.38, abs=0.005)
    assert tight(replaced) == pytest.approx(10.40, abs=0.005)
    assert tight(replace(zeroed, rate=1.0)) == pytest.approx(17.86, abs=0.005)
    assert tight(replace(replaced, rate=1.0)) == pytest.approx(46.2, abs=0.05)


@pytest.mark.parametrize("row", VECTORS["subsampling_adjacency"], ids=lambda r: f"{r['N']}")
def test_sampling_under_both_adjacencies(row: dict[str, Any]) -> None:
    q, sd_over_c = row["n"] / row["N"], row["z"]
    zeroed = Event("gaussian", sd_over_c, q, row["T"])
    replaced = Event("gaussian", sd_over_c / 2, q, row["T"], adjacency="replace_one")
    assert tight(zeroed) == pytest.approx(row["pld_poisson_addremove"], rel=1e-3)
    assert tight(replaced) == pytest.approx(row["pld_poisson_replaceone_noise_rel_2C"], rel=1e-3)
    assert rdp.epsilon(zeroed, DELTA) == pytest.approx(row["rdp_poisson_addremove"], rel=1e-2)
    always = tight(replace(zeroed, rate=1.0))
    assert always == pytest.approx(row["no_amplification"], rel=1e-9)
    assert tight(zeroed) < tight(replaced)


def test_the_library_still_refuses_renyi_accounting_of_replace_one() -> None:
    event = PoissonSampledDpEvent(0.1, GaussianDpEvent(1.0))
    assert not RdpAccountant(None, NeighboringRelation.REPLACE_ONE).supports(event)


def test_what_cannot_be_amplified_is_counted_as_always_there_and_says_so() -> None:
    replaced = Event("gaussian", 1.0, 1 / 3, 40, adjacency="replace_one")
    always = Event("gaussian", 1.0, 1.0, 40)
    moments = accountant("rdp", replaced)
    assert moments.name == "RDP without amplification"
    assert moments.epsilon(replaced, DELTA) == rdp.epsilon(always, DELTA) > tight(replaced)
    laplace = Event("laplace", 2.0, 0.2, 7, adjacency="replace_one")
    counting = accountant("tight", laplace)
    assert counting.name == "PLD without amplification"
    unsampled = replace(laplace, rate=1.0, adjacency="zero_out")
    assert counting.epsilon(laplace, DELTA) == pld.epsilon(unsampled, DELTA)
    assert rdp.pure_epsilon(laplace) == pytest.approx(3.5)
    group = replace(replaced, group=3)
    exact = closed_form.epsilon(replace(always, group=3), DELTA)
    assert exact <= tight(group) < exact * (1 + 1e-4)
    assert accountant("rdp", laplace).name == "RDP without amplification"
    assert accountant("rdp", replace(laplace, adjacency="zero_out")).name == "basic"
    assert accountant("tight", replaced).name == "PLD"


def mixture_delta(eps: float, sd: float, q: float, first: float, second: float) -> float:
    """Integrate max(0, p - e^eps r), p and r mixtures of N(0, sd) with N(first or second, sd)."""
    reach = 12 * sd + 1
    x, step = np.linspace(-reach, reach, 400_001, retstep=True)

    def density(shift: float) -> np.ndarray:
        return (1 - q) * stats.norm.pdf(x, 0, sd) + q * stats.norm.pdf(x, shift, sd)

    return float(np.maximum(0, density(first) - math.exp(eps) * density(second)).sum() * step)


@pytest.mark.parametrize(("q", "scale"), [(0.5, 1.0), (0.1, 0.6), (1 / 3, 2.0)])
def test_one_release_by_quadrature(q: float, scale: float) -> None:
    """The exact eps of one sampled release, from its two densities, under either adjacency."""
    delta = 1e-3
    zeroed = tight(Event("gaussian", scale, q, 1), delta)
    least = max(mixture_delta(zeroed, scale, q, *pair) for pair in ((1, 0), (0, 1)))
    assert least == pytest.approx(delta, rel=2e-3)
    replaced = tight(Event("gaussian", scale, q, 1, adjacency="replace_one"), delta)
    assert mixture_delta(replaced, 2 * scale, q, 1, -1) == pytest.approx(delta, rel=2e-3)


@settings(max_examples=15, deadline=None)
@given(q=st.floats(0.01, 0.99), scale=st.floats(0.5, 10), releases=st.integers(1, 40))
def test_replaced_lies_between_zeroed_and_always_there(
    q: float, scale: float, releases: int
) -> None:
    """At equal noise: harder than removal, easier than two always-present contributions."""
    replaced = tight(Event("gaussian", scale, q, releases, adjacency="replace_one"))
    zeroed = tight(Event("gaussian", 2 * scale, q, releases))
    always = tight(Event("gaussian", scale, 1.0, releases))
    assert zeroed * (1 - 1e-3) <= replaced <= always * (1 + 1e-3) + 1e-3


def test_calibration_under_replace_one_keeps_the_budget() -> None:
    event = Event("gaussian", 1.0, 0.2, 30, adjacency="replace_one")
    for method in ("tight", "rdp"):
        counting = accountant(method, event)
        z = counting.scale(event, 4.0, DELTA)
        assert 4 * (1 - 2e-4) <= counting.epsilon(replace(event, scale=z), DELTA) <= 4
    assert pld.scale(event, 4.0, DELTA) < rdp.scale(event, 4.0, DELTA)
