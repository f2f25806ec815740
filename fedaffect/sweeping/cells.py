"""The cells of a grid: one configuration each, planned before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedaffect.config import RunConfig
from fedaffect.config_sources import FLAGS, KEYS, resolve
from fedaffect.errors import FedaffectError, UsageError
from fedaffect.outline import Outline, outline
from fedaffect.resume import settings_digest
from fedaffect.sweeping.grid import NONE, Axis, choices, short_name

DP = "dp"  # the section of privacy
ENDS_DP = ("dp.mechanism", "dp.eps", "dp.eps_per_round", "dp.sigma")
NAMED_NONE = ("data.normalise", "model.backbone")  # none is a value of theirs
NO_DP = "no DP"
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Cell:
    """One setting with one seed.

    Args:
        name: Name of its run folder, unique in the sweep.
        values: Key of every axis to its value; ``None`` where it says nothing, as without DP.
        planned: Its plan.
    """

    name: str
    values: Mapping[str, str | None]
    planned: Outline


def plan_cells(
    axes: Sequence[Axis],
    flags: Mapping[str, Any],
    overrides: Sequence[str] = (),
    file: Path | None = None,
) -> tuple[tuple[Cell, ...], Path | None]:
    """Plan every cell of a grid; nothing is read but the names of people.

    ``none`` for a mechanism or a budget means a run without DP: nothing of the section [dp] holds
    for it, and cells that differ in that section alone are one. For another key it takes the value
    away where there need not be one.

    Args:
        axes: The grid.
        flags: Flags of ``fedaffect simulate`` that all cells share.
        overrides: Texts ``a.b=c`` that all cells share.
        file: A TOML file that all cells share.

    Returns:
        The cells, and the folder that was asked for.

    Raises:
        UsageError: E262 two cells are the same; E263 a key is also given outside the grid; E265
            an engine was asked for; or what the plan of a cell refuses.
        FedaffectError: as ``outline``, naming the cell.
    """
    _refuse_given_twice(axes, flags, overrides)
    cells: dict[str, Cell] = {}
    every = choices(axes)
    out = None
    for number, chosen in enumerate(every, 1):
        values: dict[str, str | None] = dict(chosen)
        if no_dp := any(chosen.get(key) == NONE for key in ENDS_DP):
            values |= {key: None for key in chosen if key.startswith(f"{DP}.")}
        name = _name(number, len(str(len(every))), values, no_dp)
        try:
            config, out = _config(values, no_dp, flags, overrides, file)
            planned = outline(config)
        except FedaffectError as error:
            raise type(error)(error.code, f"cell {name}: {error.message}", error.do) from None
        same = cells.setdefault(settings_digest(planned.config), Cell(name, values, planned))
        if same.name != name and not no_dp:
            raise UsageError(
                "E262", f"cells {same.name} and {name} are the same run", do="drop one value"
            )
    return tuple(cells.values()), out


def label_of(values: Mapping[str, str | None], *, without: Sequence[str] = ()) -> str:
    """Return the setting of a cell in short: ``eps=5, partition=iid``.

    Args:
        values: Values of the cell.
        without: Keys that are not told, such as the seed.
    """
    told = {key: value for key, value in values.items() if key not in without}
    parts = [f"{short_name(key)}={value}" for key, value in told.items() if value is not None]
    if any(value is None for value in told.values()):
        parts.insert(0, NO_DP)
    return ", ".join(parts) or "one setting"


def _config(
    values: Mapping[str, str | None],
    no_dp: bool,
    flags: Mapping[str, Any],
    overrides: Sequence[str],
    file: Path | None,
) -> tuple[RunConfig, Path | None]:
    away = {key for key, value in values.items() if value == NONE and _may_lack(key)}
    own = [f"{k}={v}" for k, v in values.items() if v is not None and k not in away]
    if no_dp:
        away.add(DP)
    config, origins = resolve(flags, [*overrides, *own], file, without=away)
    run = config.run
    other_engine = origins["run.engine"] != "default" and run.engine != "local"
    if other_engine or run.workers is not None or run.ray_address is not None:
        raise UsageError(
            "E265",
            "a cell runs in one process, with the engine local; cells run side by side",
            do="drop --engine, --workers and --ray-address; give --jobs",
        )
    reference = run.reference and origins["run.reference"] != "default"
    changes = {"run.engine": "local", "run.out": None, "run.reference": reference}
    return config.replace(changes), run.out


def _may_lack(key: str) -> bool:
    return key in KEYS and KEYS[key].default is None and key not in NAMED_NONE


def _refuse_given_twice(
    axes: Sequence[Axis], flags: Mapping[str, Any], overrides: Sequence[str]
) -> None:
    given = {
        FLAGS[name]: f"--{name.replace('_', '-')}" for name, v in flags.items() if v is not None
    }
    given |= {key: f"-o {key}" for text in overrides if (key := text.partition("=")[0].strip())}
    for axis in axes:
        if axis.key in given:
            raise UsageError(
                "E263",
                f"{axis.key} is in the grid and given by {given[axis.key]}",
                do="give it once",
            )


def _name(number: int, digits: int, values: Mapping[str, str | None], no_dp: bool) -> str:
    text = label_of(values).replace(NO_DP, "no-dp") if no_dp else label_of(values)
    return f"{number:0{digits}}-{re.sub(r'[^a-zA-Z0-9_.=+-]+', '-', text)}"[:_LONGEST_NAME]
