"""``--device``: what it means on this machine, and what is refused before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import TINY, call, refused
from simulated import Run, simulated
from tiny import tiny

from fedaffect.config_sources import resolve
from fedaffect.device import REPEATABLE_WORKSPACE, device_of, gpu_count, named, repeatable
from fedaffect.errors import StorageError, UsageError
from fedaffect.outline import outline
from fedaffect.record import RunRecord
from fedaffect.reports.json_file import load_record
from fedaffect.reports.tables import environment
from fedaffect.simulation import simulate
from fedaffect.toml_text import to_toml

HERE = "cuda" if torch.cuda.is_available() else "cpu"
without_gpu = pytest.mark.skipif(HERE == "cuda", reason="looks at a machine without a GPU")
CLUSTER = {"run.engine": "ray", "run.ray_address": "10.0.0.1:6379"}


def planned_device(changes: dict[str, Any]) -> str:
    return outline(tiny(changes)).config.run.device


def test_auto_is_a_gpu_where_pytorch_finds_one() -> None:
    assert device_of("auto") == HERE
    assert planned_device({}) == HERE
    assert planned_device({"run.device": "cpu"}) == "cpu"
    assert (gpu_count() > 0) == (HERE == "cuda")


def test_what_auto_was_is_kept(tmp_path: Path) -> None:
    config = outline(tiny({})).config
    file = tmp_path / "config.toml"
    file.write_text(to_toml(config.model_dump(mode="json")))
    again, _ = resolve({}, (), file, {})
    assert again.run.device == HERE
    typed, origins = resolve({"device": "cpu"}, (), file, {})
    assert (typed.run.device, origins["run.device"]) == ("cpu", "--device")


@without_gpu
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = refused("E241", *TINY, "--device", "cuda", "--out", out)
    assert "--device cuda: " in said
    assert "CUDA" in said or "GPU" in said
    assert "--device cpu" in said.splitlines()[1]
    assert not out.exists()
    refused("E241", *TINY, "--dry-run", "--device", "cuda")


@pytest.mark.parametrize("wrong", ["gpu", "cuda:0", "CPU", ""])
def test_other_devices_are_refused(wrong: str) -> None:
    said = refused("E212", *TINY, "--device", wrong)
    assert "'auto', 'cpu' or 'cuda'" in said


def test_the_gpus_of_a_cluster_are_not_looked_for_here() -> None:
    assert planned_device({**CLUSTER, "run.device": "cuda"}) == "cuda"
    assert planned_device(CLUSTER) == HERE
    if HERE == "cpu":
        with pytest.raises(UsageError) as caught:  # which reads no address
            planned_device({**CLUSTER, "run.engine": "local", "run.device": "cuda"})
        assert caught.value.code == "E241"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("device") / "run"
    return simulated(folder, {"federation.rounds": 1, "run.device": "cpu"})


@without_gpu
def test_the_plan_says_where_clients_train() -> None:
    assert named("cpu") == "the CPU"
    plan = ("simulate", "--dry-run", "--clients", "4")
    said = call(*plan, "--engine", "local").out
    assert "  machine  engine local, clients train on the CPU\n" in said
    there = ("--engine", "ray", "--ray-address", "10.0.0.1:6379", "--device", "cuda")
    assert "  machine  engine ray, clients train on a GPU\n" in call(*plan, *there).out


def test_so_does_the_report(run: Run) -> None:
    assert run.record.provenance.config["run"]["device"] == "cpu"
    assert "gpu" not in run.record.provenance.environment
    assert "Clients trained on" in run.bytes_of("report.html").decode()
    assert ("Clients trained on", "the CPU") in environment(run.record)
    there = run.record.model_dump()
    there["provenance"]["environment"]["gpu"] = "NVIDIA H200"
    told = environment(RunRecord.model_validate(there))
    assert ("Clients trained on", "a GPU") in told and ("gpu", "NVIDIA H200") in told


@without_gpu
def test_a_run_goes_on_where_it_began(run: Run) -> None:
    assert simulate(resume=run.folder, device="cpu") == load_record(run.folder)
    with pytest.raises(UsageError):
        simulate(resume=run.folder, device="cuda")
    there: dict[str, Any] = {"device": "cuda", "engine": "ray", "ray_address": "10.0.0.1:6379"}
    with pytest.raises(StorageError, match=r"run\.device was cpu, is cuda") as caught:
        simulate(resume=run.folder, **there)
    assert caught.value.code == "E806"


def settings() -> tuple[object, ...]:
    return (
        torch.get_deterministic_debug_mode(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )


def test_cuda_repeats_itself_within_and_nothing_is_changed_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = settings()
    with repeatable("cpu"):
        assert settings() == before
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    with pytest.raises(ZeroDivisionError), repeatable("cuda"):
        assert settings() == (2, False, "highest", False, False, True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == REPEATABLE_WORKSPACE
        _ = 1 / 0
    assert settings() == before
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
