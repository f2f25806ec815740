"""``fedaffect reproduce`` as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call, refused
from tiny_study import TinyStudy

from fedaffect import registry


@pytest.fixture
def tiny_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDIES, "tiny", f"{TinyStudy.__module__}:TinyStudy")


def test_a_study_prints_its_verdicts_and_where_its_files_are(tmp_path: Path, tiny_study) -> None:
    out = tmp_path / "s"
    said = call("reproduce", "tiny", "--quick", "--as-printed", "--jobs", "1", "--out", out)
    assert said.code == 0, said
    assert "tiny on SYNTHETIC people: quick: 1 of 2 cells, 1 seed, as printed" in said.out
    assert "no         It learns (IV)" in said.out
    assert f"{out}/study.html" in said.out
    assert "1/1  no noise" in said.err
    again = call("reproduce", "tiny", "--resume", out, "--jobs", "1", "--json")
    assert again.document["cells_done"] == 1
    assert "It learns" in again.err
    assert again.document["trials"] == json.loads((out / "study.json").read_text())["trials"]


def test_a_dry_run_names_every_cell_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = call("reproduce", "benouis2023", "--quick", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1] == "25 cells"
    assert list(tmp_path.iterdir()) == []
    document = call("reproduce", "benouis2023", "--dry-run", "--json").document
    assert len(document["cells"]) == 82
    assert document["cells"][0]["config"]["federation"]["clients"] == 1


def test_wrong_input_is_refused_in_two_lines(tmp_path: Path) -> None:
    name = ("reproduce", "benouis2023")
    assert "did you mean benouis2023?" in refused("E210", "reproduce", "benouis2032")
    assert "E210: study 'benouis2032' is not known" in refused("E210", "reproduce", "benouis2032")
    assert "did you mean wesad?" in refused("E210", *name, "--data", "wesat")
    refused("E215", *name, "--data", "wesad")
    refused("E215", *name, "--data-root", tmp_path)
    refused("E320", *name, "--data", "wesad", "--data-root", tmp_path)
    refused("E340", *name, "--data", "stress_predict", "--data-root", tmp_path / "none")
    refused("E201", *name, "--seeds", "two")
    refused("E203", *name, "--seeds", "0")
    refused("E203", *name, "--seeds", "101")
    refused("E203", *name, "--jobs", "0")
    refused("E840", *name, "--resume", tmp_path)
    refused("E841", *name, "--resume", tmp_path, "--out", tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    refused("E801", *name, "--out", tmp_path / "full")
    refused("E200", "reproduce")
    refused("E200", *name, "--quik")


def test_the_help_is_quick_and_names_every_option() -> None:
    page = call("reproduce", "--help").out
    for option in (
        *("--quick", "--data", "--data-root", "--as-printed", "--seeds", "--jobs", "--out"),
        *("--resume", "--dry-run", "--json", "--quiet"),
    ):
        assert option in page


@pytest.mark.slow
def test_a_study_that_is_killed_goes_on_without_losing_a_cell(tmp_path: Path) -> None:
    """A real process, a real end: SIGKILL after the first result."""
    out, cells = tmp_path / "s", tmp_path / "s" / "cells"
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from fedaffect import registry;"
        "registry.STUDIES['tiny'] = 'tiny_study:TinyStudy';"
        "from fedaffect.cli import main; main(sys.argv[2:])"
    )
    here = str(Path(__file__).parent)
    study = ("reproduce", "tiny")

    def begin(*more: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", script, here, *study, *more, "--jobs", "1"]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    first = begin("--as-printed", "--out", str(out))
    until = time.monotonic() + 240
    while not list(cells.glob("plain-*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    (plain,) = cells.glob("plain-*.json")
    before = plain.stat().st_mtime_ns
    second = begin("--resume", str(out), "--json")
    document = json.loads(second.communicate(timeout=240)[0])
    assert second.returncode == 0
    assert plain.stat().st_mtime_ns == before
    assert [t["name"] for t in document["trials"]] == ["plain", "noised"]
