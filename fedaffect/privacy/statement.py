"""The privacy statement of a run: what is promised, to whom, against whom, and what is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fedaffect.errors import PrivacyError

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class PrivacyStatement:
    """One run's promise. Without a finite guarantee every eps and mu is ``None``.

    ``eps`` is what the releases so far have cost (``budget`` holds the planned total) to the
    observer for whom the sentence speaks. ``eps_per_round`` is one round alone at the same
    ``delta``; ``eps_basic`` the sum over rounds, each at delta / rounds. Mappings hold plain values
    with a ``text`` that says the same in words.
    """

    status: Literal["FORMAL", "CONDITIONAL", "NONE"]
    sentence: str
    details: tuple[str, ...]
    mechanism: str
    unit: str
    adjacency: str
    where: str
    horizon: str
    eps: float | None
    delta: float | None
    mu: float | None
    eps_pure: float | None
    eps_per_round: float | None
    eps_basic: float | None
    other_adjacency: dict[str, Any] | None
    budget: dict[str, float | None] | None
    composition: list[dict[str, Any]]
    observers: list[dict[str, Any]]
    z: float
    noise_sd: float
    clip: dict[str, Any] | None
    blocks: list[dict[str, Any]]
    sampling: dict[str, Any]
    releases_planned: int
    releases_done: int
    participation_cap: int | None
    per_client: dict[str, Any] | None
    stopped: str | None
    accountant: dict[str, Any] | None
    n_break_even: float
    person: dict[str, Any]
    group: dict[str, Any] | None
    paper_claim: dict[str, Any] | None
    true_value_of_paper_claim: dict[str, Any] | None
    other_runs: dict[str, Any] | None
    assumptions: tuple[str, ...]
    not_covered: tuple[str, ...]
    data_notes: tuple[str, ...]
    warnings: tuple[str, ...]
    noise_key_kind: str
    ledger_head: str | None
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PrivacyStatement:
        """Read what ``to_dict`` wrote.

        Raises:
            PrivacyError: E407 a field is missing, unknown or of another schema version.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        if values.keys() != names or values["schema_version"] != SCHEMA_VERSION:
            raise PrivacyError(
                "E407",
                f"privacy statement has other fields or version than {SCHEMA_VERSION}: "
                f"{sorted(values.keys() ^ names)}",
            )
        lists = [f.name for f in dataclasses.fields(cls) if str(f.type).startswith("tuple")]
        return cls(**{**values, **{name: tuple(values[name]) for name in lists}})


def statement_metadata(statement: Mapping[str, Any]) -> dict[str, str]:
    """Return what a file of parameters must say of its privacy, as text.

    Args:
        statement: ``PrivacyStatement.to_dict``.
    """
    eps, accountant = statement["eps"], statement["accountant"] or {}
    for_whom = [
        line["observer"]
        for line in statement["observers"]
        if eps is not None and line["eps"] is not None and line["eps"] <= eps
    ]
    said = {
        "privacy_status": statement["status"],
        "eps": eps,
        "delta": statement["delta"],
        "unit": statement["unit"],
        "adjacency": statement["adjacency"],
        "observer": ", ".join(for_whom) or None,
        "horizon": f"{statement['horizon']}, {statement['releases_done']} releases",
        "accountant": accountant.get("name") if eps is not None else None,
        "mechanism": statement["mechanism"],
        "ledger_head": statement["ledger_head"],
    }
    return {name: str(value) for name, value in said.items()}
