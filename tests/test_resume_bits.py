"""A run that goes on ends with the bits of one that was never interrupted, in every setting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted import GAUSSIAN, begun, model_of, run_tiny
from killed_runs import Site
from safetensors.numpy import load_file

from fedaffect import run_folder

POISSON = {"federation.sampler": "bernoulli", "federation.fraction": 0.5}
CHANGES: dict[str, dict[str, Any]] = {
    "no DP": {"data.partition": "dirichlet", "federation.fraction": 0.5},
    "adaptive clip": GAUSSIAN | {"dp.clip": "adaptive", "dp.clip_start": 0.3},
    "secret draws": GAUSSIAN | POISSON,
    "noise at clients": GAUSSIAN | {"dp.eps": 500.0, "dp.where": "client"},
    "noise in steps": GAUSSIAN | {"dp.unit": "window", "dp.eps": 50.0},
    "a head of one's own": GAUSSIAN | {"dp.blocks": {"task:identity": "keep_local"}},
    "test noise": GAUSSIAN | {"dp.unsafe_test_noise": "k"},
    "folds": GAUSSIAN | {"data.eval": "loso", "federation.rounds": 2, "federation.clients": 2,
                         "synthetic.people": 3},
}  # fmt: skip


LONG = ("noise in steps", "test noise", "folds")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a key and the windows of the simulated people."""
    site = Site(tmp_path_factory.mktemp("state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDAFFECT_HOME", str(site.home))
        run_tiny(site, GAUSSIAN | {"federation.rounds": 1})
    shutil.rmtree(site.home / "ledger")
    return site.home


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in CHANGES]
)
def test_goes_on_to_the_same_bits(
    name: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "new_run_id", lambda: "calm-heron-7f3a")  # draws are a run's
    whole, site = Site(tmp_path / "whole"), Site(tmp_path / "resumed")
    for s in (whole, site):
        shutil.copytree(state, s.home)
    monkeypatch.setenv("FEDAFFECT_HOME", str(whole.home))
    expected = run_tiny(whole, {"federation.rounds": 3} | CHANGES[name])

    monkeypatch.setenv("FEDAFFECT_HOME", str(site.home))
    begun(site, CHANGES[name], after=3 if name == "folds" else 2)
    spent = site.spent()
    assert np.array_equal(model_of(site), expected)
    assert len(expected) == (3 if name == "folds" else 1)
    assert (site.folder / "privacy.json").exists()
    statements = [json.loads(s.bytes_of("privacy.json")) for s in (site, whole)]
    assert statements[0] == statements[1]
    mine, theirs = (load_file(s.folder / "model.safetensors") for s in (site, whole))
    assert all(np.array_equal(mine[name], tensor) for name, tensor in theirs.items())
    assert lines_of(site) == lines_of(whole)
    assert spent <= site.spent() == whole.spent()


def lines_of(site: Site) -> list[dict[str, Any]]:
    """Records of rounds without clock times."""
    lines = [json.loads(line) for line in site.bytes_of("rounds.jsonl").splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
