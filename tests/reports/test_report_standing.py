"""Marks on every section, leakage checks, hazards and cost by person."""

from __future__ import annotations

import numpy as np
import pytest
from audit_sample import sample_audit
from report_reader import Reader, without_figures, words
from report_sample import FORMAL, NO_DP, PARTIAL, sample

from fedaffect.reports import hazards, people, split_checks, standing

SEEDED = {**FORMAL, "status": "NONE", "noise_key_kind": "unsafe-test", "eps": None}
STOPPED = {**FORMAL, "stopped": "release 13 would exceed the budget", "releases_done": 12}


def cut(rounds: int, **options):
    """A run of 40 planned rounds that ended after ``rounds``."""
    record = sample(**options)
    return record.model_copy(update={"rounds": record.rounds[:rounds]})


class TestMarks:
    def test_a_whole_run_of_real_people_has_none(self):
        assert standing.marks(sample(synthetic=False)) == ()

    @pytest.mark.parametrize(
        ("record", "mark"),
        [
            (sample(), "Synthetic people"),
            (cut(12, synthetic=False), "Interrupted at round 12 of 40"),
            (cut(12, synthetic=False, privacy=STOPPED), "Interrupted at round 12 of 40"),
            (cut(52, synthetic=False, folds=2), "Interrupted at round 12 of 40, fold 2 of 2"),
            (cut(0, synthetic=False), "Interrupted at round 0 of 40"),
            (sample(synthetic=False, privacy=SEEDED), "Seeded noise: no guarantee"),
        ],
    )
    def test_each_mark_stands_on_every_section(self, record, mark):
        assert mark in standing.marks(record)
        sections = Reader(without_figures(record)).all("section")
        assert len(sections) >= 14
        for one in sections:
            assert mark in words(one["text"]), one["attrs"]["id"]

    def test_marks_add_up(self):
        record = cut(3, privacy=SEEDED)
        assert standing.marks(record) == (
            "Synthetic people", "Interrupted at round 3 of 40", "Seeded noise: no guarantee",
        )  # fmt: skip

    def test_canaries_are_told(self):
        record = sample(synthetic=False)
        config = {**record.provenance.config, "audit": {"canaries": 100}}
        told = record.provenance.model_copy(update={"config": config})
        assert standing.marks(record.model_copy(update={"provenance": told})) == (
            "With 100 canary clients",
        )


class TestSplit:
    def test_a_clean_split_passes_what_it_can(self):
        results = [result for _, result, _ in split_checks.split_checks(sample())]
        assert results == ["pass", "pass", "pass", "pass", "warn", "pass"]  # 4 tested people

    def test_random_windows_warn(self):
        checks = split_checks.split_checks(sample(spec="random"))
        assert [result for _, result, _ in checks][:3] == ["warn", "warn", "warn"]
        assert checks[0][2] == "windows overlap across the split"
        assert checks[2][2] == "every tested person was seen in training, at other times"

    def test_a_gap_shorter_than_a_window_warns(self):
        record = sample()
        split = record.data.split.model_copy(update={"smallest_gap_s": 59.0})
        data = record.data.model_copy(update={"split": split})
        assert split_checks.split_checks(record.model_copy(update={"data": data}))[1][1] == "warn"


class TestHazards:
    def status(self, record, what, audit=None):
        return {name: status for name, status, _ in hazards.hazards(record, audit)}[what]

    def test_every_hazard_has_a_known_status_and_a_reason(self):
        for privacy in (FORMAL, PARTIAL, NO_DP, SEEDED, {}):
            found = hazards.hazards(sample(privacy={**NO_DP, **privacy}), sample_audit())
            assert len({what for what, _, _ in found}) == len(found) >= 15
            assert {status for _, status, _ in found} <= {"pass", "warn", "not applicable"}
            assert all(reason for _, _, reason in found)

    def test_an_empty_statement_passes_nothing_that_it_could_have_promised(self):
        record = sample().model_copy(update={"privacy": {}})
        passed = {what for what, status, _ in hazards.hazards(record) if status == "pass"}
        assert passed == {"Scaling of features releases nothing"}

    @pytest.mark.parametrize(("eps", "status"), [(4.99, "pass"), (10.0, "pass"), (10.01, "warn")])
    def test_the_size_of_eps(self, eps, status):
        assert self.status(sample(privacy={**FORMAL, "eps": eps}), "Size of ε") == status

    def test_delta_against_the_number_of_units(self):
        assert self.status(sample(), "Size of δ") == "pass"
        assert self.status(sample(privacy={**FORMAL, "delta": 0.05}), "Size of δ") == "warn"

    def test_the_unit_is_a_person_only_if_a_client_is_one(self):
        what = "The unit of privacy is a person"
        assert self.status(sample(), what) == "pass"
        assert self.status(sample(partition="iid"), what) == "warn"
        assert self.status(sample(privacy={**FORMAL, "unit": "window"}), what) == "warn"

    def test_trust_key_and_audit(self):
        trust = "Nobody has to be trusted with raw updates"
        assert self.status(sample(), trust) == "warn"
        assert self.status(sample(privacy={**FORMAL, "where": "client"}), trust) == "pass"
        key = "Noise is secret and is charged before it is drawn"
        assert self.status(sample(privacy={**FORMAL, "ledger_head": "ab"}), key) == "pass"
        assert self.status(sample(), key) == "warn"
        assert self.status(sample(privacy=SEEDED), key) == "warn"
        assert self.status(sample(), "The claim was attacked") == "warn"
        assert self.status(sample(), "The claim was attacked", sample_audit()) == "pass"


class TestCost:
    def test_the_worst_tenth_is_the_mean_of_the_lowest(self):
        record = sample(spec="blocks")
        scores = sorted(
            p.stress_balanced_accuracy
            for p in record.figures.per_person
            if p.stress_balanced_accuracy is not None
        )
        assert len(scores) == 23
        found = people.worst_served(record.figures, seed=0)
        assert found.value == pytest.approx(np.mean(scores[:3]))  # a tenth of 23, rounded up
        assert found.low <= found.value <= found.high
        assert found.n_people == 23

    def test_changes_are_told_against_the_same_person(self):
        record = sample()
        rows = {row[0]: row for row in people.cost_rows(record)}
        assert rows["People who lose against no DP"][1] == "4 of 4"
        assert rows["Median change"][1] == "-16.9 points"  # 0.702 against 0.871
        assert "16.9 points" in people.cost_sentence(record)

    def test_nobody_with_both_classes_is_no_zero(self):
        record = sample(spec="blocks")
        none = tuple(
            p.model_copy(update={"stress_balanced_accuracy": None})
            for p in record.figures.per_person
        )
        figures = record.figures.model_copy(update={"per_person": none})
        assert people.worst_served(figures, 0).value is None
        rows = people.cost_rows(record.model_copy(update={"figures": figures}))
        assert rows[1][1] == "n/a (nobody with windows of both classes)"

    def test_without_a_reference_or_noise_nothing_is_compared(self):
        assert people.cost_sentence(sample(privacy=NO_DP)).startswith("No privacy noise")
        alone = sample().model_copy(update={"no_dp": None})
        assert people.cost_sentence(alone).startswith("Without a reference run")
        assert len(people.cost_rows(alone)) == 2
