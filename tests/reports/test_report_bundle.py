"""Files of a report: page, card, tables, manifest; an audit that cannot be read is refused."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from functools import cache

import pytest
import yaml
from audit_sample import audit_values, sample_audit
from hypothesis import example, given
from hypothesis import strategies as st
from report_reader import BANNED, page, words
from report_sample import NO_DP, PARTIAL, sample

from fedaffect.atomic_file import write_json_atomic
from fedaffect.errors import StorageError
from fedaffect.reports import json_file
from fedaffect.reports.csv_file import to_csv
from fedaffect.reports.eps_audit import eps_audit
from fedaffect.reports.json_file import load_audit, write_report
from fedaffect.reports.leakage_map import leakage_map
from fedaffect.reports.model_card import model_card
from fedaffect.reports.strongest import with_strongest
from fedaffect.reports.svg import Drawing
from fedaffect.run_folder import file_hashes, write_manifest

RUN = "calm-heron-7f3a"


def drawing(rows):
    return Drawing("x", "", "", "", ("a", "b"), tuple(rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with a manifest, reported once without and once with its audit."""
    at = tmp_path_factory.mktemp("bundle")
    record = sample()
    write_json_atomic(at / "report.json", record.model_dump(mode="json"))
    (at / "figures").mkdir()
    (at / "figures" / "old.csv").write_text("of another report")
    write_manifest(at, RUN)
    write_json_atomic(at / "audit.json", audit_values() | {"schema_version": 1, "kind": "audit"})
    write_report(at, record)
    return at


def test_the_manifest_knows_every_file_that_was_written_and_forgets_what_is_gone(folder):
    hashes = json.loads((folder / "manifest.json").read_text())["files"]
    now = file_hashes(folder)
    assert hashes == {k: v for k, v in now.items() if k != "audit.json"}  # its writer's part
    assert not (folder / "figures" / "old.csv").exists()
    content = (folder / "report.html").read_bytes()
    assert hashes["report.html"] == hashlib.sha256(content).hexdigest()


def test_the_page_is_that_of_record_and_audit(folder):
    assert (folder / "report.html").read_text() == page("audited")


def test_every_figure_has_a_table_with_equal_rows(folder):
    names = {"tradeoff", "card", "breakeven", "partition", "people", "curves", "attacks"}
    names |= {"layers", "roc", "bounds"}
    assert {p.name for p in (folder / "figures").iterdir()} == {f"{n}.csv" for n in names}
    for one in (eps_audit(sample_audit()), leakage_map(sample_audit())):
        text = (folder / "figures" / f"{one.name}.csv").read_text(encoding="utf-8")
        rows = [tuple(row) for row in csv.reader(io.StringIO(text))]
        assert rows[0] == one.columns
        assert rows[1:] == [tuple(c.replace("\u00a0", " ") for c in row) for row in one.rows]


@example([("\x1f=1+1", "\u2003@x")])
@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_a_table_comes_back_and_no_cell_is_a_formula(rows):
    back = list(csv.reader(io.StringIO(to_csv(drawing(rows)), newline="")))
    assert len(back) == 1 + len(rows)
    for read, row in zip(back[1:], rows, strict=True):
        for cell, given_text in zip(read, row, strict=True):
            plain = given_text.replace("\u00a0", " ").replace("\0", "")
            assert cell in (plain, f"'{plain}")
            number = plain.lstrip("+-").replace(",", "").replace(".", "", 1)
            if not number.isdecimal():
                assert cell.strip()[:1] not in tuple("=+-@") or "%" in cell


def test_figures_stay_numbers():
    text = to_csv(drawing([("-1.5", "-16.9\u00a0% [-20.0, 3.0]"), ("=1+1", "-x")]))
    assert text == "a,b\r\n-1.5,\"-16.9 % [-20.0, 3.0]\"\r\n'=1+1,'-x\r\n"


@cache
def card():
    return model_card(with_strongest(sample(), sample_audit()), sample_audit())


class TestCard:
    def test_front_matter_is_that_of_the_hub(self):
        _, front, rest = card().split("---\n", 2)
        values = yaml.safe_load(front)
        assert values["library_name"] == "fedaffect"
        result = values["model-index"][0]["results"][0]
        assert result["metrics"][0] == {
            "type": "balanced_accuracy", "name": "Stress, balanced accuracy", "value": 0.702,
        }  # fmt: skip
        assert result["metrics"][2]["value"] == 0.41
        assert rest.lstrip().startswith("# calm-heron-7f3a")

    def test_it_has_use_data_figures_privacy_attacks_and_limits(self):
        heads = [line for line in card().splitlines() if line.startswith("#")]
        assert heads[1:] == [
            "## Intended use", "## Data", "## Figures", "## Privacy", "## Attacks",
            "## Do not conclude", "## Limits",
        ]  # fmt: skip
        plain = card().replace("\\", "")
        assert "| Identity, strongest fresh attacker | 41.0 % [37.0, 45.0] |" in plain
        assert (
            "differential privacy with respect to adding or removing one client"
            in plain.replace("-", " ")
        )
        assert "> **Synthetic people**" in plain
        assert "linkability: Who sent this upload?" in plain

    def test_every_row_of_a_table_has_as_many_cells_as_its_header(self):
        blocks = [b for b in card().split("\n\n") if b.startswith("|")]
        assert len(blocks) == 2
        for block in blocks:
            counts = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(counts) == 1

    @pytest.mark.parametrize("privacy", [None, PARTIAL, NO_DP])
    def test_banned_words_do_not_occur(self, privacy):
        text = words(model_card(sample(privacy=privacy)).replace("\\", "")).lower()
        assert [w for w in BANNED if w in text] == []


def code_of(folder):
    with pytest.raises(StorageError) as caught:
        load_audit(folder, RUN)
    assert caught.value.exit_code == 8
    assert "\n" not in caught.value.message
    return caught.value.code


def text():
    return sample_audit().model_dump_json()


def test_an_audit_comes_back_and_none_is_none(tmp_path):
    assert load_audit(tmp_path, RUN) is None
    (tmp_path / "audit.json").write_text(text())
    assert load_audit(tmp_path, RUN) == sample_audit()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[: len(t) // 2],
        lambda t: t.replace("131.0", "NaN"),
        lambda t: t.replace("131.0", "1e999"),
        lambda t: t.replace('"schema_version":1', '"schema_version":2'),
        lambda t: t.replace('"headline"', '"haedline"'),
        lambda t: t.replace(RUN, "other-run-0000"),
        lambda t: "[" * 100_000,
        lambda t: "null",
        lambda t: "",
        lambda t: "\udcff",
    ],
)
def test_a_spoilt_audit_is_e823(tmp_path, spoil):
    assert spoil(text()) != text()
    (tmp_path / "audit.json").write_bytes(spoil(text()).encode("utf-8", "surrogateescape"))
    assert code_of(tmp_path) == "E823"


def test_what_is_no_file_or_far_too_large_is_e823(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "audit.json")
    assert code_of(tmp_path) == "E823"
    (tmp_path / "audit.json").unlink()
    (tmp_path / "audit.json").write_text(text())
    monkeypatch.setattr(json_file, "LARGEST_RECORD_BYTES", 1000)
    assert code_of(tmp_path) == "E823"


def test_a_broken_audit_leaves_the_old_page(tmp_path):
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "audit.json").write_text("{}")
    with pytest.raises(StorageError):
        write_report(tmp_path, sample())
    assert (tmp_path / "report.html").read_text() == "old"


def test_tables_are_never_written_through_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.csv").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "figures").symlink_to(elsewhere)
    with pytest.raises(StorageError) as caught:
        write_report(run, sample(rounds=1))
    assert caught.value.code == "E803"
    assert os.listdir(elsewhere) == ["mine.csv"]
