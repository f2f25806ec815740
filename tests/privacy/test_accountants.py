"""Accountants: closed form, privacy loss distributions and Renyi divergences against each other."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from fedaffect.errors import UsageError
from fedaffect.privacy.accountants import accountant, closed_form, pld, rdp
from fedaffect.privacy.base import Event, Method


def hockey_stick(eps: float, mu: float) -> float:
    """Integrate max(0, p - e^eps q) of N(mu, 1) against N(0, 1), slowly."""
    crossing = mu / 2 + eps / mu

    def excess(x: float) -> float:
        return stats.norm.pdf(x - mu) - math.exp(eps) * stats.norm.pdf(x)

    return float(integrate.quad(excess, crossing, crossing + 12, epsabs=1e-13)[0])


@pytest.mark.parametrize(("eps", "mu"), [(0.0, 0.3), (0.5, 0.7), (1.0, 1.0), (3.0, 2.0)])
def test_closed_form_is_the_integral(eps: float, mu: float) -> None:
    assert math.exp(closed_form.log_delta(eps, mu)) == pytest.approx(hockey_stick(eps, mu), 1e-8)


@settings(max_examples=60, deadline=None)
@given(
    eps=st.floats(0.01, 500),
    log10_delta=st.floats(-9, -2),
    releases=st.integers(1, 5000),
)
def test_calibrate_then_account_meets_the_budget(
    eps: float, log10_delta: float, releases: int
) -> None:
    delta = 10**log10_delta
    for method in ("tight", "rdp"):
        asked = Event("gaussian", 1.0, 1.0, releases)
        counting = accountant(method, asked)
        kept = replace(asked, scale=counting.scale(asked, eps, delta))
        achieved = counting.epsilon(kept, delta)
        assert 0.999 * eps <= achieved <= eps * (1 + 1e-9)
        tight = closed_form.epsilon(kept, delta)
        assert tight <= achieved * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(z=st.floats(0.3, 50), releases=st.integers(1, 300), more=st.floats(1.01, 3))
def test_epsilon_falls_with_noise_and_grows_with_releases_and_group(
    z: float, releases: int, more: float
) -> None:
    def eps(z: float, releases: int, group: int = 1) -> float:
        return closed_form.epsilon(Event("gaussian", z, 1.0, releases, group), 1e-5)

    assert eps(z * more, releases) < eps(z, releases) < eps(z, releases + 1)
    assert eps(z, releases, 2) == pytest.approx(eps(z / 2, releases), rel=1e-12)


@pytest.mark.parametrize(("z", "releases"), [(1.0, 1), (5.0, 40), (2.0, 40), (40.0, 7)])
def test_own_renyi_accounting_against_dp_accounting(z: float, releases: int) -> None:
    from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
    from dp_accounting.rdp import RdpAccountant

    orders = np.unique(np.concatenate([1 + np.geomspace(1e-2, 1e4, 4000)])).tolist()
    library = RdpAccountant(orders)
    library.compose(SelfComposedDpEvent(GaussianDpEvent(z), releases))
    own = rdp.epsilon(Event("gaussian", z, 1.0, releases), 1e-5)
    assert own == pytest.approx(library.get_epsilon(1e-5), rel=1e-3)


def test_closed_form_against_privacy_loss_distributions() -> None:
    event = Event("gaussian", 5.0, 1.0, 40)
    assert pld.epsilon(event, 1e-5) == pytest.approx(closed_form.epsilon(event, 1e-5), rel=1e-4)


def test_a_sampled_group_lies_between_one_client_and_everyone() -> None:
    one = pld.epsilon(Event("gaussian", 2.0, 1 / 3, 40), 1e-5)
    three = pld.epsilon(Event("gaussian", 2.0, 1 / 3, 40, group=3), 1e-5)
    always = closed_form.epsilon(Event("gaussian", 2.0, 1.0, 40, group=3), 1e-5)
    assert 2 * one < three < always
    laplace = Event("laplace", 2.0, 0.5, 3, group=2)
    assert pld.epsilon(laplace, 1e-5) == pytest.approx(3.0, rel=1e-3)  # as if it were always there


def test_a_group_of_two_by_brute_force() -> None:
    # One release, two clients with q = 1/2, z = 2: N(i, 4) with chances 1/4, 1/2, 1/4.
    x = np.linspace(-25, 25, 200_001)
    mixed = sum(c * stats.norm.pdf(x, i, 2.0) for i, c in enumerate((0.25, 0.5, 0.25)))
    alone = stats.norm.pdf(x, 0, 2.0)
    eps = pld.epsilon(Event("gaussian", 2.0, 0.5, 1, group=2), 1e-3)
    step = x[1] - x[0]
    deltas = [
        float(np.maximum(p - math.exp(eps) * q, 0).sum() * step)
        for p, q in ((mixed, alone), (alone, mixed))
    ]
    assert max(deltas) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("split", [0.5, 0.2])
@pytest.mark.parametrize("eps", [0.1, 0.4, 0.8])
def test_spreading_an_l1_move_over_coordinates_tells_no_more(split: float, eps: float) -> None:
    # Two coordinates moved by s and 1 - s against one moved by 1, Laplace scale 1, on a grid.
    x = np.linspace(-18, 18, 1801)
    step = x[1] - x[0]

    def density(shift: float) -> np.ndarray:
        return np.exp(-np.abs(x - shift)) / 2

    here = np.outer(density(split), density(1 - split))
    there = np.outer(density(0), density(0))
    spread = np.maximum(here - math.exp(eps) * there, 0).sum() * step**2
    together = np.maximum(density(1.0) - math.exp(eps) * density(0), 0).sum() * step
    assert 0 < spread < together * (1 - 1e-3)


@pytest.mark.parametrize("method", ["tight", "rdp"])
def test_a_person_in_three_clients_needs_three_times_the_noise(method: Method) -> None:
    one = Event("gaussian", 1.0, 1.0, 40)
    counting = accountant(method, one)
    three = counting.scale(replace(one, group=3), 5.0, 1e-5)
    assert three == pytest.approx(3 * counting.scale(one, 5.0, 1e-5), rel=2e-4)


def test_unreachable_budgets_name_the_nearest() -> None:
    once, thousand = Event("gaussian", 1.0, 1.0, 1), Event("laplace", 1.0, 1.0, 1000)
    for eps, delta in ((1e12, 1e-5), (1e-12, 1e-12)):
        with pytest.raises(UsageError) as caught:
            closed_form.scale(once, eps, delta)
        assert caught.value.code == "E222"
        assert "nearest budget" in caught.value.do
    with pytest.raises(UsageError) as caught:
        rdp.scale(thousand, 1e-9, 1e-12)
    assert caught.value.code == "E222"
    nearest = float(caught.value.do.rsplit(" ", 1)[1])
    assert rdp.scale(thousand, 1.01 * nearest, 1e-12) <= 1e7


def test_the_closed_form_refuses_what_it_cannot_count() -> None:
    for wrong in (Event("laplace", 1.0, 1.0, 1), Event("gaussian", 1.0, 0.5, 1)):
        with pytest.raises(ValueError, match="no closed form"):
            closed_form.epsilon(wrong, 1e-5)
        with pytest.raises(ValueError, match="no closed form"):
            closed_form.scale(wrong, 1.0, 1e-5)


def test_huge_losses_are_bounded_not_computed_on_a_grid() -> None:
    event = Event("gaussian", 0.005, 0.9, 40)
    assert pld.epsilon(event, 1e-5) == rdp.epsilon(event, 1e-5) > 1e4


def test_the_library_is_silent_and_its_logger_is_restored(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogger("absl").level
    with caplog.at_level(logging.DEBUG):
        rdp.epsilon(Event("gaussian", 0.31, 0.77, 3), 1e-5)
        pld.epsilon(Event("gaussian", 0.31, 0.77, 3), 1e-5)
    assert not caplog.records
    assert logging.getLogger("absl").level == before


def test_full_participation_needs_no_accounting_library() -> None:
    code = (
        "import sys, time\n"
        "from fedaffect.privacy.accountants import accountant\n"
        "from fedaffect.privacy.base import Event\n"
        "import scipy.special\n"
        "event = Event('gaussian', 1.0, 1.0, 40)\n"
        "start = time.process_time()\n"
        "for method in ('tight', 'rdp'):\n"
        "    counting = accountant(method, event)\n"
        "    assert counting.scale(event, 5.0, 1e-5) > counting.epsilon(event, 1e-5) / 10\n"
        "    assert counting.affordable(event, 5.0, 1e-5) >= 1\n"
        "assert time.process_time() - start < 0.1\n"
        "assert not {'dp_accounting', 'scipy.stats', 'scipy.optimize'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
