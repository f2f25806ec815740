"""Reference runs: the same run without DP, and the same people dealt out IID; cached by content.

Beside the figures of a reference lie its parameters, which an audit compares with.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fedaffect.atomic_file import write_bytes_atomic, write_text_atomic
from fedaffect.code_digest import code_digest
from fedaffect.config import AuditConfig, RunConfig
from fedaffect.config_dp import DPConfig
from fedaffect.home import private_folder, state_home
from fedaffect.record import Figures

WHERE_NOT_WHAT = {"run": {"engine", "workers", "ray_address", "out", "reference"}}


def without_dp(config: RunConfig) -> RunConfig:
    """Return ``config`` with no privacy mechanism, and so with no canaries."""
    return config.model_copy(update={"dp": DPConfig(), "audit": AuditConfig()})


def dealt_iid(config: RunConfig) -> RunConfig:
    """Return ``config`` without DP and with the same people's windows dealt out IID."""
    return without_dp(config).replace({"data.partition": "iid"})


def key_of(config: RunConfig, fingerprint: str) -> str:
    """Return a digest of everything that decides the figures of a run without DP."""
    content = [
        config.model_dump(mode="json", exclude=WHERE_NOT_WHAT),
        fingerprint,
        code_digest(),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def cached(key: str) -> Figures | None:
    """Return the stored figures, or ``None``; a damaged file counts as missing."""
    try:
        return Figures.model_validate_json(_path(key).read_bytes())
    except (OSError, ValidationError):
        return None


def cached_params(key: str) -> np.ndarray | None:
    """Return the stored parameters (d,) of the first fold; a damaged file counts as missing."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        params: np.ndarray = load(_params_path(key).read_bytes())["params"]
    except (OSError, KeyError, SafetensorError):
        return None
    return params


def store(key: str, figures: Figures) -> None:
    """Keep ``figures`` for later runs."""
    write_text_atomic(_path(key), figures.model_dump_json())


def store_params(key: str, params: np.ndarray) -> None:
    """Keep the parameters (d,) of the first fold for later audits."""
    from safetensors.numpy import save

    write_bytes_atomic(_params_path(key), save({"params": np.ascontiguousarray(params)}))


def _path(key: str) -> Path:
    return private_folder(state_home() / "cache" / "references") / f"{key[:32]}.json"


def _params_path(key: str) -> Path:
    return _path(key).with_suffix(".safetensors")
