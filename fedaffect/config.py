"""RunConfig: everything that decides a run, checked before anything heavy is imported.

Precedence, low to high: defaults < TOML file < ``FEDAFFECT_*`` < ``-o a.b=c`` < flags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fedaffect import registry, require
from fedaffect.config_data import DataConfig, SyntheticConfig
from fedaffect.config_dp import DPConfig
from fedaffect.config_section import CleanPath, Section, flag, words
from fedaffect.errors import UsageError

SCHEMA_VERSION = 1


class ModelConfig(Section):
    """Which network is trained, from what, for which tasks: the first is the primary one.

    What is ``None`` follows from the others (``fedaffect.release_choice``).
    """

    name: str | None = None
    tasks: tuple[str, ...] | None = None
    backbone: str | None = None
    backbone_sha256: str | None = None
    release: Literal["full", "head", "adapter"] | int | None = None

    @field_validator("name")
    @classmethod
    def _known_model(cls, value: str | None) -> str | None:
        return None if value is None else registry.check_name("model", value)

    @field_validator("release", mode="before")
    @classmethod
    def _release_plan(cls, value: object) -> object:
        if value in (None, "full", "head", "adapter"):
            return value
        try:
            return require.integer("--release", value, at_least=1)
        except UsageError as error:
            do = "allowed: full, head, adapter, or a number such as 9"
            raise UsageError(error.code, error.message, do=do) from None

    @field_validator("tasks", mode="before")
    @classmethod
    def _task_list(cls, value: object) -> object:
        return words(value)


class FederationConfig(Section):
    """Clients, rounds and the training that each client does.

    What is ``None`` defaults to what suits the unit of privacy and what is released
    (``RunConfig.rounds`` and on).
    """

    clients: int | None = None
    rounds: int | None = None
    fraction: float = 1.0
    sampler: Literal["fixed", "bernoulli"] = "fixed"
    strategy: str = "fedavg"
    mu: float = 0.01
    local_epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    momentum: float = 0.9
    optimizer: Literal["sgd", "adam"] = "sgd"
    max_grad_norm: float | Literal["none"] = 1.0
    class_weights: Literal["none", "client"] | None = None

    @field_validator("clients", mode="before")
    @classmethod
    def _clients(cls, value: object) -> int | None:
        return None if value is None else require.integer("--clients", value, at_least=1)

    @field_validator("rounds", "local_epochs", mode="before")
    @classmethod
    def _counts(cls, value: object, info: Any) -> int | None:
        return None if value is None else require.integer(flag(info.field_name), value, at_least=1)

    @field_validator("batch_size", mode="before")
    @classmethod
    def _batch_size(cls, value: object) -> int | None:
        return None if value is None else require.integer("--batch-size", value, at_least=1)

    @field_validator("fraction", mode="before")
    @classmethod
    def _fraction(cls, value: object) -> float:
        return require.number("--fraction", value, above=0, at_most=1)

    @field_validator("mu", mode="before")
    @classmethod
    def _mu(cls, value: object) -> float:
        return require.number("--mu", value, at_least=0)

    @field_validator("lr", mode="before")
    @classmethod
    def _lr(cls, value: object) -> float | None:
        return None if value is None else require.number("--lr", value, above=0)

    @field_validator("momentum", mode="before")
    @classmethod
    def _momentum(cls, value: object) -> float:
        return require.number("federation.momentum", value, at_least=0, below=1)

    @field_validator("max_grad_norm", mode="before")
    @classmethod
    def _max_grad_norm(cls, value: object) -> float | str:
        if value == "none":
            return "none"
        hint = "for no bound give none"
        return require.number("federation.max_grad_norm", value, above=0, zero_hint=hint)

    @field_validator("strategy")
    @classmethod
    def _known_strategy(cls, value: str) -> str:
        return registry.check_name("strategy", value)


class DefenceConfig(Section):
    """What else is done against recognising people from the shared features; not DP.

    ``strength`` defaults to that of the defence; 0 switches it off.
    """

    name: str = "none"
    strength: float | None = None

    @field_validator("name")
    @classmethod
    def _known_defence(cls, value: str) -> str:
        return registry.check_name("defence", value)

    @field_validator("strength", mode="before")
    @classmethod
    def _strength(cls, value: object) -> float | None:
        if value is None:
            return None
        return require.number("defence.strength", value, at_least=0, at_most=1000)


class AuditConfig(Section):
    """What a run does so that it can be audited.

    ``canaries`` are simulated clients with random updates; half of them take part. They cost
    utility, and a run with them is labelled.
    """

    canaries: int = 0

    @field_validator("canaries", mode="before")
    @classmethod
    def _canaries(cls, value: object) -> int:
        return require.integer("audit.canaries", value, at_least=0, at_most=10_000)


class RunSection(Section):
    """Where and how the run is carried out; only ``seed`` and ``dtype`` change a result.

    ``stack`` and ``device`` change its rounding: how many clients train side by side, and on what.
    """

    seed: int = 0
    engine: str = "ray"
    workers: int | None = None
    ray_address: str | None = None
    dtype: Literal["float32", "float64"] = "float32"
    stack: Literal["auto", "on", "off"] | int = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    out: CleanPath | None = None
    reference: bool = True

    @field_validator("seed", mode="before")
    @classmethod
    def _seed(cls, value: object) -> int:
        return require.integer("--seed", value, at_least=0, at_most=2**63 - 1)

    @field_validator("workers", mode="before")
    @classmethod
    def _workers(cls, value: object) -> int | None:
        return None if value is None else require.integer("--workers", value, at_least=1)

    @field_validator("stack", mode="before")
    @classmethod
    def _stack(cls, value: object) -> object:
        if value in ("auto", "on", "off"):
            return value
        try:
            return require.integer("--stack", value, at_least=1)
        except UsageError as error:
            do = "allowed: auto, on, off, or a number such as 10"
            raise UsageError(error.code, error.message, do=do) from None

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        return registry.check_name("engine", value)


@dataclass(frozen=True)
class FewNumbers:
    """How few released numbers are trained, chosen on public people (``fedaffect dp tune``)."""

    rounds: int = 5
    local_epochs: int = 10
    batch_size: int = 4096
    lr: float = 1.0
    class_weights: Literal["none", "client"] = "client"


FEW = FewNumbers()


class RunConfig(Section):
    """A whole run. Frozen; change by ``config.replace({"dp.eps": 1})``."""

    schema_version: int = SCHEMA_VERSION
    data: DataConfig = Field(default_factory=DataConfig)
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    federation: FederationConfig = Field(default_factory=FederationConfig)
    dp: DPConfig = Field(default_factory=DPConfig)
    defence: DefenceConfig = Field(default_factory=DefenceConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    run: RunSection = Field(default_factory=RunSection)

    @property
    def releases_few(self) -> bool:
        """Whether only a part of the network is trained on private people."""
        release, backbone = self.model.release, self.model.backbone
        return (release or ("full" if backbone in (None, "none") else "head")) != "full"

    @property
    def rounds(self) -> int:
        """Rounds: as given, else 40, or few where few numbers are released."""
        return self.federation.rounds or (FEW.rounds if self.releases_few else 40)

    @property
    def local_epochs(self) -> int:
        """Passes over a client's data: as given, else 1, or many where few are released."""
        return self.federation.local_epochs or (FEW.local_epochs if self.releases_few else 1)

    @property
    def batch_size(self) -> int:
        """Windows in a step: as given, else 16; 64 in noised steps; all where few are released."""
        steps = 64 if self.dp.unit == "window" else FEW.batch_size if self.releases_few else 16
        return self.federation.batch_size or steps

    @property
    def lr(self) -> float:
        """Learning rate: as given, else 0.1; 0.5 in noised steps; 1 where few are released."""
        few = FEW.lr if self.releases_few else 0.1
        return self.federation.lr or (0.5 if self.dp.unit == "window" else few)

    @property
    def class_weights(self) -> Literal["none", "client"]:
        """Whether clients weigh their classes alike: as given, else where few are released."""
        few = self.releases_few and self.dp.unit == "client"
        return self.federation.class_weights or (FEW.class_weights if few else "none")

    @model_validator(mode="after")
    def _weights_need_whole_clients(self) -> Self:
        if self.class_weights == "client" and self.dp.unit == "window":
            raise UsageError(
                "E277",
                "--class-weights client does not go with --unit window: the weight of a window "
                "depends on the labels of the others",
                do="--class-weights none, or --unit client",
            )
        return self

    def replace(self, changes: dict[str, Any]) -> RunConfig:
        """Return a copy with dotted keys changed, validated again."""
        values = self.model_dump()
        for dotted, value in changes.items():
            section, _, key = dotted.partition(".")
            values[section][key] = value
        return RunConfig.model_validate(values)
