"""What the study of Benouis et al. 2023 trains, and what it makes of planted figures."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from planted_trials import claim, planted

from fedaffect.outline import outline
from fedaffect.reproduce.benouis2023 import Benouis2023
from fedaffect.reproduce.benouis2023.printed import ALL
from fedaffect.reproduce.setting import Setting
from fedaffect.reproduce.study import Findings, Options
from fedaffect.study_record import TrialRecord, Verdict

STUDY, FULL, QUICK = Benouis2023(), Options(), Options(quick=True)
SETTINGS = {"federated": Setting(0.1), "central": Setting(0.05)}
HEAD = "plain-0.3-task-identity"


def findings(*trials: TrialRecord, options: Options = FULL) -> Findings:
    return STUDY.findings(options, {t.name: t for t in trials})


def verdict(found: Findings, words: str) -> Verdict:
    (one,) = [v for v in found.verdicts if words in v.claim]
    return one


class TestCells:
    def test_every_experiment_of_the_paper_is_there(self) -> None:
        cells = {c.name: c for c in STUDY.cells(FULL, 15, SETTINGS)}
        for mechanism, eps, layers in itertools.product(
            ("laplace", "gaussian1", "gaussian1-as-printed", "gaussian2"),
            (1, 5, 15, 50),
            ("all", "shared", "task"),
        ):
            config = cells[f"{mechanism}-{eps}-{layers}"].config
            dp = (config.dp.mechanism, config.dp.eps_per_round, config.dp.noise_layers)
            assert dp == (f"paper-{mechanism}", eps, layers)
            assert (config.dp.clip, config.dp.paper_records) == (1.0, 1000)
        for sigma, layers in itertools.product((0.1, 0.3, 0.6), ("all", "shared", "task")):
            dp = cells[f"plain-{sigma:g}-{layers}"].config.dp
            assert (dp.mechanism, dp.sigma, dp.noise_layers) == ("paper-noise", sigma, layers)
        for k in (5, 10, 20):
            config = cells[f"clients-{k}"].config
            assert config.federation.clients == k
            assert (config.federation.rounds, config.data.partition) == (40, "iid")
        central = cells["central"]
        assert (central.config.federation.clients, central.config.federation.rounds) == (1, 30)
        assert (central.windows, cells["clients-20"].windows) == (None, 1000)
        assert {c.folds for c in cells.values() if c.config.data.eval == "random"} == {5}
        assert cells["stress-only"].config.model.tasks == ("stress",)
        assert cells["head-kept"].config.dp.blocks == {"task:identity": "keep_local"}

    def test_a_quick_study_is_a_part_of_the_whole(self) -> None:
        quick = {c.name for c in STUDY.cells(QUICK, 8, SETTINGS)}
        whole = [c.name for c in STUDY.cells(FULL, 15, SETTINGS)]
        assert quick < set(whole)
        assert len(whole) == len(set(whole)) == 82

    @pytest.mark.parametrize("options", [FULL, QUICK])
    def test_every_cell_can_be_planned(self, options: Options) -> None:
        for cell in STUDY.cells(options, 8 if options.quick else 15, SETTINGS):
            outline(cell.config)

    def test_as_printed_keeps_the_printed_optimizer_everywhere(self) -> None:
        options = Options(as_printed=True)
        assert STUDY.searches(options) == ()
        for cell in STUDY.cells(options, 15, {}):
            f = cell.config.federation
            assert (f.lr, f.momentum, f.local_epochs, f.optimizer) == (0.0005, 0.0, 1, "sgd")
            assert f.max_grad_norm == "none"

    def test_the_search_never_chooses_the_printed_setting_and_fits_its_purpose(self) -> None:
        for search in STUDY.searches(FULL):
            assert search.printed not in search.candidates
            assert search.printed.lr == 0.0005
        federated, central = STUDY.searches(FULL)
        assert federated.cell.config.federation.clients == 20
        assert central.cell.config.federation.clients == 1
        assert {s.local_epochs for s in central.candidates} == {1}

    def test_a_chosen_setting_is_trained_with_save_where_the_printed_one_is_shown(self) -> None:
        for cell in STUDY.cells(FULL, 15, SETTINGS):
            pooled = cell.config.federation.clients == 1
            expected = 0.0005 if cell.name.startswith("printed") else 0.05 if pooled else 0.1
            assert cell.config.federation.lr == expected

    def test_whole_people_are_no_more_clients_than_people(self) -> None:
        cells = {c.name: c for c in STUDY.cells(FULL, 7, SETTINGS)}
        assert cells["subject"].config.federation.clients == 7


class TestVerdicts:
    def test_a_head_that_falls_while_the_attacker_stays_is_no_privacy(self) -> None:
        found = findings(
            planted("clients-20"),
            planted("head-kept", own=None, fresh=0.88),
            planted(HEAD, own=0.1, fresh=0.9, claimed=claim(None, 49.9)),
        )
        said = verdict(found, "hides identity")
        assert said.agrees == "no"
        assert "90.0 % to 10.0 %" in said.why.replace("\u00a0", " ")
        assert "leaves the attacker 88.0 %" in said.why.replace("\u00a0", " ")
        assert verdict(found, "re-identification").agrees == "no"

    def test_a_head_that_is_never_right_is_limited(self) -> None:
        ruined = planted(HEAD, own=0.0, fresh=0.9, claimed=claim(None, 49.9))
        assert verdict(findings(planted("clients-20"), ruined), "re-identification").agrees == "no"

    def test_an_attacker_who_falls_with_stress_is_no_trade_off(self) -> None:
        ruined = planted(HEAD, stress=0.6, own=0.1, fresh=0.1, claimed=claim(None, 1.0))
        assert verdict(findings(planted("clients-20"), ruined), "hides identity").agrees == "no"
        still = planted(HEAD, claimed=claim(None, 1.0))
        said = verdict(findings(planted("clients-20"), still), "hides identity")
        assert said.agrees == "not comparable"

    def test_where_stress_is_not_learned_nothing_is_kept_or_lost(self) -> None:
        cells = (planted("clients-20", stress=0.52), planted(HEAD, stress=0.52, own=0.1, fresh=0.1))
        found = findings(*cells)
        for words in ("hides identity", "re-identification"):
            assert verdict(found, words).agrees == "not comparable"
            assert "not learned without noise" in verdict(found, words).why
        assert verdict(found, "Federated multitask").agrees == "partly"

    def test_were_the_attacker_to_fall_with_the_head_it_would_agree(self) -> None:
        found = findings(
            planted("clients-20"), planted(HEAD, own=0.1, fresh=0.2, claimed=claim(None, 49.9))
        )
        assert verdict(found, "hides identity").agrees == "yes"
        assert verdict(found, "re-identification").agrees == "partly"

    @pytest.mark.parametrize(
        ("stress", "own", "agrees"),
        [(0.97, 0.93, "yes"), (0.925, 0.885, "yes"), (0.97, 0.5, "partly"), (0.6, 0.5, "no")],
    )
    def test_figures_agree_within_five_points(self, stress: float, own: float, agrees: str) -> None:
        found = findings(planted("clients-20", stress=stress, own=own))
        assert verdict(found, "Federated multitask").agrees == agrees

    def test_a_claim_below_its_worth_is_refused(self) -> None:
        low, high = claim(1.0, 22_181.0), claim(5.0, 3.99)
        cells = ("gaussian1-1-all", "gaussian1-as-printed-5-all")
        both = findings(*(planted(n, claimed=c) for n, c in zip(cells, (low, high), strict=True)))
        assert verdict(both, "(eps, delta)-DP").agrees == "partly"
        assert "22,200" in verdict(both, "(eps, delta)-DP").ours
        assert verdict(
            findings(planted(cells[0], claimed=low)), "(eps, delta)-DP"
        ).agrees == "no"  # fmt: skip

    def test_an_optimizer_that_stays_at_the_majority_class_is_told(self) -> None:
        stuck = findings(planted("printed-federated", stress=0.601, own=0.1))
        assert verdict(stuck, "0.0005").agrees == "no"
        moved = findings(planted("printed-federated", stress=0.9))
        assert verdict(moved, "0.0005").agrees == "partly"

    def test_what_was_not_trained_has_no_verdict(self) -> None:
        assert findings(planted("clients-20")).verdicts
        assert findings().verdicts == ()


class TestPrinted:
    def test_only_what_the_text_prints_stands_as_printed(self) -> None:
        cells = STUDY.cells(FULL, 15, SETTINGS)
        found = findings(*(planted(c.name, claimed=_claim_of(c.name)) for c in cells))
        printed = {p.value for p in ALL}
        marks = [m for f in found.figures for p in f.panels for m in p.marks]
        assert {m.printed for m in marks if m.printed is not None} <= printed
        assert all(m.where for m in marks if m.printed is not None)
        assert [f.name for f in found.figures] == [f"figure-{n}" for n in range(2, 9)]
        assert all(m.figure.chance is not None for m in marks)

    def test_every_printed_figure_is_in_the_table_with_its_place(self) -> None:
        (table,) = [t for t in findings(planted("clients-20")).tables if t.name == "printed"]
        assert len(table.rows) == len(ALL) == 6
        assert all(row[2] and row[3] for row in table.rows)

    def test_the_words_are_those_of_the_paper(self) -> None:
        for p in ALL:
            assert f"{100 * p.value:.0f}%" in p.quote

    def test_a_study_says_how_it_differs(self) -> None:
        quick = findings(planted("clients-10"), options=QUICK)
        assert any("1 of 5 folds" in note for note in quick.notes)
        kept = findings(planted("clients-20"), options=Options(as_printed=True))
        assert any("printed optimizer" in note for note in kept.notes)


def _claim_of(name: str) -> object:
    noised = name.startswith(("plain", "laplace", "gaussian"))
    return claim(None if name.startswith("plain") else 5.0, 1e5) if noised else None


def test_the_study_is_registered_and_its_options_are_paths() -> None:
    from fedaffect import registry

    assert registry.resolve("study", "benouis2023") is Benouis2023
    assert STUDY.config(Options(data="stress_predict", root=Path("x"))).data.root == Path("x")
