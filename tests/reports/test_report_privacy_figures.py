"""What a guarantee allows and what it takes, against closed forms and golden numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from report_reader import words
from report_sample import FORMAL, NO_DP, PARTIAL, sample
from scipy.stats import norm

from fedaffect.privacy.attacks.statistics import naming_cap
from fedaffect.reports.attack_card import Allowed, allowed_by, attack_card, card_rows
from fedaffect.reports.break_even import break_even, finding
from fedaffect.reports.spending import spending

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())


class TestCard:
    def test_golden_card_of_eps_5_over_40_releases(self):
        # mu = sqrt(40) / z with the calibrated z of 40 releases at (5, 1e-5)
        allowed = Allowed(math.sqrt(40) / 5.6406701801385895, 5.0, 1e-5)
        assert allowed.mu == pytest.approx(1.121, abs=5e-4)
        assert allowed.tpr(np.array([0.01]))[0] == pytest.approx(0.114, abs=5e-4)
        assert allowed.advantage == pytest.approx(0.425, abs=5e-4)

    def test_the_curve_of_a_gaussian_is_that_of_its_best_test(self):
        """The likelihood ratio test of N(0, 1) against N(mu, 1) by thresholds."""
        threshold = np.linspace(-3, 4, 50)
        false, true = norm.sf(threshold), norm.sf(threshold - 1.3)
        assert Allowed(1.3, 9.0, 1e-5).tpr(false) == pytest.approx(true, rel=1e-9)
        assert Allowed(1.3, 9.0, 1e-5).advantage == pytest.approx((true - false).max(), abs=2e-3)

    @pytest.mark.parametrize("eps", [0.1, 1.0, 5.0])
    def test_without_mu_the_curve_is_that_of_randomised_response(self, eps):
        """It is tight for (eps, 0): telling the truth with probability e^eps / (1 + e^eps)."""
        lie = 1 / (1 + math.exp(eps))
        allowed = Allowed(None, eps, 0.0)
        assert allowed.tpr(np.array([lie]))[0] == pytest.approx(1 - lie)
        assert allowed.advantage == pytest.approx(1 - 2 * lie)
        rates = np.linspace(0, 1, 101)
        within = np.interp(rates, [0, lie, 1], [0, 1 - lie, 1])  # mixtures of its answers
        assert allowed.tpr(rates) == pytest.approx(within)

    def test_a_delta_of_one_allows_everything_and_eps_0_nothing(self):
        rates = np.array([0.0, 0.3, 1.0])
        assert Allowed(None, 0.0, 1.0).tpr(rates) == pytest.approx([1, 1, 1])
        assert Allowed(None, 1e-12, 0.0).tpr(rates) == pytest.approx(rates)
        assert Allowed(None, 5000.0, 0.0).tpr(rates[1:]) == pytest.approx([1, 1])

    @pytest.mark.parametrize("row", VECTORS["n_way_identification_cap"])
    def test_golden_naming_caps(self, row):
        assert naming_cap(row["eps"], row["delta"], row["N"]) == pytest.approx(row["cap"])

    def test_no_guarantee_no_card(self):
        for privacy in (NO_DP, PARTIAL, {**FORMAL, "status": "CONDITIONAL"}):
            assert allowed_by(privacy) is None
            assert attack_card(sample(privacy=privacy)) is None
            assert card_rows(sample(privacy=privacy)) == []

    def test_a_trusted_server_names_everyone(self):
        name, cap, guess = card_rows(sample())[-1]
        assert name == "Naming which of 20 clients sent an upload"
        assert cap.startswith("100 %")
        assert words(guess) == "5.0 %"

    def test_noise_of_the_clients_caps_naming_under_replace_one_only(self):
        local = {**FORMAL, "where": "client"}
        assert card_rows(sample(privacy=local))[-1][1].startswith("100 %")
        replace_one = {**local, "adjacency": "replace_one", "eps": 2.5, "delta": 1e-5}
        cap = (math.exp(2.5) + 19e-5) / (math.exp(2.5) + 19)
        shown = words(card_rows(sample(privacy=replace_one))[-1][1])
        assert shown == f"{100 * cap:.1f} %"
        other = {**local, "other_adjacency": {"adjacency": "replace_one", "eps": 2.5}}
        assert words(card_rows(sample(privacy=other))[-1][1]) == shown


class TestBreakEven:
    def test_golden_clients_at_eps_5_over_40_releases(self):
        drawing = break_even(sample())
        row = next(row for row in drawing.rows if row[0] == "5")
        shown = [int(cell.replace(",", "")) for cell in row[1:]]
        golden = VECTORS["breakeven_clients_per_round"]
        names = ("breakeven_full", "breakeven_shared", "breakeven_stress head", "breakeven_id")
        assert shown == [math.ceil(golden[name]["n_clients_per_round"]) for name in names]

    def test_the_title_says_from_how_many_clients_on(self):
        curves = {"all": [0.0] * 5 + [670.2, *[0.0] * 4], "head": [0.0] * 5 + [11.5, *[0.0] * 4]}
        assert words(finding(curves, 6, 1e-5, 1)) == (
            "At (ε = 8.00, δ = 1e-5), per client over 1 release, noise is no longer than the "
            "signal from 671 clients a round on (head alone: from 12); this run has 6"
        )

    def test_noise_of_the_clients_needs_the_square(self):
        server, client = (
            break_even(sample(privacy={**FORMAL, "where": where})) for where in ("server", "client")
        )
        for a, b in zip(server.rows, client.rows, strict=True):
            low = int(a[1].replace(",", ""))
            assert (low - 1) ** 2 <= int(b[1].replace(",", "")) <= low**2

    def test_blocks_that_stay_are_not_counted(self):
        blocks = [
            {**b, "policy": "keep_local"} if b["name"] == "shared" else b for b in FORMAL["blocks"]
        ]
        columns = break_even(sample(privacy={**FORMAL, "blocks": blocks})).columns
        assert columns[1] == "all released blocks (35,017 parameters)"
        assert not any("shared" in c for c in columns)

    def test_no_curve_where_the_formula_does_not_hold(self):
        for changes in ({"mechanism": "laplace"}, {"unit": "window"}, {"mechanism": "none"}):
            assert break_even(sample(privacy={**FORMAL, **changes})) is None


def test_logarithmic_axes_have_plain_numbers():
    composition = [
        {"release": r, "basic": 300.0 * r, "rdp": 4.0 * r, "tight": 3.0 * r} for r in (1, 2, 3)
    ]
    drawn = (
        spending(sample(privacy={**FORMAL, "composition": composition})),
        break_even(sample()),
        attack_card(sample()),
    )
    for drawing in drawn:
        assert "mathdefault" not in drawing.svg
    assert ">100</text>" in drawn[0].svg
