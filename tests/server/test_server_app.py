"""The ServerApp as ``flwr run`` calls it: everything from the run's settings."""

import json
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from safetensors.numpy import load_file
from tiny import RAGGED, tiny, train_over

from fedaffect.build import build
from fedaffect.clients.side import client_side
from fedaffect.config import RunConfig
from fedaffect.errors import PrivacyError
from fedaffect.server.app import server_app
from fedaffect.simulations.local import LocalGrid

DP = {"dp.mechanism": "laplace", "dp.eps": 8, "dp.clip": 5, "dp.unsafe_test_noise": "k"}


def call(config: RunConfig) -> None:
    grid = LocalGrid("grid")
    grid.place(client_side(build(config)))
    settings = {"fedaffect": config.model_dump_json(), "run-key": ""}
    server_app(grid, Context(1, 1, {}, RecordDict(), settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_leaves_model_and_rounds(tmp_path: Path, dtype: str) -> None:
    out = tmp_path / "deep" / "out"
    config = tiny(RAGGED | DP | {"run.out": out, "run.dtype": dtype})
    call(config)
    training = train_over(LocalGrid("other"), config)
    layout = training.experiment.factory.layout
    model = load_file(out / "model.safetensors")
    assert sorted(model) == sorted(layout.names)
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        assert model[name].dtype == np.dtype(dtype) and model[name].shape == shape
        values = training.params[0][layout.slices[name]].astype(dtype)
        assert np.array_equal(model[name].ravel(), values)
    rounds = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert [r["round"] for r in rounds] == [1, 2]
    assert all(r["eps_spent"] is None for r in rounds)  # test noise protects nobody


def test_makes_no_private_release_with_a_secret_key(tmp_path: Path) -> None:
    config = tiny(DP | {"dp.unsafe_test_noise": None, "run.out": tmp_path / "out"})
    with pytest.raises(PrivacyError, match="no privacy ledger") as caught:
        call(config)
    assert caught.value.code == "E410"
    assert not (tmp_path / "out" / "model.safetensors").exists()
