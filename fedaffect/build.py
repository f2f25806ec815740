"""RunConfig -> Experiment: the composition root. ``fedaffect.outline`` plans; this adds data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fedaffect.config import RunConfig
from fedaffect.data import splits
from fedaffect.data.normalise import normalise
from fedaffect.data.partition.base import Partition
from fedaffect.data.schema import WindowTable
from fedaffect.data.table_cache import cached_table
from fedaffect.data.windows import cut_windows
from fedaffect.errors import UsageError
from fedaffect.models.factory import ModelFactory
from fedaffect.outline import Outline, component, outline
from fedaffect.privacy.base import LocalSteps, Mechanism, ReleasePlan
from fedaffect.privacy.mechanisms.window import spans
from fedaffect.privacy_plan import clients_of
from fedaffect.strategies.base import Strategy


def silent(stage: str) -> None:
    """Ignore what is being done."""


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
    split: splits.Split
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
    if plan.mechanism.noise_at == "steps":
        stage("sizing noise for the clients' windows")
        release = _with_local_steps(plan, release, folds)
        mechanism = plan.mechanism.calibrate(release, plan.factory.layout)
        plan = replace(plan, plan=release, mechanism=mechanism)
    return Experiment(plan, table, split, tuple(folds), described, release)


def _with_local_steps(plan: Outline, release: ReleasePlan, folds: list[Fold]) -> ReleasePlan:
    """Return ``release`` with what per-window accounting needs of the clients' windows."""
    f = plan.config.federation
    sizes = [[len(rows) for rows in fold.partition.clients] for fold in folds]
    smallest = min(min(s) for s in sizes)
    batch_size = f.batch_size or min(plan.config.batch_size, smallest)
    if smallest < batch_size:
        raise UsageError(
            "E236",
            f"a client has {smallest} windows, fewer than --batch-size {batch_size}: no rate "
            "of at most 1 draws such a batch",
            do=f"--batch-size {smallest}, or fewer clients",
        )
    local = LocalSteps(
        spans=spans([n for fold in sizes for n in fold], len(folds)),
        batch_size=batch_size,
        local_epochs=plan.config.local_epochs,
        windows_per_second=math.ceil(1 / (1 - plan.config.data.overlap)),
    )
    return replace(release, local=local, n_units=max(sum(s) for s in sizes))


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


def split_of(plan: Outline, table: WindowTable) -> splits.Split:
    """Return the split that ``plan`` asks for."""
    return splits.make_split(
        table,
        plan.config.data.eval,
        clients=len(plan.subjects) - plan.unseen,
        seed=plan.config.run.seed,
        gap_s=plan.config.data.gap_s,
        partition="subject",
    )


def _fold(plan: Outline, table: WindowTable, number: int, masks: splits.Fold) -> tuple[Fold, str]:
    data = plan.config.data
    features, described = normalise(
        table.features,
        choice=str(data.normalise),
        train=masks.train,
        subject=table.subject,
        feature_names=table.feature_names,
    )
    seen = masks.seen_subjects
    identity = np.full(len(table.subjects), -1, dtype=np.int64)
    identity[list(seen)] = np.arange(len(seen))
    dealer = component(
        "partition",
        data.partition,
        {"alpha": data.alpha, "by": data.partition_by, "shards_per_client": data.shards_per_client},
    )
    partition = dealer.assign(table, masks.train, clients_of(plan.config), plan.config.run.seed)
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


def _file_stamps(root: Path | None) -> list[tuple[str, int, int]]:
    """Return path, size and modification time of every file under ``root``."""
    if root is None:
        return []
    return sorted(
        (str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns)
        for p in root.rglob("*")
        if p.is_file()
    )
