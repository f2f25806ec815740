"""``simulate`` from end to end, without noise: what is written, and that it can be repeated."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from simulated import GAUSSIAN, Run, simulated
from tiny import tiny

import fedaffect
from fedaffect.build import build
from fedaffect.config_sources import resolve
from fedaffect.errors import StorageError, UsageError
from fedaffect.outline import outline
from fedaffect.record import RoundRecord, RunRecord
from fedaffect.reports.json_file import load_record

FILES = {
    "config.toml",
    "env.json",
    "data_manifest.json",
    "partition.json",
    "rounds.jsonl",
    "privacy.json",
    "metrics.json",
    "model.safetensors",
    "report.json",
    "report.html",
    "MODEL_CARD.md",
    "figures",
    "run.json",
    "checkpoints",
    "manifest.json",
    ".lock",
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return simulated(tmp_path_factory.mktemp("plain") / "run")


class TestFolder:
    def test_holds_the_documented_files_for_the_owner_alone(self, plain: Run) -> None:
        assert {p.name for p in plain.folder.iterdir()} == FILES
        assert plain.folder.stat().st_mode & 0o777 == 0o700
        assert plain.record.folder == plain.heard.planned_folder == str(plain.folder)

    def test_the_record_comes_back_equal(self, plain: Run) -> None:
        assert load_record(plain.folder) == plain.record
        assert RunRecord.model_validate_json(plain.record.model_dump_json()) == plain.record

    def test_rounds_are_one_line_each(self, plain: Run) -> None:
        lines = plain.bytes_of("rounds.jsonl").decode().splitlines()
        assert tuple(RoundRecord.model_validate_json(line) for line in lines) == plain.record.rounds
        assert [r.round for r in plain.record.rounds] == [1, 2, 3]
        assert plain.heard.rounds == [("run", 1), ("run", 2), ("run", 3)]
        assert all(r.clients == r.clients_planned == 4 for r in plain.record.rounds)

    def test_the_configuration_repeats_the_run(self, plain: Run) -> None:
        again, _ = resolve({}, (), plain.folder / "config.toml", {})
        resolved = outline(tiny({"federation.rounds": 3, "data.eval": "unseen"})).config
        assert again == resolved
        assert plain.record.provenance.config == resolved.model_dump(
            mode="json", exclude={"run": {"out"}}
        )

    def test_the_partition_accounts_for_every_window(self, plain: Run) -> None:
        (fold,) = json.loads(plain.bytes_of("partition.json"))
        dealt = [window for client in fold["clients"] for window in client]
        used = [*dealt, *fold["stress_test"], *fold["identity_test"]]
        assert len(used) == len(set(used))  # no window is trained on and tested on
        data = plain.record.data
        assert len(dealt) == data.split.windows_train
        assert max(used) < data.windows
        sizes = [sum(row) for row in data.partition.by_subject]
        assert sizes == [len(client) for client in fold["clients"]]
        assert sizes == [sum(row) for row in data.partition.by_stress]

    def test_manifest_and_environment_name_no_place_of_this_machine(self, plain: Run) -> None:
        manifest = json.loads(plain.bytes_of("data_manifest.json"))
        assert manifest["synthetic"] is True
        assert manifest["fingerprint"] == plain.record.data.fingerprint
        environment = json.loads(plain.bytes_of("env.json"))
        assert environment == plain.record.provenance.environment
        assert environment["packages"]["flwr"].startswith("1.")
        home = os.environ["FEDAFFECT_HOME"]
        for name in FILES - {"report.json", "report.html", "checkpoints", "figures"}:
            content = plain.bytes_of(name).decode("utf-8", "replace")
            assert str(plain.folder) not in content
            assert home not in content
        assert home not in plain.bytes_of("report.html").decode()

    def test_the_model_is_the_one_that_was_tested(self, plain: Run) -> None:
        experiment = build(tiny({"federation.rounds": 3}))
        network = experiment.factory.build().eval()
        with safe_open(plain.folder / "model.safetensors", "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = file.metadata()
        network.load_state_dict(tensors)
        assert about["run_id"] == plain.record.provenance.run_id
        assert (about["privacy_status"], about["eps"]) == ("NONE", "None")
        fold = experiment.folds[0]
        rows = np.flatnonzero(fold.identity_test)
        with torch.inference_mode():
            said = network({"features": torch.tensor(fold.features[rows], dtype=torch.float64)})
        right = said["identity"].argmax(1).numpy() == fold.identity[rows]
        assert plain.record.figures.identity_own_head.value == pytest.approx(right.mean())

    def test_an_empty_folder_may_be_named(self, tmp_path: Path) -> None:
        run = simulated(tmp_path, {"federation.rounds": 1})
        assert {p.name for p in run.folder.iterdir()} == FILES
        with pytest.raises(StorageError, match="not empty"):
            simulated(tmp_path, {"federation.rounds": 1})

    def test_without_a_name_runs_gets_a_new_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        record = fedaffect.simulate(tiny({"federation.rounds": 1}))
        assert record.folder == f"runs/{record.provenance.run_id}"
        assert load_record(tmp_path / record.folder) == record

    def test_a_run_that_ends_before_it_begins_leaves_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="pieces of consecutive windows"):
            simulated(tmp_path / "other", {"data.partition": "shards", "federation.clients": 500})
        assert not (tmp_path / "other").exists()


class TestRepetition:
    def test_equal_seeds_give_equal_bytes(self, plain: Run, tmp_path: Path) -> None:
        again = simulated(tmp_path / "again")
        assert again.bytes_of("metrics.json") == plain.bytes_of("metrics.json")
        assert again.record.provenance.run_id != plain.record.provenance.run_id
        one, other = (
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for run in (plain, again)
            for line in run.bytes_of("rounds.jsonl").splitlines()[-1:]
        )
        assert one == other

    def test_another_seed_gives_another_model(self, plain: Run, tmp_path: Path) -> None:
        other = simulated(tmp_path / "other", {"run.seed": 1})
        assert other.bytes_of("metrics.json") != plain.bytes_of("metrics.json")
        assert other.record.rounds[0].loss != plain.record.rounds[0].loss

    def test_metrics_hold_no_time_and_no_name(self, plain: Run) -> None:
        metrics = json.loads(plain.bytes_of("metrics.json"))
        assert set(metrics) == {"figures", "no_dp", "iid_reference", "public_only"}
        assert metrics["figures"] == plain.record.model_dump(mode="json")["figures"]

    def test_global_generators_are_left_alone(self, tmp_path: Path) -> None:
        before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
        simulated(tmp_path / "run", {"federation.rounds": 1})
        assert torch.equal(torch.random.get_rng_state(), before[0])
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]


COMPARED = {"run.reference": True, "run.seed": 41, "federation.rounds": 2}


class TestReferences:
    def test_are_trained_once_and_remembered(self, tmp_path: Path) -> None:
        first = simulated(tmp_path / "1", COMPARED | GAUSSIAN)
        names = ["run", "reference without DP", "IID reference without DP"]
        assert first.heard.trainings == names
        assert first.heard.rounds == [(name, i) for name in names for i in (1, 2)]
        second = simulated(tmp_path / "2", COMPARED | GAUSSIAN | {"dp.eps": 1.0})
        assert second.heard.trainings == ["run"]
        assert second.record.no_dp == first.record.no_dp
        assert second.record.iid_reference == first.record.iid_reference
        assert first.record.no_dp is not None

        plain = simulated(tmp_path / "3", COMPARED)  # this run is the reference without DP
        assert plain.heard.trainings == ["run"]
        assert plain.record.no_dp is None
        assert plain.record.figures == first.record.no_dp
        assert plain.record.iid_reference == first.record.iid_reference

        dealt = simulated(tmp_path / "4", COMPARED | {"data.partition": "iid"})
        assert dealt.record.figures == first.record.iid_reference
        assert (dealt.record.no_dp, dealt.record.iid_reference) == (None, None)

    def test_rounds_of_references_are_not_rounds_of_the_run(self, tmp_path: Path) -> None:
        run = simulated(tmp_path / "1", COMPARED | {"run.seed": 42})
        assert len(run.bytes_of("rounds.jsonl").splitlines()) == len(run.record.rounds) == 2

    def test_none_is_trained_where_none_is_wanted(self, plain: Run) -> None:
        assert plain.heard.trainings == ["run"]
        assert (plain.record.no_dp, plain.record.iid_reference) == (None, None)


class TestEvaluation:
    def test_loso_tests_everyone_once_as_a_stranger(self, tmp_path: Path) -> None:
        run = simulated(tmp_path / "run", {"data.eval": "loso", "federation.rounds": 1})
        assert run.record.data.split.folds == len(run.record.rounds) == 5
        assert [r.fold for r in run.record.rounds] == [0, 1, 2, 3, 4]
        people = {p.person for p in run.record.figures.per_person}
        assert people == set(run.record.data.partition.subjects)
        assert run.record.figures.stress_accuracy.n_people == 5

    def test_random_windows_are_said_to_leak(self, tmp_path: Path) -> None:
        run = simulated(tmp_path / "run", {"data.eval": "random", "federation.rounds": 1})
        assert run.record.data.split.leaks_overlap
        assert any(w.startswith("W121 random windows overlap") for w in run.record.warnings)
        assert "W121" in run.bytes_of("report.html").decode()

    def test_blocks_hold_nobody_out(self, tmp_path: Path) -> None:
        run = simulated(tmp_path / "run", {"data.eval": "blocks", "federation.rounds": 1})
        split = run.record.data.split
        assert (split.people_unseen, split.leaks_overlap) == (0, False)
        assert split.smallest_gap_s == 60.0
        assert all(p.seen_in_training for p in run.record.figures.per_person)

    def test_one_person_cannot_be_told_from_others(self, tmp_path: Path) -> None:
        changes = {"federation.clients": 1, "synthetic.people": 2, "data.eval": "unseen"}
        run = simulated(tmp_path / "run", changes)
        figures = run.record.figures
        assert figures.identity_strongest.value is None
        assert figures.identity_strongest.note == "n/a (one person)"
        assert figures.identity_attacks == {}
        assert [r.identity_probe for r in run.record.rounds] == [None] * 3
        assert b"n/a (one person)" in run.bytes_of("report.html")

    def test_without_dp_nobody_is_warned_of_a_stated_epsilon(self, tmp_path: Path) -> None:
        plain = simulated(tmp_path / "plain", {"data.partition": "iid"})
        assert not [w for w in plain.record.warnings if w.startswith("W120")]


class TestPython:
    def test_the_same_words_as_on_the_command_line(self, tmp_path: Path) -> None:
        record = fedaffect.simulate(
            clients=3,
            rounds=1,
            dp="gaussian",
            eps=5,
            engine="local",
            reference=False,
            out=tmp_path / "run",
        )
        assert isinstance(record, fedaffect.RunRecord)
        assert record.privacy["status"] == "FORMAL"
        config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
        assert config["federation"]["clients"] == 3

    def test_a_misspelt_word_is_corrected(self) -> None:
        with pytest.raises(UsageError, match="option 'clinets' is not known") as caught:
            fedaffect.simulate(clinets=3)
        assert "did you mean clients?" in caught.value.do

    def test_a_configuration_and_options_are_too_much(self) -> None:
        with pytest.raises(TypeError, match="not both"):
            fedaffect.simulate(fedaffect.RunConfig(), clients=3)

    def test_no_module_hides_a_public_name(self) -> None:
        here = {p.stem for p in Path(fedaffect.__file__).parent.iterdir()}
        assert not here & set(fedaffect.__all__)

    def test_public_names(self) -> None:
        assert fedaffect.__all__ == sorted(fedaffect.__all__)
        assert {"RunConfig", "RunRecord", "__version__", "audit", "simulate"} < {*fedaffect.__all__}
        for name in fedaffect.__all__:
            assert getattr(fedaffect, name) is not None
        with pytest.raises(AttributeError, match="no attribute 'simulat'"):
            _ = fedaffect.simulat
        assert callable(fedaffect.simulate)
