"""``--resume``: the same bits as an uninterrupted run, and everything that must stop it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import call, refused
from interrupted import GAUSSIAN, begun, model_of, run_tiny
from killed_runs import CENTRAL, Site
from tiny import tiny

import fedaffect
from fedaffect.errors import FedaffectError
from fedaffect.run_lock import RunLock
from fedaffect.simulation import simulate


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A private run of three rounds that was interrupted in its second."""
    site = Site(tmp_path_factory.mktemp("interrupted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDAFFECT_HOME", str(site.home))
        return begun(site, GAUSSIAN)


@pytest.fixture
def site(interrupted: Site, tmp_path: Path) -> Site:
    """A copy of it, with its state folder."""
    for name in ("run", "home"):
        shutil.copytree(interrupted.root / name, tmp_path / name)
    return Site(tmp_path)


def refusal(code: str, site: Site, *words: object) -> str:
    """Resume at ``site``, which must be refused; return both lines."""
    return refused(code, "simulate", "--resume", site.folder, "--quiet", *words)


class TestSettings:
    def test_where_it_is_computed_may_change(self, site: Site) -> None:
        said = call("simulate", "--resume", site.folder, "--engine", "local", "--workers", 1,
                    "--quiet", "--json")  # fmt: skip
        assert said.code == 0, said.err
        assert said.document["privacy"]["releases_done"] == 3

    def test_what_is_computed_may_not(self, site: Site) -> None:
        told = refusal("E806", site, "--eps", 1, "-o", "run.seed=9")
        assert "dp.eps was 5.0, is 1.0" in told
        assert "run.seed was 0, is 9" in told

    def test_what_is_the_same_may_be_said_again(self, site: Site) -> None:
        said = call("simulate", "--resume", site.folder, "--eps", 5, "--dry-run")
        assert said.code == 0, said.err
        assert model_of(site, eps=5).shape == model_of(site).shape

    def test_another_configuration_may_not(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text("[dp]\neps = 5\n")
        refusal("E806", site, "--config", tmp_path / "c.toml")
        other = tiny(GAUSSIAN | {"federation.rounds": 3, "federation.lr": 0.2})
        with pytest.raises(FedaffectError, match=r"federation\.lr was not set, is 0\.2"):
            simulate(other, resume=site.folder)

    def test_the_environment_may_not(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FEDAFFECT_DP__CLIP", "0.5")
        assert "dp.clip was 1.0, is 0.5" in refusal("E806", site)

    def test_an_edited_file_is_found(self, site: Site) -> None:
        file = site.folder / "config.toml"
        file.write_text(file.read_text().replace("eps = 5.0", "eps = 9.0"))
        assert "was edited" in refusal("E806", site)

    def test_another_version_is_refused(self, site: Site) -> None:
        file = site.folder / "run.json"
        file.write_text(file.read_text().replace(fedaffect.__version__, "99.0.0"))
        assert "begun by fedaffect 99.0.0" in refusal("E806", site)

    def test_other_code_is_refused(self, site: Site) -> None:
        file = site.folder / "run.json"
        identity = json.loads(file.read_text())
        file.write_text(json.dumps(identity | {"code": "0" * 64}))
        assert "code of fedaffect changed" in refusal("E806", site)

    def test_other_data_are_refused(self, site: Site) -> None:
        file = site.folder / "data_manifest.json"
        manifest = json.loads(file.read_text())
        file.write_text(json.dumps(manifest | {"fingerprint": "0" * 64}))
        said = call("simulate", "--resume", site.folder, "--quiet")
        assert said.code == 3
        assert "error E370: the data changed" in said.err
        assert f"--resume {site.folder}" in said.err
        file.write_text(json.dumps(manifest))
        assert model_of(site).size  # nothing was lost

    def test_checkpoints_of_another_run_are_refused(self, site: Site, tmp_path: Path) -> None:
        other = begun(Site(tmp_path / "other"), GAUSSIAN)
        shutil.rmtree(site.folder / "checkpoints")
        shutil.copytree(other.folder / "checkpoints", site.folder / "checkpoints")
        assert "another run" in refusal("E806", site)

    def test_a_run_without_its_name_is_refused(self, site: Site) -> None:
        (site.folder / "run.json").unlink()
        refusal("E805", site)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_ended_says_how_to_go_on(number: int, code: int, tmp_path: Path) -> None:
    site = Site(tmp_path)
    process = site.start(*CENTRAL, "--rounds", "200", "--out", str(site.folder))
    deadline = time.monotonic() + 60
    while site.released < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == code, site.said
    assert f"go on with:  fedaffect simulate --resume {site.folder}\n" in site.said
    done = site.released
    assert 2 <= done < 200
    assert site.resume(failpoint="round.done:2") == -signal.SIGKILL
    assert site.released > done


class TestFolder:
    def test_a_finished_run_has_nothing_left_to_do(self, tmp_path: Path) -> None:
        site = Site(tmp_path)
        record = simulate(tiny({"federation.rounds": 1, "run.out": site.folder}))
        before = {p: p.read_bytes() for p in site.folder.rglob("*") if p.is_file()}
        said = call("simulate", "--resume", site.folder)
        assert said.code == 0
        assert "nothing to do" in said.out
        assert simulate(resume=site.folder) == record
        assert {p: p.read_bytes() for p in site.folder.rglob("*") if p.is_file()} == before

    def test_a_second_process_is_told_who_has_it(self, site: Site) -> None:
        with RunLock(site.folder):
            said = site.resume(), site.said
        assert said[0] == 8
        assert f"error E807: {site.folder} is in use by pid {os.getpid()}" in said[1]
        assert model_of(site).size  # the lock went with its holder

    @pytest.mark.parametrize("what", ["missing", "empty", "a file"])
    def test_nothing_begun(self, what: str, tmp_path: Path) -> None:
        folder = tmp_path / "last.pt"
        if what == "empty":
            folder.mkdir()
        elif what == "a file":
            folder.write_bytes(b"\x80\x04.")
        told = refused("E805", "simulate", "--resume", folder, "--quiet")
        assert ("safetensors only" in told) == (what == "a file")

    def test_a_damaged_checkpoint_is_passed_over_with_a_word(self, tmp_path: Path) -> None:
        whole = Site(tmp_path / "whole")
        expected = run_tiny(whole, {"federation.rounds": 3})
        site = begun(Site(tmp_path), {}, after=3)
        (site.folder / "checkpoints" / "fold-0-round-2.safetensors").write_bytes(b"half")
        told: list[str] = []
        assert np.array_equal(model_of(site, told=told), expected)
        assert [t for t in told if "fold-0-round-2.safetensors is damaged" in t]
        assert site.rounds() == [1, 2, 3]

    def test_rounds_that_the_record_lost_are_missed(self, site: Site) -> None:
        (site.folder / "rounds.jsonl").write_text("")
        assert "rounds.jsonl lacks rounds" in refusal("E805", site)

    def test_a_folder_that_was_never_begun_is_used_again(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        with RunLock(folder):  # what a process leaves that is killed in its first second
            (folder / ".probe").touch()
            (folder / ".config.toml.0123abcd.tmp").write_bytes(b"[da")
        run_tiny(Site(tmp_path), {"federation.rounds": 1})
        assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == [".lock"]

    def test_a_hidden_file_of_the_user_is_not_ours(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / ".notes.tmp").write_text("mine")
        refused("E801", "simulate", "--engine", "local", "--quiet", "--out", tmp_path / "run")
        assert (tmp_path / "run" / ".notes.tmp").read_text() == "mine"
