"""A grid of settings: ``--grid dp.eps=1,5,none --grid seed=0..4`` and what it spans."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fedaffect.config_sources import FLAGS, KEYS, TABLES
from fedaffect.errors import UsageError
from fedaffect.registry import did_you_mean

NONE = "none"
MOST_CELLS = 1000
SEED = "run.seed"
SAME_FOR_ALL = {  # one data set, and one place
    "data.name", "data.root", "run.engine", "run.workers", "run.ray_address", "run.out",
    "run.reference",
}  # fmt: skip
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})", re.ASCII)
_EXAMPLE = "write --grid eps=1,5,none or --grid seed=0..4"


@dataclass(frozen=True)
class Axis:
    """One key with the values that it takes.

    Args:
        key: Dotted configuration key.
        values: Its values as they are typed; ``none`` takes the value away.
    """

    key: str
    values: tuple[str, ...]


def read_grid(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Read axes such as ``dp.eps=1,5,none``, ``seed=0..4``, ``noise-layers=all;shared,task``.

    A key is a dotted configuration key, the name of a flag, or the last part of a key that no
    other has. Values are parted by commas, or by ``;`` where there is one; a value with commas
    can be quoted. ``a..b`` counts from a to b.

    Raises:
        UsageError: E261 an axis that is malformed, or a key that is unknown or there twice; E262
            values that are empty or there twice; E263 a key that all cells share; E264 too many
            cells.
    """
    if not texts:
        raise UsageError("E261", "a sweep needs a grid", do=_EXAMPLE)
    axes: list[Axis] = []
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals:
            raise UsageError("E261", f"--grid {text!r} has no values", do=_EXAMPLE)
        key = _key(name.strip())
        if key in (axis.key for axis in axes):
            raise UsageError("E261", f"--grid {key} is there twice", do="give all values at once")
        axes.append(Axis(key, _values(key, values)))
    cells = math.prod(len(axis.values) for axis in axes)
    if cells > MOST_CELLS:
        raise _too_many(f"the grid has {cells:,} cells")
    return tuple(axes)


def choices(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Return every choice of one value a key; the last axis varies fastest."""
    keys = [axis.key for axis in axes]
    return [
        dict(zip(keys, values, strict=True))
        for values in itertools.product(*(axis.values for axis in axes))
    ]


def short_name(key: str) -> str:
    """Return the flag of a key, or its last part where no other key ends alike, or the key."""
    for flag, of in FLAGS.items():
        if of == key:
            return flag
    last = key.rpartition(".")[2]
    return last if len(_ending(last)) == 1 and last not in FLAGS else key


def _ending(last: str) -> list[str]:
    return [key for key in KEYS if key.rpartition(".")[2] == last]


def _key(name: str) -> str:
    flag = name.lstrip("-").replace("-", "_")
    ending = _ending(flag)
    if name in KEYS or any(name.startswith(f"{table}.") for table in TABLES):
        key = name
    elif flag in FLAGS:
        key = FLAGS[flag]
    elif len(ending) == 1:
        key = ending[0]
    else:
        raise UsageError("E261", f"--grid key {name!r} is not known", do=_nearest(name, ending))
    if key in SAME_FOR_ALL:
        raise UsageError(
            "E263",
            f"--grid {key} cannot vary: all cells of a sweep share it",
            do="give it as a flag; for another data set start another sweep",
        )
    return key


def _nearest(name: str, ending: list[str]) -> str:
    """Say which key was meant: one that ends alike, or the nearest of all keys and flags."""
    if ending:
        return did_you_mean(name, ending)
    known = [*KEYS, *(flag.replace("_", "-") for flag in FLAGS)]
    near = did_you_mean(name, known).partition("known: ")[0]
    return f"{near}flags: fedaffect sweep --help; keys: fedaffect simulate --dry-run"


def _values(key: str, text: str) -> tuple[str, ...]:
    delimiter = ";" if ";" in text else ","
    try:
        reader = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
        parts = [part.strip() for part in next(reader, [])]
    except csv.Error as error:
        raise UsageError(
            "E262", f"--grid {key}={text} cannot be read: {error}", do="close the quotes"
        ) from None
    values = [value for part in parts for value in _counted(key, part)]
    if not values or not all(values):
        raise UsageError("E262", f"--grid {key}={text} lacks a value", do=_EXAMPLE)
    for value in values:
        if values.count(value) > 1:
            raise UsageError("E262", f"--grid {key} has {value} twice", do="name a value once")
    return tuple(values)


def _counted(key: str, part: str) -> list[str]:
    """Return ``part``, or the numbers that it spans."""
    span = _RANGE.fullmatch(part)
    if span is None:
        return [part]
    first, last = int(span[1]), int(span[2])
    if first > last:
        raise UsageError("E262", f"--grid {key}={part} runs backwards", do=f"{last}..{first}")
    if last - first >= MOST_CELLS:
        raise _too_many(f"--grid {key}={part} has {last - first + 1:,} values")
    return [str(number) for number in range(first, last + 1)]


def _too_many(what: str) -> UsageError:
    return UsageError("E264", f"{what}, at most {MOST_CELLS:,} are run", do="make the grid coarser")
