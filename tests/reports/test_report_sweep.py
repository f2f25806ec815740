"""The pages of sweeps and comparisons keep the rules of every report."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from report_reader import Reader, words
from report_sample import sample
from sweep_sample import PAPER, cell, of_identity, share, swept, three_settings

from fedaffect.atomic_file import write_json_atomic
from fedaffect.reports.compare_page import render_comparison
from fedaffect.reports.sweep_page import render_sweep
from fedaffect.sweeping.compare import compare
from fedaffect.sweeping.tradeoff import with_tradeoff

SPENT = ("Of 2 private runs of this sweep on synthetic, 2 have spent (eps=7.26, delta=2e-5).",)
MARKUP = '<script>alert("x")</script><img src=x onerror=y>'


def sweep_page() -> str:
    failed = (
        three_settings()
        .cells[0]
        .model_copy(
            update={
                "name": "7-failed",
                "state": "failed",
                "figures": None,
                "error": ("E803", f"disk {MARKUP}", "free some space"),
            }
        )
    )
    hostile = cell(8, "no DP", 0, share(0.7), of_identity(0.2), dp__eps=MARKUP)
    hostile = hostile.model_copy(update={"setting": MARKUP})
    return render_sweep(with_tradeoff(swept(*three_settings().cells, failed, hostile), SPENT))


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("a", "b"):
        record = sample().model_dump(mode="json")
        record["privacy"] |= {
            "stopped": None,
            "paper_claim": None,
            "true_value_of_paper_claim": None,
        }
        record["provenance"]["run_id"] = name
        record["provenance"]["config"]["data"]["name"] = name + MARKUP
        (folder / name).mkdir()
        write_json_atomic(folder / name / "report.json", record)
    comparison = render_comparison(compare([folder / "a", folder / "b"]))
    return {"sweep": sweep_page(), "comparison": comparison}


@pytest.mark.parametrize("name", ["sweep", "comparison"])
def test_the_page_is_one_file_that_loads_and_runs_nothing(pages, name):
    text = pages[name]
    assert len(text.encode()) < 300_000
    assert not re.search(r"https?://|<script|@import|<link|<iframe|<img", text)
    reader = Reader(text)
    for element in reader.elements:
        assert not any(key.startswith("on") or key == "src" for key in element["attrs"])
    policy = next(m for m in reader.all("meta") if "http-equiv" in m["attrs"])["attrs"]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.mark.parametrize("name", ["sweep", "comparison"])
def test_headings_tables_ids_and_links_are_in_order(pages, name):
    reader = Reader(pages[name])
    levels = [int(e["tag"][1]) for e in reader.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert len(reader.all("table")) == len(reader.all("caption"))
    assert all("scope" in e["attrs"] for e in reader.all("th"))
    ids = [e["attrs"]["id"] for e in reader.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    assert all(e["attrs"]["href"].removeprefix("#") in ids for e in reader.all("a"))


def test_the_figures_and_failures_of_a_sweep_are_told():
    said = words(Reader(sweep_page()).all("body")[0]["text"])
    assert "SYNTHETIC people" in said
    assert "1 cell without a result" in said
    assert "85.0 % [75.0, 95.0]; seeds 80.0 to 90.0 %" in said
    assert SPENT[0] in said
    assert "7-failed: E803 disk" in said
    assert "chance 10.0 %" in said


def test_the_claim_of_the_paper_stands_beside_its_worth():
    only = swept(cell(1, "eps=9", 0, share(0.6), of_identity(0.9), PAPER, dp__eps="9"))
    reader = Reader(render_sweep(with_tradeoff(only, ())))
    cells = [words(e["text"]) for e in reader.all("td")]
    assert "no finite value" in cells
    assert "9,000,000,000" in " ".join(cells)
    assert "Larger is better" in words(reader.all("body")[0]["text"])


def test_equal_sweeps_give_equal_pages():
    assert sweep_page() == sweep_page()
