"""``fedaffect audit``: a real run attacked from the command line, and every way to be refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import TINY, call, refused
from safetensors.numpy import load_file, save_file

import fedaffect
from fedaffect.audit_record import AuditRecord
from fedaffect.home import state_home
from fedaffect.run_folder import write_manifest
from fedaffect.verification import verify

GAUSSIAN = ("--dp", "gaussian", "--eps", "50")
QUICK = ("--only", "linkability,canary", "--quiet")  # one that runs, and one that does not


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited") / "run"
    assert call(*TINY, *GAUSSIAN, "--out", folder).code == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def flat(text: str) -> str:
    """Return ``text`` in one line."""
    return " ".join(text.split())


def without_times(document: Any) -> Any:
    """Return ``document`` without what differs from one audit to the next."""
    if isinstance(document, dict):
        times = {"seconds", "started"}
        return {k: without_times(v) for k, v in document.items() if k not in times}
    return [without_times(v) for v in document] if isinstance(document, list) else document


def test_an_audit_is_written_down_and_the_folder_still_verifies(run: Path) -> None:
    words = ("--only", "canary,identity", "--fail-if", "identity.value>1", "--quiet")
    said = call("audit", run, *words)
    assert said.code == 0, said
    record = AuditRecord.model_validate_json((run / "audit.json").read_bytes())
    assert [r.name for r in record.results] == ["identity", "canary"]
    identity, canary = record.results
    assert identity.status == "done"
    assert identity.figure.value is not None
    assert identity.reference is not None
    assert identity.seconds > 0
    assert (canary.status, record.headline) == ("not_run", "identity")
    assert record.seed == 0
    assert not [c for c in verify(run, state_home()) if c.failure is not None]
    assert "audit.json" in json.loads((run / "manifest.json").read_bytes())["files"]
    for text in (
        *("identity", "not run: no canaries", "<-", f"{run}/audit.json"),
        "passed  fail if identity.value>1",
    ):
        assert text in said.out
    assert max(map(len, said.out.replace(str(run), "RUN").splitlines())) <= 80


def test_the_same_seed_gives_the_same_audit_through_either_door(run: Path) -> None:
    condition = "linkability.value>=0 and linkability.chance<1"
    words = ("--only", "linkability,canary", "--json", "--seed", "7", "--fail-if", condition)
    said = call("audit", run, *words)
    assert said.code == 6
    assert "... linkability (1 of 2)" in said.err  # the document stands alone on stdout
    document = said.document
    assert (document["kind"], document["seed"]) == ("audit", 7)
    assert [gate["passed"] for gate in document["gates"]] == [False]
    assert json.loads((run / "audit.json").read_bytes()) == document
    record = fedaffect.audit(run, only=["canary", "linkability"], fail_if=condition, seed=7)
    assert isinstance(record, fedaffect.AuditRecord)
    again = record.model_dump(mode="json")
    assert without_times(again) == without_times(document) | {"only": ["canary", "linkability"]}


def test_a_failed_gate_of_a_run_named_by_its_id(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "report.html").write_text("edited")  # is made anew
    (run.parent / "runs").mkdir()
    run = run.rename(run.parent / "runs" / "calm-heron-7f3a")
    monkeypatch.chdir(run.parent.parent)
    words = ("--only", "canary", "--quiet", "--fail-if", "canary.value>1")
    said = call("audit", "calm-heron-7f3a", *words)
    assert said.code == 6
    assert "FAILED fail if canary.value>1: cannot be decided, which counts as failed" in flat(
        said.out
    )
    assert said.err.startswith("error E601: fail if canary.value>1: ")
    assert "audit" in (run / "report.html").read_text()
    assert not [c for c in verify(run, state_home()) if c.failure is not None]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("E210", ("--only", "identty")),
        ("E210", ("--only", ",")),
        ("E210", ("--only", "")),
        ("E260", ("--fail-if", "identity.ci_low>>0.3")),
        ("E260", ("--only", "canary", "--fail-if", "identity.ci_low>0.3")),
        ("E201", ("--seed", "one")),
        ("E203", ("--seed", "-1")),
        ("E200", ("--onli", "identity")),
    ],
)
def test_wrong_words_are_refused_before_anything_runs(
    run: Path, code: str, words: tuple[str, ...]
) -> None:
    refused(code, "audit", run, "--quiet", *words)
    assert not (run / "audit.json").exists()


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    refused("E820", "audit", tmp_path / "nowhere", "--quiet")
    (tmp_path / "config.toml").write_text("")  # begun, not finished
    refused("E820", "audit", tmp_path, "--quiet")
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]


def test_a_model_that_was_changed_is_refused(run: Path) -> None:
    path = run / "model.safetensors"
    tensors = load_file(path)
    save_file({name: np.zeros_like(t) for name, t in tensors.items()}, path)
    refused("E804", "audit", run, *QUICK)
    write_manifest(run, json.loads((run / "manifest.json").read_bytes())["run_id"])
    refused("E408", "audit", run, *QUICK)  # the forger forgot what the model states


def test_data_that_changed_are_refused(run: Path) -> None:
    path = run / "data_manifest.json"
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps(manifest | {"fingerprint": "0" * 64}))
    write_manifest(run, json.loads((run / "manifest.json").read_bytes())["run_id"])
    refused("E370", "audit", run, *QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--dp", "none"),
        GAUSSIAN,
        (*GAUSSIAN, "--dp-where", "client"),
        (*GAUSSIAN, "--unit", "window"),
        ("--dp", "paper-gaussian1", "--eps-per-round", "5"),
    ],
)
def test_simulate_audits_its_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = tmp_path / "run"
    said = call(*TINY, *options, "--out", folder, "--audit", "--json")
    assert said.code == 0, said.err
    audit = AuditRecord.model_validate(said.document["audit"])
    by_name = {r.name: r for r in audit.results}
    assert ("refute-sensitivity" in by_name) is ("paper-gaussian1" in options)
    assert by_name["linkability"].status == "done", by_name["linkability"].reason
    assert by_name["mechanism"].status == ("not_run" if "none" in options else "done")
    assert all(r.reason for r in audit.results if r.status != "done")
    assert all(gate.passed for gate in audit.gates)
    assert json.loads((folder / "audit.json").read_bytes()) == said.document["audit"]
    assert not [c for c in verify(folder, state_home()) if c.failure is not None]
