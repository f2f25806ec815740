"""A configuration as TOML, for people to copy: tables of plain values, no ``None``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def to_toml(config: Mapping[str, Any]) -> str:
    """Return ``config`` as TOML text; keys whose value is ``None`` are left out."""
    return "\n".join(_table(config, "")).strip() + "\n"


def _table(values: Mapping[str, Any], prefix: str) -> list[str]:
    plain = {k: v for k, v in values.items() if v is not None and not isinstance(v, Mapping)}
    lines = [f"[{prefix}]"] if prefix and plain else []
    lines += [f"{_key(k)} = {_value(v)}" for k, v in plain.items()]
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = _table(value, f"{prefix}.{_key(key)}" if prefix else _key(key))
            lines += ["", *inner] if inner else []
    return lines


def _key(key: object) -> str:
    text = str(key)
    return text if _BARE.fullmatch(text) else _string(text)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return _string(str(value))


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
