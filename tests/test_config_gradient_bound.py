"""``federation.max_grad_norm``: a length above zero, or ``none``."""

from pathlib import Path

import pytest

from fedaffect.config import RunConfig
from fedaffect.config_sources import resolve
from fedaffect.errors import UsageError
from fedaffect.toml_text import to_toml


def bound(text: str) -> object:
    config, _ = resolve({}, [f"federation.max_grad_norm={text}"], environment={})
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    return config.federation.max_grad_norm


def test_a_length_or_none() -> None:
    assert bound("2.5") == 2.5
    assert bound("none") == "none"
    assert RunConfig().federation.max_grad_norm == 1.0


def test_none_survives_the_way_through_a_file(tmp_path: Path) -> None:
    # an absent key would come back as the default bound of 1
    file = tmp_path / "run.toml"
    config = RunConfig().replace({"federation.max_grad_norm": "none"})
    file.write_text(to_toml(config.model_dump(mode="json")))
    assert resolve({}, file=file, environment={})[0] == config


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "off", "true"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="max_grad_norm"):
        bound(text)
