"""From a finished training to its record and its folder: the words and tables of a run."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fedaffect.build import Experiment
from fedaffect.config import RunConfig
from fedaffect.data.splits import Split
from fedaffect.device import gpu_name
from fedaffect.forecasts import advised_forecast
from fedaffect.home import state_home
from fedaffect.outline import Outline
from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.ledger import Ledger, ledger_path
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.run_facts import RunFacts
from fedaffect.privacy.spending import Spending, spending
from fedaffect.privacy.state_run import make_statement
from fedaffect.privacy.statement import PrivacyStatement, statement_metadata
from fedaffect.record import (
    DataSummary,
    Figures,
    Forecast,
    ModelSummary,
    PartitionSummary,
    Provenance,
    RunRecord,
    SplitSummary,
)
from fedaffect.release_summary import release_summary
from fedaffect.server.rounds import RoundLoop
from fedaffect.server.training import Training
from fedaffect.toml_text import to_toml
from fedaffect.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "flwr", "ray", "opacus", "dp-accounting")
SUBJECT_PARTITION = (
    "With whole people per client the model's own identity head stays near chance by construction. "
    "That is no privacy: read the fresh attacker."
)
OVERLAP = "random windows overlap across the split: these figures flatter the model"
REFERENCE_IS_NOT_PRIVATE = (
    "The reference runs without DP were made for comparison; no guarantee covers them. With real "
    "people's data keep their figures to yourself."
)


def promised(planned: Outline, other_runs: Spending | None = None) -> PrivacyStatement:
    """Return the statement that the run will end with, if every planned release is made.

    Args:
        planned: The plan, its noise sized.
        other_runs: What other runs on the same data have spent.
    """
    test_noise = planned.config.dp.unsafe_test_noise is not None
    private = bool(planned.mechanism.groups)
    facts = RunFacts(
        releases_done=planned.plan.releases if private else 0,
        key_kind="unsafe-test" if test_noise else "secret" if private else "none",
        normalisation=str(planned.config.data.normalise),
        public_data=planned.start.public_data,
        planned=True,
        fewest_replies=_quorum(planned.plan),
        other_runs=other_runs,
        canaries=planned.config.audit.canaries,
    )
    return make_statement(planned.mechanism, planned.plan, planned.factory.layout, facts)


def metadata_of(experiment: Experiment) -> dict[str, str]:
    """Return what every checkpoint of ``experiment`` says of its privacy."""
    return statement_metadata(promised(experiment.outline).to_dict())


def spent_before(planned: Outline, except_run: str | None = None) -> Spending | None:
    """Return what other runs have spent on the data set of ``planned``; ``None`` without a ledger.

    Raises:
        PrivacyError: E402, E404 there is a ledger, and it cannot be used.
    """
    name, home = planned.config.data.name, state_home()
    if not planned.mechanism.groups or not ledger_path(home, name).exists():
        return None
    with Ledger.open(home, name, SecretNoiseKey.load(home)) as ledger:
        return spending(ledger, except_run=except_run)


def _quorum(plan: ReleasePlan) -> int:
    """Return the smallest number of replies with which a planned round is released."""
    if plan.sampler == "poisson" or plan.participation_cap is not None:
        return 1
    return max(1, math.ceil(RoundLoop.min_success * plan.clients_per_round))


def ledger_name(experiment: Experiment) -> str:
    """Return the name of the privacy ledger: one per data set and site.

    The state folder is the site. The name must not change when a person or a file is added, or
    the budget that was spent on everyone else would be forgotten; so it is the data set's name.
    """
    return experiment.table.dataset


def statement_of(
    training: Training, releases_done: int, ledger: Ledger | None = None
) -> dict[str, Any]:
    """Return the privacy statement of a finished training, as plain values.

    Args:
        training: The training.
        releases_done: Releases that were paid for, of the ledger where there is one.
        ledger: The open ledger that was charged; ``None`` without one.
    """
    e, run = training.experiment, training.run_id
    replies = [r.clients for r in training.rounds if r.clients and not r.abandoned]
    facts = RunFacts(
        releases_done=releases_done,
        key_kind=training.key.kind if training.key is not None else "none",
        normalisation=str(e.config.data.normalise),
        public_data=e.outline.start.public_data,
        data_notes=(e.normalisation,),
        ledger_head=ledger.head if ledger is not None else None,
        participations=ledger.participations(run) if ledger is not None else None,
        fewest_replies=min(replies, default=None),
        other_runs=spending(ledger, except_run=run) if ledger is not None else None,
        stopped=training.stopped.message if training.stopped is not None else None,
        canaries=e.config.audit.canaries,
    )
    return make_statement(e.mechanism, e.plan, e.factory.layout, facts).to_dict()


def record_of(
    *,
    run_id: str,
    folder: str,
    experiment: Experiment,
    training: Training,
    statement: dict[str, Any],
    figures: Figures,
    no_dp: Figures | None,
    iid_reference: Figures | None,
    public_only: Figures | None,
    workers: int,
    started: datetime,
    seconds: float,
) -> RunRecord:
    """Return the record of a run."""
    config = experiment.config
    forecast = advised_forecast(experiment.outline)
    return RunRecord(
        provenance=Provenance(
            run_id=run_id,
            version=__version__,
            started=started.isoformat(timespec="seconds"),
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=seconds,
            seed=config.run.seed,
            engine=config.run.engine,
            workers=workers,
            config=public_config(config),
            config_sha256=hashlib.sha256(to_toml(public_config(config)).encode()).hexdigest(),
            environment=environment(config.run.device),
        ),
        data=_data(experiment),
        model=ModelSummary(
            name=str(config.model.name),
            parameters=experiment.factory.layout.size,
            blocks=experiment.factory.layout.block_sizes,
            tasks=tuple(asdict(task) for task in experiment.factory.build().tasks),
        ),
        release=release_summary(experiment.outline),
        forecast=forecast,
        rounds=tuple(training.rounds),
        figures=figures,
        no_dp=no_dp,
        iid_reference=iid_reference,
        public_only=public_only,
        privacy=statement,
        warnings=_warnings(experiment, forecast, statement, reference=bool(no_dp)),
        folder=folder,
    )


def public_config(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as plain JSON values, without the place of the run folder."""
    return config.model_dump(mode="json", exclude={"run": {"out"}})


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return versions and machine: what decides speed and rounding, and nothing secret.

    Args:
        device: Where clients train; with ``cuda`` the GPU is named, too.
    """
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "missing"
    machine = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": packages,
    }
    return machine | {"gpu": gpu_name()} if device == "cuda" else machine


def _data(experiment: Experiment) -> DataSummary:
    table, data = experiment.table, experiment.config.data
    return DataSummary(
        name=table.dataset,
        synthetic=table.synthetic,
        licence=table.licence,
        citation=table.citation,
        people=len(table.subjects),
        windows=len(table),
        features=len(table.feature_names),
        window_s=table.window_s,
        overlap=data.overlap,
        normalisation=experiment.normalisation,
        fingerprint=table.fingerprint,
        files=tuple(asdict(f) for f in table.files),
        notes=table.notes,
        split=_split(experiment.split),
        partition=partition_summary(experiment),
    )


def _split(split: Split) -> SplitSummary:
    first = split.folds[0]
    return SplitSummary(
        spec=split.spec,
        description=split.description,
        folds=len(split.folds),
        leaks_overlap=split.leaks_overlap,
        smallest_gap_s=None if split.leaks_overlap else split.gap_s,
        people_seen=len(first.seen_subjects),
        people_unseen=len(first.unseen_subjects),
        windows_train=int(first.train.sum()),
        windows_stress_test=int(first.stress_test.sum()),
        windows_identity_test=int(first.identity_test.sum()),
    )


def partition_summary(experiment: Experiment) -> PartitionSummary:
    """Return who holds what in the first fold."""
    partition, table = experiment.folds[0].partition, experiment.table
    return PartitionSummary(
        name=partition.name,
        options=dict(partition.options),
        clients=tuple(f"client {i}" for i in range(len(partition.clients))),
        subjects=table.subjects,
        by_subject=tuple(tuple(int(v) for v in row) for row in partition.counts),
        by_stress=tuple((int(row[0]), int(row[1])) for row in partition.stress_counts),
        subjects_per_client_max=partition.max_subjects_per_client,
        clients_per_subject_max=partition.max_clients_per_subject,
    )


def _warnings(
    experiment: Experiment, forecast: Forecast, statement: dict[str, Any], reference: bool
) -> tuple[str, ...]:
    config = experiment.config
    lines = [f"W112 {s}" for s in forecast.sentences]
    if config.dp.mechanism != "none":
        lines += [str(w) for w in statement["warnings"]]
    if count := config.audit.canaries:
        lines.append(f"W125 this run carries {count} canary clients: its utility is not a headline")
    if experiment.split.leaks_overlap:
        lines.append(f"W121 {OVERLAP}")
    if config.data.partition == "subject" and "identity" in (config.model.tasks or ()):
        lines.append(f"W122 {SUBJECT_PARTITION}")
    if reference and not experiment.table.synthetic:
        lines.append(f"W123 {REFERENCE_IS_NOT_PRIVATE}")
    return tuple(lines)
