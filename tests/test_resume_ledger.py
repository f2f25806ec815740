"""What is paid for when a killed run goes on, and a ledger that was harmed in between."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from command_line import call
from killed_runs import AT_CLIENTS, CENTRAL, Site

PLACES = {"server": (CENTRAL, "noise.drawn"), "client": (AT_CLIENTS, "round.done")}


class TestLedger:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        return Site(tmp_path)

    @pytest.mark.parametrize(
        ("place", "harm"),
        [
            ("server", "deleted"),
            ("server", "shortened"),
            ("client", "edited"),
            *(
                pytest.param(*case, marks=pytest.mark.slow)
                for case in (
                    *(("server", "edited"), ("server", "begun anew"), ("client", "deleted")),
                    *(("client", "shortened"), ("client", "begun anew")),
                )
            ),
        ],
    )
    def test_a_ledger_that_is_not_whole_stops_the_run(
        self, place: str, harm: str, site: Site
    ) -> None:
        words, point = PLACES[place]
        assert site.begin(words, failpoint=f"{point}:1") == -signal.SIGKILL
        before = site.ledger.read_bytes()
        changed = {
            "edited": before.replace(b'"release": 1', b'"release": 2', 1),
            "shortened": b"".join(before.splitlines(keepends=True)[:-1]),
            "begun anew": b"",
        }
        site.ledger.unlink()
        if harm != "deleted":
            site.ledger.write_bytes(changed[harm])
            site.ledger.chmod(0o600)
        assert site.resume() == 4
        assert "error E402" in site.said
        site.ledger.write_bytes(before)
        site.ledger.chmod(0o600)
        assert site.resume(failpoint="round.done:1") == -signal.SIGKILL  # it goes on

    @pytest.mark.slow
    def test_other_inputs_are_charged_again(self, site: Site) -> None:
        assert site.begin(CENTRAL, failpoint="noise.drawn:2") == -signal.SIGKILL
        (site.home / "noise.key").write_bytes(bytes(range(32)))  # seals the same sum differently
        assert site.spent() == 2
        assert site.resume() == 4  # three releases were planned, and three are paid for
        assert "stopped before round 3 of 3" in site.said
        assert (site.spent(), site.rounds()) == (3, [1, 2])


class TestBudget:
    def test_stops_before_the_first_round_that_is_not_paid_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site = Site(tmp_path)
        words = (*CENTRAL, "-o", "dp.z=2", "--rounds", "100")
        assert site.begin(words) == 4
        affordable = len(site.rounds())
        # mu = sqrt(T) / z: five releases have eps 4.98 at delta 1e-5, six have 5.56
        assert affordable == site.spent() == 5
        told = site.said
        assert "error E401: stopped before round 6 of 100" in told
        assert f"what was trained before that is in {site.folder}" in told
        statement = json.loads(site.bytes_of("privacy.json"))
        assert (statement["status"], statement["releases_done"]) == ("FORMAL", 5)
        assert 4.9 < statement["eps"] <= 5
        assert (site.folder / "report.html").exists()
        monkeypatch.setenv("FEDAFFECT_HOME", str(site.home))
        assert call("verify", site.folder).code == 0
        assert site.resume() == 0
        assert "nothing to do" in site.said

    @pytest.mark.slow
    def test_killed_at_its_end_it_stops_there_again(self, tmp_path: Path) -> None:
        site = Site(tmp_path)
        words = (*CENTRAL, "-o", "dp.z=2", "--rounds", "100")
        assert site.begin(words, failpoint="round.done:5") == -signal.SIGKILL
        assert site.resume() == 4
        assert (site.spent(), len(site.rounds())) == (5, 5)

    def test_without_a_model_for_every_fold_what_there_is_is_kept(self, tmp_path: Path) -> None:
        site = Site(tmp_path)
        words = (*CENTRAL, "-o", "dp.z=2", "--eval", "loso")
        assert site.begin(words) == 4
        assert "stopped before round 3 of 3, fold 2 of 4" in site.said
        assert {"model.safetensors", "privacy.json", "checkpoints"} <= set(os.listdir(site.folder))
        assert not (site.folder / "report.json").exists()
