"""``simulate`` with noise: what is promised, what is charged, and that the key stays secret."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from safetensors import safe_open
from safetensors.numpy import load_file
from simulated import GAUSSIAN, Run, simulated

from fedaffect.verification import verify

TESTED = GAUSSIAN | {"dp.unsafe_test_noise": "engines"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder of its own: one ledger with the runs of this file."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module", autouse=True)
def state(home: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDAFFECT_HOME", str(home))
        yield


@pytest.fixture(scope="module")
def private(state: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return simulated(tmp_path_factory.mktemp("private") / "run", GAUSSIAN)


def tensors(run: Run) -> dict[str, np.ndarray]:
    """Parameters of the released model."""
    loaded: dict[str, np.ndarray] = load_file(run.folder / "model.safetensors")
    return loaded


class TestFormal:
    def test_statement_says_all_that_an_epsilon_needs(self, private: Run) -> None:
        told = json.loads(private.bytes_of("privacy.json"))
        assert told == private.record.model_dump(mode="json")["privacy"]
        assert told["status"] == "FORMAL"
        assert told["eps"] == pytest.approx(5.0, rel=1e-6)
        assert told["eps"] <= told["budget"]["eps"] == 5.0
        assert (told["delta"], told["unit"], told["adjacency"]) == (1e-5, "client", "zero_out")
        assert (told["releases_done"], told["releases_planned"]) == (3, 3)
        assert told["noise_key_kind"] == "secret"
        assert {block["policy"] for block in told["blocks"]} == {"noise"}
        for words in ("eps=5.00", "delta=1e-5", "one client"):
            assert words in told["sentence"]

    def test_epsilon_grows_by_round_to_the_budget(self, private: Run) -> None:
        spent = [r.eps_spent for r in private.record.rounds]
        assert all(s is not None for s in spent)
        assert spent == sorted(set(spent), key=lambda s: s or 0)
        assert spent[-1] == pytest.approx(5.0, rel=1e-6)

    def test_the_released_model_carries_its_guarantee(self, private: Run) -> None:
        with safe_open(private.folder / "model.safetensors", "np") as file:
            about = file.metadata()
        assert (about["privacy_status"], about["unit"]) == ("FORMAL", "client")
        assert float(about["eps"]) == private.record.privacy["eps"]
        assert float(about["delta"]) == 1e-5


class TestLedger:
    def test_every_release_is_charged_before_it_is_made(self, private: Run) -> None:
        terms, *lines = (
            json.loads(x) for x in private.bytes_of("ledger_excerpt.jsonl").splitlines()
        )
        assert (terms["terms"]["eps"], terms["terms"]["delta"]) == (5.0, 1e-5)
        told = [(x["release"], x["state"]) for x in lines]
        assert told == [(i, state) for i in (1, 2, 3) for state in ("intent", "released")]
        assert {x["run"] for x in lines} == {private.record.provenance.run_id}
        for intent, released in zip(lines[::2], lines[1::2], strict=True):
            assert intent["inputs"] == released["inputs"]
            assert (intent["party"], intent["clients"]) == ("server", [0, 1, 2, 3])

    def test_a_new_folder_does_not_begin_a_new_ledger(
        self, private: Run, home: Path, tmp_path: Path
    ) -> None:
        before = (home / "ledger" / "synthetic.jsonl").read_text().splitlines()
        assert set(private.bytes_of("ledger_excerpt.jsonl").decode().splitlines()) <= set(before)
        simulated(tmp_path / "run", GAUSSIAN | {"federation.rounds": 1})
        after = (home / "ledger" / "synthetic.jsonl").read_text().splitlines()
        assert after[: len(before)] == before
        assert len(after) == len(before) + 3  # terms, intent, released

    def test_an_edited_ledger_stops_the_next_run(self, tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
            one = GAUSSIAN | {"federation.rounds": 1}
            simulated(tmp_path / "1", one)
            path = tmp_path / "home" / "ledger" / "synthetic.jsonl"
            path.write_text(path.read_text().replace('"eps": 5.0', '"eps": 0.5'))
            with pytest.raises(Exception, match="ledger") as caught:
                simulated(tmp_path / "2", one)
            assert getattr(caught.value, "code", "") == "E402"
            assert not (tmp_path / "2" / "model.safetensors").exists()

    @pytest.mark.parametrize("changes", [{}, TESTED])
    def test_what_promises_nothing_charges_nothing(
        self, home: Path, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        ledger = home / "ledger" / "synthetic.jsonl"
        before = ledger.read_bytes() if ledger.exists() else b""
        run = simulated(tmp_path / "run", changes | {"federation.rounds": 1})
        assert (ledger.read_bytes() if ledger.exists() else b"") == before
        assert not (run.folder / "ledger_excerpt.jsonl").exists()

    def test_the_noise_key_is_in_no_file(self, private: Run, home: Path) -> None:
        key = (home / "noise.key").read_bytes()
        assert len(key) == 32
        forms = [key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key)]
        forms += [key[::-1], json.dumps(list(key)).encode(), key.hex().upper().encode()]
        files = [p for p in private.folder.rglob("*") if p.is_file()]
        files += [p for p in home.rglob("*") if p.is_file() and p.name != "noise.key"]
        assert len(files) > 10
        for path in files:
            content = path.read_bytes()
            assert not any(form in content for form in forms), path
        assert (home / "noise.key").stat().st_mode & 0o777 == 0o600


class TestVerify:
    def test_a_run_is_what_it_says_and_stays_so_when_its_report_is_written_again(
        self, private: Run, home: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "copy"
        shutil.copytree(private.folder, folder)
        assert [c.failure for c in verify(folder, home)] == [None] * 5
        page = folder / "report.html"
        page.write_text(page.read_text() + "<!-- of another version -->")
        assert [c.name for c in verify(folder, home) if c.failure] == ["files"]
        assert call("report", folder).code == 0
        assert [c.failure for c in verify(folder, home)] == [None] * 5

    def test_writing_the_report_again_hides_no_other_change(
        self, private: Run, home: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "copy"
        shutil.copytree(private.folder, folder)
        (folder / "metrics.json").write_text("{}")
        assert call("report", folder).code == 0
        (failed,) = [c for c in verify(folder, home) if c.failure]
        assert "metrics.json" in str(failed.text)


class TestNoise:
    def test_does_not_come_from_the_training_seed(
        self, private: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "another site"))
        other = simulated(tmp_path / "run", GAUSSIAN)
        mine, theirs = private.record.rounds, other.record.rounds
        assert mine[0].loss == theirs[0].loss  # before any noise, training is the same
        assert mine[1].loss != theirs[1].loss
        assert (
            tensors(other)["linear_1.bias"].tolist() != tensors(private)["linear_1.bias"].tolist()
        )

    def test_of_the_same_sums_is_the_same_so_that_nobody_can_average_it(
        self, private: Run, tmp_path: Path
    ) -> None:
        again = simulated(tmp_path / "again", GAUSSIAN)
        for name, values in tensors(private).items():
            np.testing.assert_array_equal(tensors(again)[name], values)
        other = simulated(tmp_path / "other", GAUSSIAN | {"run.seed": 1})
        assert (
            tensors(other)["linear_1.bias"].tolist() != tensors(private)["linear_1.bias"].tolist()
        )

    def test_of_a_test_key_can_be_repeated_and_promises_nothing(self, tmp_path: Path) -> None:
        runs = [simulated(tmp_path / name, TESTED) for name in "ab"]
        for name, values in tensors(runs[0]).items():
            np.testing.assert_array_equal(tensors(runs[1])[name], values)
        assert runs[0].bytes_of("metrics.json") == runs[1].bytes_of("metrics.json")
        told = runs[0].record.privacy
        assert (told["status"], told["eps"], told["delta"]) == ("NONE", None, None)
        assert told["noise_key_kind"] == "unsafe-test"
        assert all(r.eps_spent is None for r in runs[0].record.rounds)
        other = simulated(tmp_path / "c", TESTED | {"dp.unsafe_test_noise": "another"})
        assert other.bytes_of("metrics.json") != runs[0].bytes_of("metrics.json")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.normalise": "global"}, "global"),
        ({"dp.noise_layers": "task:identity"}, "no finite epsilon"),
        ({"dp.noise_layers": "shared,task:stress"}, "no finite epsilon"),
    ],
)
def test_without_a_promise_no_epsilon_is_shown(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    run = simulated(tmp_path / "run", GAUSSIAN | {"federation.rounds": 1} | changes)
    told = run.record.privacy
    assert (told["status"], told["eps"], told["delta"], told["mu"]) == ("NONE", None, None, None)
    assert words in " ".join([told["sentence"], *told["details"], *told["data_notes"]])
    with safe_open(run.folder / "model.safetensors", "np") as file:
        assert (file.metadata()["privacy_status"], file.metadata()["eps"]) == ("NONE", "None")


@pytest.mark.parametrize("mechanism", ["laplace", "moments"])
def test_other_mechanisms_promise_too(tmp_path: Path, mechanism: str) -> None:
    changes = {"dp.mechanism": mechanism, "dp.eps": 5.0, "federation.rounds": 2}
    told = simulated(tmp_path / "run", changes).record.privacy
    assert (told["status"], told["mechanism"], told["releases_done"]) == ("FORMAL", mechanism, 2)
    assert told["eps"] == pytest.approx(5.0, rel=1e-3)


def test_one_person_in_many_clients_has_a_weaker_guarantee(tmp_path: Path) -> None:
    changes = GAUSSIAN | {"data.partition": "iid", "federation.rounds": 1}
    run = simulated(tmp_path / "run", changes)
    told = run.record.privacy
    dealt = np.array(run.record.data.partition.by_subject)  # (clients, people)
    assert told["person"]["clients_per_subject"] == (dealt > 0).sum(axis=0).max() > 1
    assert told["person"]["subjects_per_client"] == (dealt > 0).sum(axis=1).max() > 1
    assert sum(w.startswith("W120") for w in run.record.warnings) == 2
    person = told["person"]["eps"]
    assert person is None or person > told["eps"]
    assert "W120" in run.bytes_of("report.html").decode()


@pytest.mark.slow
def test_secret_participation_is_recorded_nowhere(tmp_path: Path) -> None:
    changes = {"federation.fraction": 0.5, "federation.sampler": "bernoulli", "dp.eps": 8.0}
    run = simulated(tmp_path / "run", GAUSSIAN | changes)
    assert all((r.clients, r.clients_planned) == (None, None) for r in run.record.rounds)
    assert run.record.privacy["sampling"]["sampler"] == "poisson"
    assert run.record.privacy["status"] == "FORMAL"
