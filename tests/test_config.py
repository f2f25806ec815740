from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fedaffect.cli.options import HANDLING, SETTINGS
from fedaffect.config import RunConfig
from fedaffect.config_sources import FLAGS, KEYS, resolve
from fedaffect.errors import UsageError
from fedaffect.toml_text import to_toml


def read(text: str | bytes, tmp_path: Path, **flags: Any) -> tuple[RunConfig, dict[str, str]]:
    """Resolve a TOML file that holds ``text``."""
    path = tmp_path / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return resolve(flags, (), path, {})


def test_every_source_wins_over_those_before_it(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[federation]\nrounds = 1\nclients = 1\nlr = 1\nmu = 1\n")
    environment = {
        "FEDAFFECT_FEDERATION__CLIENTS": "2",
        "FEDAFFECT_FEDERATION__LR": "2",
        "FEDAFFECT_FEDERATION__MU": "2",
    }
    overrides = ["federation.lr=3", "federation.mu=3"]
    config, origins = resolve({"mu": "4", "seed": None}, overrides, path, environment)
    f = config.federation
    assert (f.rounds, f.clients, f.lr, f.mu, config.batch_size) == (1, 2, 3.0, 4.0, 16)
    told = {key.partition(".")[2]: o for key, o in origins.items() if o != "default"}
    assert told == {
        "rounds": str(path),
        "clients": "environment",
        "lr": "-o federation.lr",
        "mu": "--mu",
    }
    assert set(origins) == set(KEYS)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_can_come_from_the_environment(key: str) -> None:
    texts = {
        "data.name": "wesad",
        "data.modality": "both",
        "data.eval": "loso",
        "data.normalise": "global",
        "data.partition": "iid",
        "data.partition_by": "stress",
        "model.name": "stress_identity_cnn",
        "model.tasks": "stress",
        "defence.name": "bottleneck",
        "federation.sampler": "bernoulli",
        "federation.strategy": "fedprox",
        "federation.optimizer": "adam",
        "federation.class_weights": "client",
        "run.engine": "local",
        "run.dtype": "float64",
        "run.device": "cpu",
        "run.reference": "false",
        "data.allow_missing": "true",
        "synthetic.session_s": "90",
        "synthetic.response_shift": "1.5",
        "data.overlap": "0.25",
        "federation.momentum": "0.25",
        "federation.fraction": "0.25",
        "dp.delta": "0.25",
        "dp.mechanism": "laplace",
        "dp.adjacency": "replace_one",
        "dp.blocks": "{'task:identity' = 'keep_local'}",
        "dp.block_clips": "{shared = 7.0}",
        "dp.noise_ratios": "{shared = 7.0}",
        "dp.clip_norm": "linf",
        "dp.clip_quantile": "0.25",
        "dp.clip_target": "weights",
        "dp.noise_allocation": "optimal",
        "dp.noise_layers": "shared",
        "dp.unit": "window",
        "dp.where": "client",
    }
    mechanisms = {"dp.eps_per_round": "paper-laplace", "dp.sigma": "paper-noise"}
    needed = {"FEDAFFECT_DP__MECHANISM": mechanisms.get(key, "gaussian")}
    if key not in mechanisms:
        needed["FEDAFFECT_DP__EPS"] = "1"
    text = texts.get(key, "7")
    name = "FEDAFFECT_" + key.replace(".", "__").upper()
    config, origins = resolve({}, (), None, {**needed, name: text, "FEDAFFECT_HOME": "/x"})
    assert origins[key] == "environment"
    section, _, field = key.partition(".")
    value = getattr(getattr(config, section), field)
    if isinstance(value, dict):
        assert value == tomllib.loads(f"v = {text}")["v"]
    elif isinstance(value, tuple):
        assert value == (text,)
    else:
        assert str(value).lower() in (text, f"{text}.0")


def test_flags_and_keys_agree() -> None:
    assert set(FLAGS.values()) <= set(KEYS)
    assert len(set(FLAGS.values())) == len(FLAGS)
    typed = {flag.name.split("/")[0].removeprefix("--").replace("-", "_") for flag in SETTINGS}
    assert typed == set(FLAGS)
    assert not typed & {flag.name.removeprefix("--") for flag in HANDLING}


def test_python_values_and_texts_are_the_same() -> None:
    typed, _ = resolve({"eps": "5", "dp": "gaussian", "clients": "7", "out": "x"}, (), None, {})
    given, _ = resolve({"eps": 5, "dp": "gaussian", "clients": 7, "out": Path("x")}, (), None, {})
    assert typed == given


def test_a_misspelt_option_of_python_is_corrected() -> None:
    with pytest.raises(UsageError, match="option 'clinets' is not known") as caught:
        resolve({"clinets": 3}, (), None, {})
    assert caught.value.code == "E211"
    assert "did you mean clients?" in caught.value.do


@pytest.mark.parametrize(
    ("text", "strategy", "mu"),
    [("fedprox:0.5", "fedprox", 0.5), ("fedprox", "fedprox", 0.01), ("fedavg", "fedavg", 0.01)],
)
def test_fedprox_may_carry_its_mu(text: str, strategy: str, mu: float) -> None:
    config, _ = resolve({"strategy": text}, (), None, {})
    assert (config.federation.strategy, config.federation.mu) == (strategy, mu)


def test_mu_of_another_strategy_is_not_swallowed() -> None:
    with pytest.raises(UsageError, match="--strategy 'fedavg:3' is not known"):
        resolve({"strategy": "fedavg:3"}, (), None, {})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    changes = {
        "data.root": Path('/data/it\'s "WESAD"'),
        "dp.mechanism": "moments",
        "dp.eps": 0.1 + 0.2,
        "dp.delta": 1e-7,
        "dp.noise_layers": "shared,task:stress",
        "dp.blocks": {"task:identity": "keep_local"},
        "dp.block_clips": {"shared": 0.5, "task:stress": 0.25},
        "federation.clients": 3,
        "run.seed": 2**63 - 1,
        "run.reference": False,
    }
    config = RunConfig().replace(changes)
    again, origins = read(to_toml(config.model_dump(mode="json")), tmp_path)
    assert again == config
    assert origins["dp.eps"] == str(tmp_path / "run.toml")


def test_configurations_are_frozen_and_changes_are_checked() -> None:
    config = RunConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.dp.eps = 3.0
    with pytest.raises(UsageError, match="--rounds 0"):
        config.replace({"federation.rounds": 0})
    with pytest.raises(ValidationError, match="Extra inputs"):
        config.replace({"federation.roundz": 3})


def test_the_documented_tables_are_the_sections() -> None:
    config = RunConfig().replace({"model.release": "full"})  # TOML has no word for nothing
    tables = set(tomllib.loads(to_toml(config.model_dump(mode="json")))) - {"schema_version"}
    assert tables == {
        *("data", "synthetic", "model", "federation", "dp", "defence", "audit", "run")
    }
