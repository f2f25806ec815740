"""Every run on public weights stands beside those weights alone."""

from __future__ import annotations

from pathlib import Path

from command_line import TINY, call
from tiny import tiny

from fedaffect.reports.html_page import render_html
from fedaffect.reports.json_file import load_record
from fedaffect.simulation import simulate

HEAD = {"model.release": "head", "federation.rounds": 1, "run.reference": True}


def test_a_run_that_learns_nothing_is_public_only(tmp_path: Path) -> None:
    still = {"federation.lr": 1e-12, "data.partition": "iid", "run.out": tmp_path / "run"}
    record = simulate(tiny(HEAD | still))
    assert record.public_only is not None
    assert record.public_only.stress_balanced_accuracy == record.figures.stress_balanced_accuracy
    assert record.public_only.identity_attacks == record.figures.identity_attacks
    kept = load_record(tmp_path / "run")
    assert kept.public_only == record.public_only
    page = render_html(kept)
    assert ">Public weights only</th>" in page


def test_other_runs_have_no_such_column(tmp_path: Path) -> None:
    said = call(*TINY, "--release", "head", "--rounds", "1", "--json", "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert said.document["public_only"] is None  # --no-reference
    assert said.document["release"]["released"] == 9
