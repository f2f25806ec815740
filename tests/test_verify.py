"""``verify`` finds any changed byte, and a promise that the ledger does not bear out."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from finished_run import FORMAL, NONE, RUN, TERMS, Finished, counted, finished

from fedaffect.errors import StorageError
from fedaffect.privacy.chain import digest
from fedaffect.verification import verify


def outcome(run: Finished) -> dict[str, str | None]:
    """Return name of each check to ``ok``, ``skipped`` or the code of its failure."""
    return {
        c.name: c.failure.code if c.failure else "skipped" if c.skipped else "ok"
        for c in verify(run.folder, run.home)
    }


ALL_OK = dict.fromkeys(("files", "ledger", "statement", "model", "site"), "ok")


def test_a_sound_run_holds(tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert outcome(run) == ALL_OK
    texts = {c.name: c.text for c in verify(run.folder, run.home)}
    assert texts["files"] == "5 files are as manifest.json says"
    assert texts["ledger"] == "7 lines follow each other; 3 releases are paid for"
    assert texts["statement"] == (
        "eps 5 by closed-form Gaussian, eps 5.39559 by RDP at delta 1e-05, as stated"
    )
    assert texts["site"].startswith("the lines of the run are among the 11 of ")


def test_the_manifest_lists_every_file_but_itself_and_locks(tmp_path: Path) -> None:
    run = finished(tmp_path)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["run_id"] == RUN
    assert set(manifest["files"]) == {
        "checkpoints/1.json",
        "data_manifest.json",
        "ledger_excerpt.jsonl",
        "model.safetensors",
        "privacy.json",
    }
    # printf '{}' | sha256sum
    empty_object = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert manifest["files"]["checkpoints/1.json"] == empty_object


@pytest.mark.parametrize(
    "name", ["checkpoints/1.json", "data_manifest.json", "model.safetensors", "privacy.json"]
)
def test_one_changed_byte_is_named(tmp_path: Path, name: str) -> None:
    run = finished(tmp_path)
    content = bytearray((run.folder / name).read_bytes())
    content[-1] ^= 1
    (run.folder / name).write_bytes(content)
    check = verify(run.folder, run.home)[0]
    assert check.failure is not None and check.failure.code == "E804"
    assert check.failure.exit_code == 8
    assert check.text == f"run folder: changed: {name}"


def test_missing_and_unexpected_files_are_named(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (run.folder / "checkpoints" / "1.json").unlink()
    for i in range(7):
        (run.folder / f"new-{i}").touch()
    os.symlink("/etc/hostname", run.folder / "checkpoints" / "link")
    assert verify(run.folder, run.home)[0].text == (
        "run folder: missing: checkpoints/1.json; "
        "unexpected: checkpoints/link, new-0, new-1, new-2, new-3 and 3 more"
    )


def test_a_file_replaced_by_a_link_to_its_copy_is_changed(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (run.folder / "privacy.json").rename(tmp_path / "copy.json")
    os.symlink(tmp_path / "copy.json", run.folder / "privacy.json")
    assert verify(run.folder, run.home)[0].text == "run folder: changed: privacy.json"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run_id": 1}', "[" * 100_000])
def test_a_manifest_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    run = finished(tmp_path)
    (run.folder / "manifest.json").write_text(text)
    assert outcome(run)["files"] == "E804"


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        verify(tmp_path, tmp_path)
    assert caught.value.code == "E820"


class TestModel:
    @pytest.mark.parametrize("field", ["status", "eps", "delta", "unit"])
    def test_metadata_of_another_promise(self, tmp_path: Path, field: str) -> None:
        run = finished(tmp_path)
        run.forge(**{field: "other"})
        assert outcome(run)["model"] == "E408"

    def test_a_broken_header(self, tmp_path: Path) -> None:
        run = finished(tmp_path)
        (run.folder / "model.safetensors").write_bytes(b"\xff" * 100)
        run.forge()
        assert outcome(run) == {**ALL_OK, "model": "E804"}

    def test_without_a_model(self, tmp_path: Path) -> None:
        run = finished(tmp_path)
        (run.folder / "model.safetensors").unlink()
        assert outcome(run)["files"] == "E804"
        run.forge()
        assert outcome(run) == {**ALL_OK, "model": "skipped"}


class TestSite:
    def test_without_the_ledger_it_is_said(self, tmp_path: Path) -> None:
        run = finished(tmp_path)
        other = Finished(run.folder, tmp_path / "elsewhere")
        assert outcome(other) == {**ALL_OK, "site": "skipped"}
        assert verify(other.folder, other.home)[-1].text.startswith("not checked here: ")

    def test_a_cut_ledger(self, tmp_path: Path) -> None:
        run = finished(tmp_path)
        lines = run.ledger.read_text().splitlines(keepends=True)
        run.ledger.write_text("".join(lines[:6]))
        assert outcome(run) == {**ALL_OK, "site": "E402"}

    def test_a_ledger_cut_before_the_head_of_another_run(self, tmp_path: Path) -> None:
        run = finished(tmp_path)
        lines = run.ledger.read_text().splitlines()
        assert "later-run" in lines[-1]
        run.forge(ledger_head=digest(lines[-1]))
        assert outcome(run) == ALL_OK
        run.ledger.write_text("".join(line + "\n" for line in lines[:-1]))
        assert outcome(run) == {**ALL_OK, "site": "E402"}

    def test_an_edited_ledger(self, tmp_path: Path) -> None:
        run = finished(tmp_path)
        run.ledger.write_text(run.ledger.read_text().replace("other-run", "Other-run"))
        assert outcome(run) == {**ALL_OK, "site": "E402"}

    def test_a_ledger_that_knows_more_releases_than_the_folder_tells(self, tmp_path: Path) -> None:
        """A forger drops the last release and states less; the folder alone cannot show it."""
        run = finished(tmp_path)
        run.forge(
            excerpt=run.lines()[:5],
            releases_done=2,
            **counted(TERMS, 2),
        )
        found = outcome(run)
        assert (found["ledger"], found["statement"], found["site"]) == ("ok", "ok", "E402")

    def test_the_ledger_of_another_site(self, tmp_path: Path) -> None:
        run, other = finished(tmp_path / "a"), finished(tmp_path / "b", others=False)
        assert outcome(Finished(run.folder, other.home)) == {**ALL_OK, "site": "E402"}

    @pytest.mark.parametrize("text", ["{}", "[]", "x", '{"dataset": "../synthetic"}'])
    def test_a_data_manifest_that_names_no_data(self, tmp_path: Path, text: str) -> None:
        run = finished(tmp_path)
        (run.folder / "data_manifest.json").write_text(text)
        run.forge()
        assert outcome(run) == {**ALL_OK, "site": "E822"}


def test_a_run_without_dp_promises_nothing(tmp_path: Path) -> None:
    nothing = {**NONE, "mechanism": "none", "releases_done": 0, "noise_key_kind": "none"}
    run = finished(tmp_path, nothing, clients=())
    assert outcome(run) == {**ALL_OK, "site": "skipped"}
    run.forge(eps=1.0)
    assert outcome(run)["statement"] == "E408"
    run.forge(**FORMAL)
    assert outcome(run)["statement"] == "E408"  # and no ledger was charged


def test_a_block_in_the_clear_promises_nothing(tmp_path: Path) -> None:
    clear = replace(TERMS, clear=True)
    run = finished(tmp_path, NONE, clear)
    assert outcome(run) == ALL_OK
    run.forge(**FORMAL)
    assert outcome(run)["statement"] == "E408"
