from __future__ import annotations

import re

from report_reader import page, section, words
from report_sample import FORMAL, sample

from fedaffect.reports import wording


def test_the_summary_shows_the_pair_with_interval_chance_and_reference():
    text = section("formal", "summary")
    assert "70.2 % [59.2, 81.2] 95 %, 4 people on held-out people" in text
    assert "Identity, strongest fresh attacker (nearest neighbours) 35.2 %" in text
    assert "Without DP 87.1 % [76.1, 98.1]" in text
    assert "Own head (not a privacy metric) 6.7 % [5.9, 7.5], chance 5.0 %" in text
    assert FORMAL["sentence"] in text
    assert "(ε = 5.00, δ = 1e-5), per client" in text


def test_three_conclusions_are_warned_against():
    lines = wording.do_not_conclude(sample())
    assert len(lines) == 3
    shown = section("formal", "summary")
    assert all(words(line) in shown for line in lines)
    assert "A weak attack is not evidence of privacy" in shown


def test_no_epsilon_is_shown_without_dp():
    assert not re.search(r"ε = \d", page("random"))
    assert "No formal guarantee" in section("random", "summary")
    assert "no finite epsilon" in section("partial", "summary")


def test_every_epsilon_stands_with_its_delta_and_unit():
    for case in ("formal", "partial", "audited"):
        shown = [words(m) for m in re.findall(r"ε = [^<]*", page(case))]
        assert shown
        for text in shown:
            assert re.match(r"ε = [\d.,]+, δ = [\de.-]+\),? (per client|per person)", text), text


def test_synthetic_people_are_marked_wherever_results_appear():
    for anchor in ("summary", "data", "utility", "tradeoff", "curves", "attacks"):
        assert "Synthetic people" in section("formal", anchor)
        assert "Synthetic people" not in section("partial", anchor)
    assert "SYNTHETIC people." in words(page("formal").replace("</strong>", ""))
    assert "SIMULATED federation, real recordings" in page("partial")


def test_a_leaking_split_is_marked_in_red_beside_every_result():
    for anchor in ("data", "utility", "attacks"):
        assert "Leaking split." in section("random", anchor)
        assert "Leaking split." not in section("formal", anchor)
    assert "held-out people" not in section("random", "utility")


def test_the_own_head_is_explained_where_a_client_is_a_person():
    text = section("formal", "attacks")
    assert "stays near chance by construction" in text
    assert "the own head reaches 75.2 % [74.4, 76.0], chance 5.0 %" in text
    assert "by construction" not in page("partial")


def test_seen_people_are_not_called_held_out():
    assert "held-out time blocks of people seen in training" in section("blocks", "utility")


def test_the_verdict_follows_the_intervals():
    record = sample()
    assert wording.verdict(record).endswith("but a fresh attacker still recognises people.")

    def shifted(**changes):
        moved = {
            key: getattr(record.figures, key).model_copy(update={"low": low})
            for key, low in changes.items()
        }
        return record.model_copy(update={"figures": record.figures.model_copy(update=moved)})

    nothing = wording.verdict(shifted(stress_balanced_accuracy=0.48, identity_strongest=0.04))
    assert "does not clearly read stress" in nothing
    assert "no attacker tried here clearly recognises" in nothing
    unknown = wording.verdict(shifted(stress_balanced_accuracy=None))
    assert unknown.startswith("Whether the model reads stress above chance cannot be said")


def test_a_warning_stands_once():
    record = sample()
    again = (f"W112 {record.forecast.sentences[0]}", "W130 something else")
    assert wording.warnings(record.model_copy(update={"warnings": again})) == [
        "W130 something else"
    ]


def test_few_people_are_a_limit():
    assert "fewer than ten people" in section("formal", "limits")  # 4 people held out
    assert "fewer than ten people" not in section("random", "limits")  # 24 people


def test_the_configuration_is_shown_without_the_output_folder():
    text = section("formal", "reproduce")
    assert 'partition = "subject"' in text
    assert "/somewhere" not in page("formal")
    assert sample().provenance.config_sha256 in text
