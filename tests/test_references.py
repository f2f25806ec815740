from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedaffect import references
from fedaffect.config import RunConfig
from fedaffect.config_sources import KEYS
from fedaffect.record import Estimate, Figures

DP = {
    "dp.mechanism": "laplace",
    "dp.eps": 3.0,
    "dp.delta": 1e-6,
    "dp.noise_layers": "shared",
    "dp.clip": 0.5,
    "dp.unsafe_test_noise": "x",
    "dp.adjacency": "replace_one",
    "dp.where": "client",
    "dp.clip_norm": "l1",
    "dp.clip_target": "weights",
    "dp.clip_start": 0.5,
    "dp.clip_quantile": 0.4,
    "dp.clip_rate": 0.3,
    "dp.clip_count_noise": 9.0,
    "dp.blocks": {"task:identity": "keep_local"},
    "dp.block_clips": {"shared": 1.0},
    "dp.noise_ratios": {"shared": 1.0},
    "dp.noise_allocation": "optimal",
    "dp.participation_cap": 2,
    "dp.paper_records": 10,
    "dp.z": 2.0,
    "audit.canaries": 3,
}
OTHER_BUDGETS = {"dp.eps_per_round", "dp.sigma", "dp.unit"}  # do not go with those above
OTHER: dict[str, Any] = {
    "data.name": "wesad",
    "data.root": Path("/elsewhere"),
    "data.people": ("even",),
    "data.modality": "both",
    "data.allow_missing": True,
    "data.eval": "loso",
    "data.overlap": 0.25,
    "data.gap_s": 30.0,
    "data.normalise": "global",
    "data.partition": "dirichlet",
    "data.partition_by": "stress",
    "data.alpha": 0.7,
    "data.shards_per_client": 3,
    "synthetic.people": 7,
    "synthetic.sessions": 5,
    "synthetic.session_s": 120.0,
    "synthetic.seed": 5,
    "synthetic.fingerprint": 2.0,
    "synthetic.stress_effect": 2.0,
    "synthetic.response_variation": 2.0,
    "synthetic.session_drift": 2.0,
    "synthetic.response_shift": 0.5,
    "federation.clients": 7,
    "federation.rounds": 7,
    "federation.fraction": 0.7,
    "federation.sampler": "bernoulli",
    "federation.strategy": "fedprox",
    "federation.mu": 0.7,
    "federation.local_epochs": 7,
    "federation.batch_size": 7,
    "federation.lr": 0.7,
    "federation.momentum": 0.7,
    "federation.optimizer": "adam",
    "federation.max_grad_norm": 7.0,
    "federation.class_weights": "client",
    "model.tasks": ("identity", "stress"),
    "model.backbone": "synthetic",
    "model.backbone_sha256": "0" * 64,
    "model.release": 9,
    "defence.name": "gradient-reversal",
    "defence.strength": 0.7,
    "run.seed": 7,
    "run.stack": "on",
    "run.device": "cuda",
    "run.dtype": "float64",
}
ONLY_HOW = {
    "run.engine": "local",
    "run.workers": 7,
    "run.ray_address": "host:1",
    "run.out": Path("x"),
    "run.reference": False,
}


def key(changes: dict[str, Any], fingerprint: str = "f") -> str:
    return references.key_of(RunConfig().replace(changes), fingerprint)


def test_every_setting_is_looked_at_here() -> None:
    assert set(OTHER) | set(ONLY_HOW) | set(DP) | OTHER_BUDGETS | {"model.name"} == set(KEYS)


@pytest.mark.parametrize("name", sorted(OTHER))
def test_what_decides_a_result_decides_the_key(name: str) -> None:
    assert key({name: OTHER[name]}) != key({})


@pytest.mark.parametrize("name", sorted(ONLY_HOW))
def test_where_it_ran_does_not(name: str) -> None:
    assert key({name: ONLY_HOW[name]}) == key({})


def test_other_data_are_another_key() -> None:
    assert key({}, "f") != key({}, "g")


def test_without_dp_nothing_of_it_is_left() -> None:
    config = RunConfig().replace(OTHER | DP)
    plain = references.without_dp(config)
    assert plain.dp == RunConfig().dp
    assert plain == RunConfig().replace(OTHER)
    dealt = references.dealt_iid(config)
    assert dealt == RunConfig().replace(OTHER | {"data.partition": "iid"})


def figures(value: float) -> Figures:
    e = Estimate(value=value, low=0.1, high=0.9, chance=0.5, n_people=3)
    return Figures(
        stress_accuracy=e,
        stress_macro_f1=Estimate(value=None, note="n/a (one class)"),
        stress_balanced_accuracy=e,
        identity_own_head=e,
        identity_attacks={"knn": e},
        identity_strongest=e,
        strongest_attack="knn",
        raw_features_attack=e,
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    return tmp_path


def test_what_is_stored_is_found(home: Path) -> None:
    one, other = key({}, "one"), key({}, "other")
    assert references.cached(one) is None
    references.store(one, figures(1 / 3))
    assert references.cached(one) == figures(1 / 3)
    assert references.cached(other) is None
    references.store(one, figures(0.5))
    assert references.cached(one) == figures(0.5)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"stress_accuracy": 1}', b"\xff", b"null"])
def test_a_damaged_file_counts_as_missing(home: Path, damage: bytes) -> None:
    references.store(key({}), figures(0.5))
    (path,) = [p for p in home.rglob("*.json") if p.is_file()]
    path.write_bytes(damage)
    assert references.cached(key({})) is None


def test_parameters_are_found_to_the_last_bit(home: Path) -> None:
    params = np.array([1 / 3, -0.0, 5e-324, 1e300])
    assert references.cached_params(key({})) is None
    references.store_params(key({}), params)
    found = references.cached_params(key({}))
    assert found is not None
    assert found.tobytes() == params.tobytes()
    (path,) = home.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert references.cached_params(key({})) is None
