"""The section on the audit: everything that was tried is told, nothing is improved."""

from __future__ import annotations

import re

import pytest
from audit_sample import audit_values, identity, sample_audit
from report_reader import Reader, without_figures, words
from report_reader import page as page_of
from report_sample import FORMAL, NO_DP, sample

from fedaffect.audit_record import AttackResult, AuditRecord
from fedaffect.reports import audit_section, hazards
from fedaffect.reports.eps_audit import eps_audit
from fedaffect.reports.leakage_map import leakage_map
from fedaffect.reports.metrics import beats_chance, figure, is_share
from fedaffect.reports.roc import membership_roc
from fedaffect.reports.strongest import with_strongest


def page() -> str:
    return page_of("audited")


def section(text: str, anchor: str) -> str:
    found = [e for e in Reader(text).all("section") if e["attrs"]["id"] == anchor]
    return words(found[0]["text"])


def test_every_attack_stands_in_the_page_with_its_knowledge_and_reason():
    text = section(page(), "audit")
    for result in sample_audit().results:
        assert f"{result.name}: {result.title}" in text
        assert result.knowledge in text
        assert result.reason in text
        assert result.finding in text
    assert "not run: no canaries in this run" in text
    assert "not resolvable: 4 people who did not take part" in text


def test_a_row_has_access_size_figure_chance_reference_and_smallest_effect():
    first = audit_section.overview_row(sample_audit().results[0])
    assert [words(cell) for cell in first] == [
        "identity: Who is it, from the released embedding?",
        "who receives embeddings",
        "found",
        "20 people, 1,012 attempts",
        "top-1: 41.0 % [37.0, 45.0]",
        "5.0 %",
        "61.0 % [57.0, 65.0]",
        "9.1 %",
    ]


def test_without_an_audit_the_page_says_so_and_how_to_make_one():
    text = section(without_figures(sample()), "audit")
    assert "This run was not audited" in text
    assert "fedaffect audit calm-heron-7f3a" in text


def test_what_an_attack_did_not_find_is_never_called_private():
    audit = sample_audit()
    quiet = AuditRecord.model_validate(
        audit.model_dump() | {"results": [r for r in audit.results if r.id in ("a1", "a2")]}
    )
    told = audit_section.sentence(quiet)
    assert "Nothing was detected by these attacks; stronger attacks may exist." in told
    assert "A leak was found by identity, verification." in audit_section.sentence(audit)
    nothing = audit.model_copy(update={"results": audit.results[2:3]})
    assert "0 of 1 attack ran" in audit_section.sentence(nothing)
    assert "So nothing is known from it." in audit_section.sentence(nothing)


def test_a_failed_gate_is_loud():
    audit = sample_audit(lower=6.2)
    text = section(without_figures(sample(), audit), "audit")
    assert "1 gate FAILED" in text
    assert "ABOVE the promise" in text
    title = eps_audit(audit).title
    assert title.endswith("found a 95 % lower bound above the ε that is promised: mechanism")
    row = next(h for h in hazards.hazards(sample(), audit) if h[0].startswith("No audit"))
    assert row[1] == "warn"
    fine = next(h for h in hazards.hazards(sample(), sample_audit()) if h[0].startswith("No audit"))
    assert fine[1] == "pass"


@pytest.mark.parametrize(("strength", "quoted"), [(0.41, "41.0 %"), (0.2, "35.2 %")])
def test_the_figure_to_quote_is_the_strongest_of_run_and_audit(strength, quoted):
    shown = with_strongest(sample(), sample_audit(strength=strength))
    big = section(without_figures(sample(), sample_audit(strength=strength)), "summary")
    assert f"{quoted} [" in big.split("Quote this number")[0].split("strongest fresh attacker")[1]
    assert words(f"{100 * shown.figures.identity_strongest.value:.1f} %") == quoted
    assert shown.no_dp.identity_strongest.value >= sample().no_dp.identity_strongest.value


def test_an_audit_without_headline_or_of_another_kind_changes_no_figure():
    for headline in ("", "membership-loss", "linkability", "nobody"):
        assert with_strongest(sample(), sample_audit(headline=headline)) == sample()
    assert with_strongest(sample(), None) == sample()


class TestMap:
    def test_it_has_every_layer_in_order_and_baselines_apart(self):
        drawing = leakage_map(sample_audit())
        layers = list(dict.fromkeys(row[1] for row in drawing.rows))
        assert layers == [
            "input", "conv_1", "conv_2", "conv_3", "fc_1", "task:stress", "task:identity",
        ]  # fmt: skip
        assert len(drawing.rows) == 4 * 7 + 2
        assert ("linear probe (baseline)", "input") in {row[:2] for row in drawing.rows}
        assert all(words(row[3]) == "5.0 %" for row in drawing.rows)

    def test_only_figures_of_the_same_kind_are_compared(self):
        assert "nats" not in str(leakage_map(sample_audit()).rows)
        assert "nats of identity" in section(page(), "audit")  # in the table of the attack

    def test_the_title_names_the_largest_cell_and_the_best_baseline(self):
        title = words(leakage_map(sample_audit()).title)
        assert title == (
            "Identity is read best at conv_3 (linear discriminant): 41.0 %, chance 5.0 %; "
            "strongest baseline, untrained net (lda) at fc_1: 29.0 %"
        )

    def test_no_layers_no_map(self):
        assert leakage_map(None) is None
        one = {**identity(), "rows": identity()["rows"][:1]}
        values = audit_values() | {"results": [one]}
        assert leakage_map(AuditRecord.model_validate(values)) is None


class TestCurves:
    def test_no_point_below_one_false_alarm(self):
        drawing = membership_roc(sample_audit(people=15), FORMAL)
        least = {"membership-loss": 1 / 300, "membership-rmia": 1 / 15}
        assert {row[0] for row in drawing.rows} == set(least)
        for name, fpr, _ in drawing.rows:
            assert float(fpr) >= least[name] * 0.99

    def test_points_below_are_not_drawn_even_if_recorded(self):
        audit = sample_audit()
        many = [r for r in audit.results if r.id == "a2"]
        low = many[0].model_copy(update={"n_nonmembers": 4})
        drawing = membership_roc(audit.model_copy(update={"results": (low,)}), FORMAL)
        assert drawing is not None
        ticks = re.findall(r">(0\.\d+)</text>", drawing.svg)
        assert min(map(float, ticks)) >= 0.01  # axes end near 1/4 across, 1/20 up

    def test_rates_that_cannot_be_resolved_are_not_zeros(self):
        text = section(page(), "audit")
        assert "1.9 % [0.7, 3.1], chance 1.0 %" in text
        assert "not resolvable (15 non-members)" in text
        assert "not resolvable (300 non-members)" in text

    def test_the_bound_is_drawn_with_a_claim_only(self):
        drawn = "most that the statement allows"
        assert drawn in membership_roc(sample_audit(), FORMAL).svg
        assert drawn not in membership_roc(sample_audit(), NO_DP).svg
        assert "no bound is drawn" in section(
            without_figures(sample(privacy=NO_DP), sample_audit()), "audit"
        )

    def test_nothing_to_draw_is_none(self):
        assert membership_roc(None, FORMAL) is None
        assert membership_roc(sample_audit().model_copy(update={"results": ()}), FORMAL) is None


class TestBounds:
    def test_bound_estimate_and_promise_stand_in_columns_of_their_own(self):
        drawing = eps_audit(sample_audit())
        row = dict(zip(drawing.columns[:2], drawing.rows[0][:2], strict=True))
        assert row == {"Audit": "mechanism", "Lower bound": "4.31"}
        assert drawing.rows[0][5:9] == ("4.97", "9.6", "5.00", "1e-5")
        assert drawing.rows[1][5] == "n/a"  # no estimate is made up from a bound
        assert drawing.rows[0][9:] == ("client", "zero_out", "external", "run")

    def test_large_values_have_plain_numbers_at_their_ticks(self):
        drawing = eps_audit(sample_audit(lower=250.0))
        assert ">100</text>" in drawing.svg
        assert "mathdefault" not in drawing.svg + membership_roc(sample_audit(), FORMAL).svg

    def test_a_lower_bound_is_rounded_down(self):
        assert eps_audit(sample_audit(lower=4.319999)).rows[0][1] == "4.31"

    def test_a_refused_audit_shows_no_bound(self):
        results = tuple(r for r in sample_audit().results if r.id == "e2")
        assert eps_audit(sample_audit().model_copy(update={"results": results})) is None


def test_an_error_rate_is_a_leak_when_it_is_low():
    low = AttackResult.model_validate(sample_audit().results[1].model_dump() | {"finding": ""})
    assert beats_chance("EER", low.figure) is True
    assert beats_chance("top-1", low.figure) is False
    assert audit_section.verdict(low) == "found"


@pytest.mark.parametrize(
    ("metric", "share"),
    [
        ("top-1", True),
        ("top-3", True),
        ("AUC by window", True),
        ("EER", True),
        ("share of guesses that are right", True),
        ("epsilon, lower bound at 95 %", False),
        ("mu (0: members cannot be told from non-members)", False),
        ("nats of identity", False),
        ("d'", False),
        ("PSNR in dB", False),
        ("correlation with the true windows", False),
    ],
)
def test_shares_are_written_in_percent_and_nothing_else_is(metric, share):
    assert is_share(metric) == share
    one = sample_audit().results[0].figure
    assert ("%" in figure(metric, one)) == share
