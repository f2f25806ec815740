"""Where configuration values come from, and which source wins.

Low to high: defaults < TOML file < ``FEDAFFECT_*`` < ``-o a.b=c`` < flags.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fedaffect.config import SCHEMA_VERSION, RunConfig
from fedaffect.errors import UsageError
from fedaffect.registry import did_you_mean

MAX_CONFIG_BYTES = 1024**2
NOT_SETTINGS = {"HOME", "FAILPOINT"}  # the state folder; where a test kills the process

FLAGS: dict[str, str] = {
    "data": "data.name",
    "data_root": "data.root",
    "people": "data.people",
    "modality": "data.modality",
    "allow_missing": "data.allow_missing",
    "partition": "data.partition",
    "alpha": "data.alpha",
    "eval": "data.eval",
    "normalise": "data.normalise",
    "model": "model.name",
    "tasks": "model.tasks",
    "backbone": "model.backbone",
    "release": "model.release",
    "clients": "federation.clients",
    "rounds": "federation.rounds",
    "fraction": "federation.fraction",
    "sampler": "federation.sampler",
    "strategy": "federation.strategy",
    "mu": "federation.mu",
    "local_epochs": "federation.local_epochs",
    "batch_size": "federation.batch_size",
    "lr": "federation.lr",
    "optimizer": "federation.optimizer",
    "class_weights": "federation.class_weights",
    "dp": "dp.mechanism",
    "eps": "dp.eps",
    "eps_per_round": "dp.eps_per_round",
    "sigma": "dp.sigma",
    "delta": "dp.delta",
    "unit": "dp.unit",
    "dp_where": "dp.where",
    "noise_layers": "dp.noise_layers",
    "clip": "dp.clip",
    "unsafe_test_noise": "dp.unsafe_test_noise",
    "defence": "defence.name",
    "seed": "run.seed",
    "engine": "run.engine",
    "workers": "run.workers",
    "ray_address": "run.ray_address",
    "dtype": "run.dtype",
    "stack": "run.stack",
    "device": "run.device",
    "out": "run.out",
    "reference": "run.reference",
}
KEYS = {
    f"{section}.{key}": field
    for section, info in RunConfig.model_fields.items()
    if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    for key, field in info.annotation.model_fields.items()
}
TABLES = {key for key, field in KEYS.items() if field.default_factory is dict}


def resolve(
    flags: Mapping[str, Any],
    overrides: Sequence[str] = (),
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    without: Collection[str] = (),
) -> tuple[RunConfig, dict[str, str]]:
    """Return the configuration and, for every dotted key, where its value came from.

    Args:
        flags: Flag name (see ``FLAGS``) to value; ``None`` means not given.
        overrides: Texts ``a.b=c``.
        file: A TOML file.
        environment: Usually ``os.environ``.
        without: Keys and sections that keep their defaults, whatever the sources say.

    Raises:
        UsageError: E211 unknown key; E212 wrong type; E213 unreadable file; E214 newer version.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(KEYS, "default")
    lines: dict[str, str] = {}
    if file is not None:
        for key, value in _from_file(file, lines).items():
            values[key], origins[key] = value, str(file)
    for key, value in _from_environment(os.environ if environment is None else environment).items():
        values[key], origins[key] = value, "environment"
    for text in overrides:
        key, value = _from_override(text)
        if key in TABLES and isinstance(value, dict):
            value = {**values.get(key, {}), **value}
        values[key], origins[key] = value, f"-o {key}"
    for name, value in flags.items():
        if value is not None:
            key = FLAGS[_known(name, FLAGS, "option")]
            values[key], origins[key] = value, "--" + name.replace("_", "-")
    if "federation.strategy" in values:
        values.update(_strategy_with_mu(str(values["federation.strategy"])))
    if "defence.name" in values:
        values.update(_defence_with_strength(str(values["defence.name"])))
    nested: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        if key in without or section in without:
            origins[key] = "default"
            continue
        nested.setdefault(section, {})[name] = value
    places = origins | {key: line for key, line in lines.items() if origins[key] == str(file)}
    try:
        return RunConfig.model_validate(nested), origins
    except ValidationError as error:
        raise _readable(error, places) from None
    except UsageError as error:
        raise _with_place(error, places) from None


def _strategy_with_mu(text: str) -> dict[str, Any]:
    """Read ``fedprox:0.1`` as the strategy with its mu."""
    name, colon, mu = text.partition(":")
    return {"federation.strategy": name, "federation.mu": mu} if colon and name == "fedprox" else {}


def _defence_with_strength(text: str) -> dict[str, Any]:
    """Read ``gradient-reversal:0.5`` as the defence with its strength."""
    name, colon, strength = text.partition(":")
    return {"defence.name": name, "defence.strength": strength} if colon else {}


def _from_file(file: Path, lines: dict[str, str]) -> dict[str, Any]:
    try:
        with open(file, "rb") as opened:
            raw = opened.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise UsageError(
            "E213", f"--config {file} cannot be read: {error.strerror}", do="give a TOML file"
        ) from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise UsageError("E213", f"--config {file} is larger than 1 MiB", do="give a TOML file")
    try:
        text = raw.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("E213", f"{file} is not TOML: {error}", do="see the README") from None
    version = document.pop("schema_version", SCHEMA_VERSION)
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise UsageError(
            "E214",
            f"{file} has schema_version {version!r}, this fedaffect reads {SCHEMA_VERSION}",
            do="upgrade fedaffect",
        )
    values: dict[str, Any] = {}
    for section, table in document.items():
        if not isinstance(table, dict):
            place = f"{file}:{_line_of(text, '', section)}"
            raise _unknown_key(f"{place}: key", section)
        for name, value in table.items():
            key = f"{section}.{name}"
            place = f"{file}:{_line_of(text, section, name)}"
            values[_known_key(key, f"{place}: key")] = value
            lines[key] = place
    return values


def _line_of(text: str, section: str, name: str) -> int:
    """Return the line (from 1) where ``name`` is set in ``section``, or is named at all, or 1."""
    current = ""
    named = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+([^\]]+)\]", line):
            current = header[1].strip()
        elif current == section and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return number
        if named == 1 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line.partition("#")[0]):
            named = number
    return named


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in sorted(environment.items()):
        rest = name.removeprefix("FEDAFFECT_")
        if rest == name or rest in NOT_SETTINGS:
            continue
        key = rest.lower().replace("__", ".", 1)
        known = _known_key(key, f"environment variable {name}: key")
        values[known] = _toml_value(value) if known in TABLES else value
    return values


def _from_override(text: str) -> tuple[str, Any]:
    """Read ``a.b=c``, or ``a.table.entry=c`` as the table ``{entry = c}``."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals:
        raise UsageError("E211", f"-o {text!r} has no value", do="write -o dp.eps=1")
    parsed = _toml_value(value)
    for table in TABLES:
        if key.startswith(f"{table}."):
            return table, {key[len(table) + 1 :].strip("\"'"): parsed}
    return _known_key(key, "-o key"), parsed


def _toml_value(text: str) -> Any:
    """Return ``text`` as TOML reads it, or as it stands."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except (ValueError, RecursionError):
        return text


def _known(name: str, table: Mapping[str, Any], what: str) -> str:
    if name in table:
        return name
    raise UsageError("E211", f"{what} {name!r} is not known", do=did_you_mean(name, list(table)))


def _known_key(key: str, what: str) -> str:
    if key in KEYS:
        return key
    raise _unknown_key(what, key)


def _unknown_key(what: str, key: str) -> UsageError:
    """Return E211 with the keys of the same name, else of the same section, else the sections."""
    section, _, name = key.rpartition(".")
    same = [k for k in KEYS if k.rpartition(".")[2] == name]
    beside = [k for k in KEYS if k.rpartition(".")[0] == section]
    known = same or beside or sorted({f"{k.partition('.')[0]}.*" for k in KEYS})
    return UsageError("E211", f"{what} {key!r} is not known", do=did_you_mean(key, known))


def _with_place(error: UsageError, places: Mapping[str, str]) -> UsageError:
    """Say where the option came from that ``error`` begins with, unless it was typed as a flag."""
    option = error.message.partition(" ")[0]
    key = FLAGS.get(option.removeprefix("--").replace("-", "_"), option)
    place = places.get(key, "default")
    if place == "default" or place.startswith("--"):
        return error
    return UsageError(error.code, f"{place}: {error.message}", do=error.do)


def _readable(error: ValidationError, places: Mapping[str, str]) -> UsageError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    place = places.get(key, "default")
    text = first["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    typed = place.startswith("--")
    where = "" if typed or place == "default" else f"{place}: "
    name = place if typed else key
    return UsageError("E212", f"{where}{name} {first.get('input')!r}: {text}", do="see --help")
