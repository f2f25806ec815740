from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from torch import nn

from fedaffect.errors import StorageError
from fedaffect.params import Layout, read_flat
from fedaffect.record import RoundRecord
from fedaffect.run_folder import (
    ADJECTIVES,
    ANIMALS,
    append_round,
    discard_if_empty,
    new_run_id,
    prepare,
    save_model,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_ids_are_speakable_and_differ() -> None:
    ids = {new_run_id() for _ in range(300)}
    assert len(ids) == 300
    for run_id in ids:
        adjective, animal, digits = run_id.split("-")
        assert adjective in ADJECTIVES.split()
        assert animal in ANIMALS.split()
        assert re.fullmatch(r"[0-9a-f]{4}", digits)


def test_a_folder_is_for_its_owner_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "there").mkdir(mode=0o777)
        for name in ("new", "there", "a/b/c"):
            assert mode(prepare(tmp_path / name, "id")) == 0o700
            assert not any((tmp_path / name).iterdir())  # the probe is gone
    finally:
        os.umask(before)


def test_without_a_name_it_is_below_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare(None, "calm-heron-7f3a") == Path("runs/calm-heron-7f3a")
    with pytest.raises(StorageError, match="cannot write"):
        prepare(None, "x" * 300)


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir(mode=0o755)
    (tmp_path / "full" / "x").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("full", "file", "link"):
        with pytest.raises(StorageError) as caught:
            prepare(tmp_path / name, "id")
        assert caught.value.code == "E801"
    assert mode(tmp_path / "full") == 0o755
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "link", "x"]


def test_only_an_empty_folder_is_discarded(tmp_path: Path) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    for name in ("empty", "full", "missing"):
        discard_if_empty(tmp_path / name)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["full", "x"]


def record(number: int) -> RoundRecord:
    return RoundRecord(
        fold=0,
        round=number,
        clients=3,
        clients_planned=4,
        rejected=("client 1: line one\nline two",),
        loss=0.1 + 0.2,
        stress_balanced_accuracy=None,
        stress_macro_f1=None,
        identity_own_head=None,
        identity_probe=None,
        eps_spent=1e-300,
        seconds=1.5,
    )


def test_rounds_are_appended_whole(tmp_path: Path) -> None:
    for number in (1, 2):
        append_round(tmp_path, record(number))
    lines = (tmp_path / "rounds.jsonl").read_text().splitlines()
    assert [RoundRecord.model_validate_json(line) for line in lines] == [record(1), record(2)]
    with pytest.raises(StorageError, match=r"rounds\.jsonl") as caught:
        append_round(tmp_path / "missing", record(3))
    assert caught.value.code == "E803"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_comes_back_by_name(tmp_path: Path, dtype: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    layout = Layout.of(model, {"all": [name for name, _ in model.named_parameters()]})
    vector = read_flat(model).numpy().astype(dtype)
    save_model(tmp_path, vector, layout, {"eps": "5.0", "unit": "client"})
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        assert file.metadata() == {"eps": "5.0", "unit": "client"}
        for name, parameter in model.named_parameters():
            tensor = file.get_tensor(name)
            assert tensor.dtype == dtype
            np.testing.assert_array_equal(tensor, parameter.detach().numpy())
