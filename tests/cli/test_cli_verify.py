"""``fedaffect verify`` prints one line a check and exits with what weighs most."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import call, refused
from finished_run import RUN, Finished, finished


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    made = finished(tmp_path)
    monkeypatch.setenv("FEDAFFECT_HOME", str(made.home))
    return made


def results(text: str) -> list[tuple[str, str]]:
    return [(line.split()[1], line.split()[0]) for line in text.splitlines()]


NAMES = ("files", "ledger", "statement", "model", "site")


def test_a_sound_run(run: Finished) -> None:
    said = call("verify", run.folder)
    assert (said.code, said.err) == (0, "")
    assert results(said.out) == [(name, "ok") for name in NAMES]
    document = call("verify", run.folder, "--json").document
    assert document["holds"] is True and document["folder"] == str(run.folder)
    assert [(c["name"], c["result"], c["code"]) for c in document["checks"]] == [
        (name, "ok", None) for name in NAMES
    ]
    assert [c["text"] for c in document["checks"]] == [line[20:] for line in said.out.splitlines()]


def test_a_run_is_found_below_runs(run: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder.parent)
    Path("runs").mkdir()
    run.folder.rename(Path("runs") / RUN)
    assert call("verify", RUN).code == 0


def test_a_changed_file_ends_with_8_and_a_wrong_promise_with_4(run: Finished) -> None:
    run.forge(eps=1.0)
    said = call("verify", run.folder)
    assert said.code == 4
    wrong = ["statement", "model"]
    assert results(said.out) == [(n, "FAILED" if n in wrong else "ok") for n in NAMES]
    what, do = said.err.splitlines()
    assert what.startswith("error E408: the privacy statement states eps 1 ")
    assert do.startswith("  do: ")
    (run.folder / "data_manifest.json").write_text('{"dataset":  "synthetic"}')
    said = call("verify", run.folder, "--json")
    assert said.code == 8
    assert said.document["holds"] is False
    assert [c["code"] for c in said.document["checks"]] == ["E804", None, "E408", "E408", None]
    assert call("verify", run.folder).err.startswith(
        "error E804: run folder: changed: data_manifest.json\n"
    )


def test_what_cannot_be_checked_here_is_said(
    run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "other"))
    said = call("verify", run.folder)
    assert said.code == 0
    assert results(said.out)[-1] == ("site", "skipped")
    assert "not checked here: there is no " in said.out


def test_refusals(tmp_path: Path) -> None:
    assert "has no manifest.json" in refused("E820", "verify", tmp_path)
    assert "missing-run" in refused("E820", "verify", "missing-run")
    assert "RUN" in refused("E200", "verify")
    page = call("verify", "--help").out
    assert "RUN is the folder of a run, or its id below runs/" in page
    assert "--json" in page
