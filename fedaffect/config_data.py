"""The ``[data]`` and ``[synthetic]`` tables: whose windows, cut, split and dealt out how."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from fedaffect import registry, require
from fedaffect.config_section import CleanPath, Section, words


class DataConfig(Section):
    """Which recordings, how they are cut, split and dealt out to clients.

    ``people`` are ids, or ``all``, or every second one: ``even``, ``odd``. ``normalise`` defaults
    to what suits the release (``fedaffect.release_choice``).
    """

    name: str = "synthetic"
    root: CleanPath | None = None
    modality: Literal["wrist", "chest", "both"] = "wrist"
    allow_missing: bool = False
    eval: Literal["auto", "unseen", "loso", "blocks", "random"] = "auto"
    overlap: float = 0.5
    gap_s: float = 60.0
    people: tuple[str, ...] = ("all",)
    normalise: Literal["public", "global", "subject", "none"] | None = None
    partition: str = "subject"
    partition_by: Literal["subject", "stress"] = "subject"
    alpha: float = 0.3
    shards_per_client: int = 2

    @field_validator("people", mode="before")
    @classmethod
    def _people_list(cls, value: object) -> object:
        return words(value)

    @field_validator("name")
    @classmethod
    def _known_data(cls, value: str) -> str:
        return registry.check_name("data", value)

    @field_validator("partition")
    @classmethod
    def _known_partition(cls, value: str) -> str:
        return registry.check_name("partition", value)

    @field_validator("alpha", mode="before")
    @classmethod
    def _alpha(cls, value: object) -> float:
        return require.number("--alpha", value, above=0)

    @field_validator("overlap", mode="before")
    @classmethod
    def _overlap(cls, value: object) -> float:
        return require.number("data.overlap", value, at_least=0, at_most=0.9)

    @field_validator("gap_s", mode="before")
    @classmethod
    def _gap(cls, value: object) -> float:
        return require.number("data.gap_s", value, at_least=0)

    @field_validator("shards_per_client", mode="before")
    @classmethod
    def _shards(cls, value: object) -> int:
        return require.integer("data.shards_per_client", value, at_least=1)


class SyntheticConfig(Section):
    """The simulated people of ``--data synthetic``; effect sizes are in units of the default.

    ``people`` defaults to a fifth more than clients, so that some can be held out.
    """

    people: int | None = None
    sessions: int = 3
    session_s: float = 480.0
    seed: int = 0
    fingerprint: float = 1.0
    stress_effect: float = 1.0
    response_variation: float = 1.0
    session_drift: float = 1.0
    response_shift: float = 0.0

    @field_validator("people", mode="before")
    @classmethod
    def _people(cls, value: object) -> int | None:
        if value is None:
            return None
        return require.integer("synthetic.people", value, at_least=2, at_most=9999)

    @field_validator("sessions", "seed", mode="before")
    @classmethod
    def _whole(cls, value: object, info: Any) -> int:
        low = 1 if info.field_name == "sessions" else 0
        return require.integer(f"synthetic.{info.field_name}", value, at_least=low)

    @field_validator("session_s", mode="before")
    @classmethod
    def _length(cls, value: object) -> float:
        return require.number("synthetic.session_s", value, at_least=60, at_most=36000)

    @field_validator(
        "fingerprint", "stress_effect", "response_variation", "session_drift", mode="before"
    )
    @classmethod
    def _size(cls, value: object, info: Any) -> float:
        return require.number(f"synthetic.{info.field_name}", value, at_least=0, at_most=100)

    @field_validator("response_shift", mode="before")
    @classmethod
    def _shift(cls, value: object) -> float:
        return require.number("synthetic.response_shift", value, at_least=0, at_most=2)
