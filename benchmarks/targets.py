"""Targets and whether figures reach them. A missed target is reported with its number."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import ratio

TARGETS = Path(__file__).resolve().parent / "targets.toml"

Results = Mapping[str, Mapping[str, Any]]  # name of a result file to what it holds


@dataclass(frozen=True)
class Target:
    """One figure that is to be reached; ``targets.toml`` says what the fields mean.

    Raises:
        ValueError: it does not say in exactly one way what is measured, and how much is enough.
    """

    says: str
    table: str = ""
    work: str = ""
    engine: str = ""
    over: str = ""
    faster_than: str = ""
    memory_over: str = ""
    start_up: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        ways = (self.over, self.faster_than, self.memory_over, self.start_up)
        if sum(map(bool, ways)) != 1 or (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"not one figure and one bound: {self}")

    @property
    def asked(self) -> str:
        """The bound in words."""
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}"

    @property
    def what(self) -> str:
        """The engines that are compared."""
        if self.start_up:
            return f"`fedaffect simulate --engine {self.start_up}`"
        if self.memory_over:
            return f"`{self.engine}`"
        if self.over:
            return f"`{self.engine}` / `{self.over}`"
        return f"`{self.faster_than}` / `{self.engine}`"

    def measured(self, results: Results) -> float | None:
        """Return the figure; ``None`` where it was not measured, or where no figure counts."""
        if self.start_up:
            found = results.get("start_up", {}).get("start_up", {}).get("engines", {})
            return found.get(self.start_up, {}).get("median_s")
        mine = self._row(results, self.work, self.engine)
        if self.memory_over:
            other = self._row(results, self.memory_over, self.engine)
            return mine["memory_mb"] / other["memory_mb"] if mine and other else None
        other = self._row(results, self.work, self.over or self.faster_than)
        if not mine or not other:
            return None
        return ratio(mine, other) if self.over else ratio(other, mine)

    def verdict(self, results: Results) -> str:
        """Return ``met``, ``missed``, or that there is no figure."""
        figure = self.measured(results)
        if figure is None:
            return "not measured"
        if self.at_most is not None:
            return "met" if figure <= self.at_most else "**missed**"
        assert self.at_least is not None  # one of the two
        return "met" if figure >= self.at_least else "**missed**"

    def _row(self, results: Results, work: str, engine: str) -> Mapping[str, Any] | None:
        works = results.get(self.table, {}).get("works", [])
        rows = [
            row
            for measured in works
            if measured["name"] == work and measured["same_work"] is not False
            for row in measured["engines"]
            if row["engine"] == engine
        ]
        return rows[0] if rows else None


def targets(file: Path = TARGETS) -> list[Target]:
    """Return all targets."""
    return [Target(**entry) for entry in tomllib.loads(file.read_text())["target"]]
