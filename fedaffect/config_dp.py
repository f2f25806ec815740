"""The ``[dp]`` table, and which budget goes with which mechanism."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fedaffect import registry, require
from fedaffect.config_section import Section, flag
from fedaffect.errors import UsageError

PLAIN_NOISE = "paper-noise"
NEEDS_MECHANISM = {
    "eps": "--eps",
    "eps_per_round": "--eps-per-round",
    "z": "dp.z",
    "noise_layers": "--noise-layers",
    "unit": "--unit",
    "where": "--dp-where",
    "clip": "--clip",
    "delta": "--delta",
}


class DPConfig(Section):
    """Differential privacy: ``eps`` is the TOTAL budget over the whole run.

    ``blocks`` says what happens to blocks that get no noise, ``block_clips`` clips blocks one by
    one. ``where`` and ``adjacency`` default to server and zero_out, and in the paper's modes to
    client and replace_one.
    """

    mechanism: str = "none"
    eps: float | None = None
    eps_per_round: float | None = None
    delta: float | None = None
    z: float | None = None
    sigma: float | None = None
    unit: Literal["client", "window"] = "client"
    where: Literal["auto", "server", "client"] = "auto"
    adjacency: Literal["auto", "zero_out", "replace_one"] = "auto"
    noise_layers: str = "all"
    blocks: dict[str, Literal["noise", "freeze", "keep_local", "clear"]] = Field(
        default_factory=dict
    )
    clip: float | Literal["adaptive"] = 1.0
    clip_norm: Literal["auto", "l1", "l2", "linf"] = "auto"
    clip_target: Literal["update", "weights"] = "update"
    clip_start: float = 1.0
    clip_quantile: float = 0.5
    clip_rate: float = 0.2
    clip_count_noise: float | None = None
    block_clips: dict[str, float] = Field(default_factory=dict)
    noise_allocation: Literal["uniform", "optimal", "equal-z", "custom"] = "uniform"
    noise_ratios: dict[str, float] = Field(default_factory=dict)
    participation_cap: int | None = None
    paper_records: int = 1000
    unsafe_test_noise: str | None = None

    @field_validator("mechanism")
    @classmethod
    def _known_mechanism(cls, value: str) -> str:
        return registry.check_name("dp", value)

    @field_validator("eps", "eps_per_round", "z", "sigma", mode="before")
    @classmethod
    def _above_zero(cls, value: object, info: Any) -> float | None:
        name = {"z": "dp.z"}.get(info.field_name) or flag(info.field_name)
        hint = "for no DP use --dp none"
        return None if value is None else require.number(name, value, above=0, zero_hint=hint)

    @field_validator("delta", mode="before")
    @classmethod
    def _delta(cls, value: object) -> float | None:
        return None if value is None else require.number("--delta", value, above=0, below=1)

    @field_validator("clip", mode="before")
    @classmethod
    def _clip(cls, value: object) -> float | str:
        if value == "adaptive":
            return "adaptive"
        try:
            return require.number("--clip", value, above=0, at_most=1e6)
        except UsageError as error:
            if error.code != "E201":
                raise
            raise UsageError(
                "E201", error.message, do="give a number such as 1.0, or adaptive"
            ) from None

    @field_validator("clip_start", mode="before")
    @classmethod
    def _clip_start(cls, value: object) -> float:
        return require.number("dp.clip_start", value, above=0, at_most=1e6)

    @field_validator("clip_rate", mode="before")
    @classmethod
    def _clip_rate(cls, value: object) -> float:
        return require.number("dp.clip_rate", value, above=0, at_most=10)

    @field_validator("clip_quantile", mode="before")
    @classmethod
    def _quantile(cls, value: object) -> float:
        return require.number("dp.clip_quantile", value, above=0, below=1)

    @field_validator("clip_count_noise", mode="before")
    @classmethod
    def _count_noise(cls, value: object) -> float | None:
        return None if value is None else require.number("dp.clip_count_noise", value, above=0)

    @field_validator("block_clips", "noise_ratios", mode="before")
    @classmethod
    def _numbers(cls, value: object, info: Any) -> dict[str, float]:
        if not isinstance(value, dict):
            raise ValueError("should be a table of block names and numbers")
        name = f"dp.{info.field_name}"
        return {
            str(block): require.number(f"{name}.{block}", number, above=0, at_most=1e6)
            for block, number in value.items()
        }

    @field_validator("participation_cap", mode="before")
    @classmethod
    def _cap(cls, value: object) -> int | None:
        name = "dp.participation_cap"
        return None if value is None else require.integer(name, value, at_least=1)

    @field_validator("paper_records", mode="before")
    @classmethod
    def _records(cls, value: object) -> int:
        return require.integer("dp.paper_records", value, at_least=1)

    @model_validator(mode="before")
    @classmethod
    def _sigma_is_plain_noise(cls, values: Any) -> Any:
        plain = isinstance(values, dict) and values.get("sigma") is not None
        if plain and values.get("mechanism", "none") == "none":
            return {**values, "mechanism": PLAIN_NOISE}
        return values

    @model_validator(mode="after")
    def _budget_and_mechanism_go_together(self) -> Self:
        check_budget(self)
        return self


def check_budget(dp: DPConfig) -> None:
    """Refuse a budget that does not go with the mechanism.

    Raises:
        UsageError: E220.
    """
    if dp.mechanism == "none":
        for name, option in NEEDS_MECHANISM.items():
            if name in dp.model_fields_set and getattr(dp, name) != _default(dp, name):
                raise UsageError(
                    "E220",
                    f"{option} {getattr(dp, name)} has no mechanism: there is no noise",
                    do=f"add --dp gaussian --eps 5, or drop {option}",
                )
    elif dp.mechanism == PLAIN_NOISE:
        _needs(dp, "sigma", "--sigma 0.3", never=("eps", "eps_per_round", "z"))
    elif dp.mechanism.startswith("paper-"):
        _needs(dp, "eps_per_round", "--eps-per-round 5", never=("eps", "sigma", "z"))
    elif dp.eps_per_round is not None or dp.sigma is not None:
        given = "--sigma" if dp.sigma is not None else "--eps-per-round"
        raise UsageError(
            "E220",
            f"{given} belongs to the paper's modes, --dp {dp.mechanism} takes a TOTAL budget",
            do="give --eps, or --dp paper-gaussian1 --eps-per-round, or --sigma alone",
        )
    elif dp.eps is None and dp.z is None:
        raise UsageError(
            "E220", f"--dp {dp.mechanism} needs a budget", do="add --eps, such as --eps 5"
        )


def _needs(dp: DPConfig, wanted: str, example: str, never: tuple[str, ...]) -> None:
    for name in never:
        if getattr(dp, name) is not None:
            raise UsageError(
                "E220",
                f"{NEEDS_MECHANISM.get(name, '--' + name)} does not go with --dp {dp.mechanism}",
                do=f"give {example} instead",
            )
    if getattr(dp, wanted) is None:
        raise UsageError("E220", f"--dp {dp.mechanism} needs {example.split()[0]}", do=example)


def _default(dp: DPConfig, name: str) -> object:
    return type(dp).model_fields[name].default
