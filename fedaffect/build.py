"""RunConfig -> Experiment: the composition root, the only place that asks the registries.

``outline`` goes as far as the plan (who, how many, which noise) without reading a signal;
``build`` adds the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from fedaffect import registry
from fedaffect.config import RunConfig
from fedaffect.data.normalise import normalise
from fedaffect.data.partition.base import Partition
from fedaffect.data.schema import Dataset, WindowTable, channels_of
from fedaffect.data.splits import Split, make_split
from fedaffect.data.table_cache import cached_table
from fedaffect.data.windows import cut_windows
from fedaffect.errors import UsageError
from fedaffect.models.factory import ModelFactory
from fedaffect.privacy.base import Mechanism, PrivacySpec, ReleasePlan
from fedaffect.strategies.base import Strategy

DEFAULT_CLIENTS = 20
FEATURES_PER_CHANNEL = 10
RANDOM_FOLDS = 5


def silent(stage: str) -> None:
    """Ignore what is being done."""


@dataclass(frozen=True)
class Outline:
    """What is known about a run before any signal is read.

    Args:
        config: The configuration with every ``auto`` and default resolved.
        dataset: The loader.
        subjects: Ids of all labelled people.
        unseen: Number of people who are held out wholly.
        folds: Number of models that the evaluation trains.
        factory: Builds the network.
        strategy: The federated algorithm.
        plan: What the accountant needs.
        mechanism: The privacy mechanism, calibrated.
    """

    config: RunConfig
    dataset: Dataset
    subjects: tuple[str, ...]
    unseen: int
    folds: int
    factory: ModelFactory
    strategy: Strategy
    plan: ReleasePlan
    mechanism: Mechanism


@dataclass(frozen=True)
class Fold:
    """One model to train and test: masks over the windows, and who holds which.

    ``identity`` numbers the people seen in training from 0; everyone else is -1.
    """

    number: int
    features: np.ndarray  # (N, F) float32, normalised
    identity: np.ndarray  # (N,) int64
    seen: tuple[int, ...]  # indices into the table's subjects
    train: np.ndarray  # (N,) bool
    stress_test: np.ndarray  # (N,) bool
    identity_test: np.ndarray  # (N,) bool
    enrol: np.ndarray  # (N,) bool
    partition: Partition


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs; the same in every process that builds it."""

    outline: Outline
    table: WindowTable
    split: Split
    folds: tuple[Fold, ...]
    normalisation: str
    plan: ReleasePlan

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return self.outline.config

    @property
    def factory(self) -> ModelFactory:
        """Builds the network."""
        return self.outline.factory

    @property
    def strategy(self) -> Strategy:
        """The federated algorithm."""
        return self.outline.strategy

    @property
    def mechanism(self) -> Mechanism:
        """The calibrated privacy mechanism."""
        return self.outline.mechanism


def outline(config: RunConfig) -> Outline:
    """Resolve ``config`` as far as the plan, without reading signals.

    Raises:
        UsageError: E221 more clients than people; E222 the budget cannot be met; and others.
        DataError: the data root is missing or incomplete.
    """
    config = _with_clients_and_people(config)
    dataset = _dataset(config)
    subjects = dataset.subjects(config.data.root)
    config = _with_client_default(config, len(subjects))
    clients = _clients(config)
    unseen = _unseen(config, len(subjects))
    config = config.replace({"data.eval": _eval(config, unseen)})
    seen = len(subjects) - (1 if config.data.eval == "loso" else unseen)
    if config.data.partition == "subject" and clients > seen:
        raise UsageError(
            "E221",
            f"--clients {clients} is more than the {seen} subjects of {config.data.name} "
            "(partition subject)",
            do=f"--clients {seen}, or --partition dirichlet",
        )
    folds = {"loso": len(subjects), "random": RANDOM_FOLDS}.get(config.data.eval, 1)
    factory = ModelFactory(
        registry.resolve("model", config.model.name),
        {
            "n_features": FEATURES_PER_CHANNEL * len(channels_of(config.data.modality)),
            "n_identities": seen,
        },
        config.run.dtype,
    )
    plan = _release_plan(config, folds)
    spec = PrivacySpec(
        config.dp.mechanism, config.dp.eps, config.dp.delta, config.dp.noise_layers, config.dp.clip
    )
    mechanism = registry.resolve("dp", config.dp.mechanism)(spec=spec)
    return Outline(
        config=config,
        dataset=dataset,
        subjects=subjects,
        unseen=unseen,
        folds=folds,
        factory=factory,
        strategy=_component("strategy", config.federation.strategy, {"mu": config.federation.mu}),
        plan=plan,
        mechanism=mechanism.calibrate(plan, factory.layout),
    )


def build(
    config: RunConfig, stage: Callable[[str], None] = silent, ready: Outline | None = None
) -> Experiment:
    """Resolve ``config``, read the data and deal them out.

    Args:
        config: What to run.
        stage: Told in words what is being done.
        ready: The outline of ``config``, where the caller has it already.

    Raises:
        FedaffectError: as ``outline``, and whatever the data give cause for.
    """
    plan = ready or outline(config)
    table = window_table(plan, stage)
    split = split_of(plan, table)
    stage("dealing windows to clients")
    folds: list[Fold] = []
    described = ""
    for number, masks in enumerate(split.folds):
        fold, described = _fold(plan, table, number, masks)
        folds.append(fold)
    release = replace(
        plan.plan,
        clients_per_subject=max(f.partition.max_clients_per_subject for f in folds),
        subjects_per_client=max(f.partition.max_subjects_per_client for f in folds),
    )
    return Experiment(plan, table, split, tuple(folds), described, release)


def window_table(plan: Outline, stage: Callable[[str], None] = silent) -> WindowTable:
    """Return the feature windows of the data set, from the cache where they are unchanged."""
    data = plan.config.data
    key = {
        "dataset": repr(plan.dataset),
        "root": str(data.root.resolve()) if data.root else None,
        "files": _file_stamps(data.root),
        "modality": data.modality,
        "overlap": data.overlap,
    }

    def make() -> WindowTable:
        stage(f"reading {data.name}")
        recordings = plan.dataset.load(data.root)
        stage("cutting windows and computing features")
        return cut_windows(recordings, modality=data.modality, overlap=data.overlap)

    return cached_table(key, make)


def split_of(plan: Outline, table: WindowTable) -> Split:
    """Return the split that ``plan`` asks for."""
    return make_split(
        table,
        plan.config.data.eval,
        clients=len(plan.subjects) - plan.unseen,
        seed=plan.config.run.seed,
        gap_s=plan.config.data.gap_s,
        partition="subject",
    )


def _fold(plan: Outline, table: WindowTable, number: int, masks: Any) -> tuple[Fold, str]:
    data = plan.config.data
    features, described = normalise(
        table.features,
        choice=data.normalise,
        train=masks.train,
        subject=table.subject,
        feature_names=table.feature_names,
    )
    seen = masks.seen_subjects
    identity = np.full(len(table.subjects), -1, dtype=np.int64)
    identity[list(seen)] = np.arange(len(seen))
    dealer = _component(
        "partition",
        data.partition,
        {"alpha": data.alpha, "by": data.partition_by, "shards_per_client": data.shards_per_client},
    )
    partition = dealer.assign(table, masks.train, _clients(plan.config), plan.config.run.seed)
    fold = Fold(
        number,
        features,
        identity[table.subject],
        seen,
        masks.train,
        masks.stress_test,
        masks.identity_test,
        masks.enrol,
        partition,
    )
    return fold, described


def _component(kind: str, name: str, options: dict[str, Any]) -> Any:
    """Build a registered frozen dataclass from those ``options`` that are fields of it."""
    cls = registry.resolve(kind, name)
    known = {f.name for f in fields(cls)}
    return cls(**{k: v for k, v in options.items() if k in known})


def _dataset(config: RunConfig) -> Dataset:
    data = config.data
    options: dict[str, Any] = {"modality": data.modality, "allow_missing": data.allow_missing}
    if data.name == "synthetic":
        options |= config.synthetic.model_dump()
    dataset: Dataset = _component("data", data.name, options)
    if dataset.info.needs_root and data.root is None:
        raise UsageError(
            "E215", f"--data {data.name} is not shipped", do="add --data-root DIR, its folder on disk"
        )
    return dataset


def _with_clients_and_people(config: RunConfig) -> RunConfig:
    """Resolve the number of clients and of simulated people, a fifth more than clients."""
    if config.data.name != "synthetic":
        return config
    clients = config.federation.clients or DEFAULT_CLIENTS
    changes: dict[str, Any] = {"federation.clients": clients}
    if config.synthetic.people is None:
        extra = 0 if config.data.eval in ("blocks", "random") else math.ceil(clients / 5)
        changes["synthetic.people"] = max(2, clients + extra)
    return config.replace(changes)


def _with_client_default(config: RunConfig, people: int) -> RunConfig:
    if config.federation.clients is not None:
        return config
    few = config.data.partition == "subject"
    return config.replace({"federation.clients": min(DEFAULT_CLIENTS, people) if few else 20})


def _clients(config: RunConfig) -> int:
    assert config.federation.clients is not None  # resolved before
    return config.federation.clients


def _unseen(config: RunConfig, people: int) -> int:
    """Return how many people are held out wholly: those without a client, or a fifth."""
    spec, clients = config.data.eval, _clients(config)
    if spec not in ("auto", "unseen"):
        return 0
    if config.data.partition == "subject":
        spare = people - clients
    else:
        spare = people - clients if people > clients else 0
        spare = spare or (max(1, round(people / 5)) if spec == "unseen" else 0)
    if spec == "unseen" and spare < 1:
        raise UsageError(
            "E216",
            f"--eval unseen needs people without a client; {people} people, {clients} clients",
            do=f"--clients {max(1, people - max(1, people // 5))}, or --eval blocks",
        )
    return max(0, spare)


def _eval(config: RunConfig, unseen: int) -> str:
    if config.data.eval != "auto":
        return config.data.eval
    return "unseen" if unseen else "blocks"


def _release_plan(config: RunConfig, folds: int) -> ReleasePlan:
    f, clients = config.federation, _clients(config)
    if f.fraction >= 1:
        sampler, expected = "full", float(clients)
    elif f.sampler == "bernoulli":
        sampler, expected = "poisson", clients * f.fraction
    else:
        sampler, expected = "fixed", float(max(1, round(clients * f.fraction)))
    one_each = config.data.partition == "subject"
    return ReleasePlan(
        releases=f.rounds * folds,
        clients_per_round=expected,
        sampling_rate=1.0 if sampler == "full" else expected / clients,
        sampler=sampler,  # type: ignore[arg-type]
        n_units=clients,
        clients_per_subject=1 if one_each else clients,
        subjects_per_client=1,
    )


def _file_stamps(root: Any) -> list[tuple[str, int, int]]:
    """Return path, size and modification time of every file under ``root``."""
    if root is None:
        return []
    return sorted(
        (str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns)
        for p in root.rglob("*")
        if p.is_file()
    )
