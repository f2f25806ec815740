"""From a finished run to the evidence that attacks are handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fedaffect import references
from fedaffect.auditing.finished import FinishedRun
from fedaffect.auditing.network import FactoryNetwork
from fedaffect.auditing.replay import uploads_of
from fedaffect.auditing.trainer import InProcessTrainer
from fedaffect.build import Experiment
from fedaffect.clients.loss import multitask_loss
from fedaffect.clients.side import client_side
from fedaffect.config_dp import DPConfig
from fedaffect.privacy.attacks.evidence import Claim, Evidence, LocalTraining, Windows
from fedaffect.privacy.canaries import canaries_of
from fedaffect.server.evaluation import identity_head_is_released

PAPER = ("paper_claim", "true_value_of_paper_claim")


def evidence_of(
    run: FinishedRun,
    stage: Callable[[str], None],
    *,
    seed: int,
    gate_confidence: float = 0.999,
    with_reference: bool = True,
    with_uploads: bool = True,
) -> Evidence:
    """Return all that an attacker on ``run`` may know.

    Args:
        run: The finished run.
        stage: Told in words what is being done.
        seed: Master seed of everything that attacks draw.
        gate_confidence: Confidence of every gated bound.
        with_reference: Whether an attack asks for the same run without DP, which is trained
            where it is not kept.
        with_uploads: Whether an attack asks for the uploads, which are recomputed.
    """
    e, statement = run.experiment, run.statement
    trainer = InProcessTrainer(e)
    uploads, no_uploads = (
        uploads_of(run, stage) if with_uploads else ((), "No attack asks for uploads.")
    )
    tasks = e.factory.build().tasks

    def objective(outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> Any:
        return multitask_loss(tasks, dict(outputs), dict(batch))

    return Evidence(
        seed=seed,
        windows=windows_of(e),
        factory=e.factory,
        network=FactoryNetwork(e.factory),
        trainer=trainer,
        local=_local(e),
        objective=objective,
        params=run.params,
        initial=e.factory.initial(e.config.run.seed),
        reference=_reference(e, trainer, stage) if with_reference else None,
        mechanism=e.mechanism,
        plan=replace(e.plan, releases=statement["releases_done"] or e.plan.releases),
        claims=_claims(statement),
        paper_claim={name: statement[name] for name in PAPER} if statement[PAPER[0]] else {},
        uploads=uploads,
        no_uploads=no_uploads,
        canaries=canaries_of(
            e.config.run.seed, e.config.audit.canaries, e.mechanism, len(run.rounds)
        ),
        own_head_released=identity_head_is_released(e),
        rounds=len(run.rounds),
        gate_confidence=gate_confidence,
    )


def windows_of(experiment: Experiment) -> Windows:
    """Return the windows of all people and what they had to do with the first fold's model."""
    table, split, fold = experiment.table, experiment.split, experiment.folds[0]
    client = np.full(len(table), -1, dtype=np.int64)
    for number, rows in enumerate(fold.partition.clients):
        client[rows] = number
    return Windows(
        features=fold.features,
        subject=table.subject,
        recording=table.recording,
        start_s=table.start_s,
        window_s=table.window_s,
        stress=table.stress,
        identity=fold.identity,
        train=fold.train,
        enrol=fold.enrol,
        identity_test=fold.identity_test,
        unseen=np.isin(table.subject, split.unseen_subjects[0]),
        client=client,
        people=table.subjects,
        people_drawn_at_random=split.spec == "unseen",  # one after another under loso
        leaks_overlap=split.leaks_overlap,
        synthetic=table.synthetic,
        feature_names=table.feature_names,
    )


def _local(experiment: Experiment) -> LocalTraining:
    plan = client_side(experiment).plan
    return LocalTraining(
        lr=plan.lr,
        momentum=plan.momentum,
        batch_size=plan.batch_size,
        local_epochs=plan.local_epochs,
        max_grad_norm=plan.max_grad_norm,
        optimizer=plan.optimizer,
    )


def _claims(statement: Mapping[str, Any]) -> tuple[Claim, ...]:
    return tuple(
        Claim(
            status=statement["status"],
            observer=line["observer"],
            unit=statement["unit"],
            adjacency=statement["adjacency"],
            eps=line["eps"],
            delta=line["delta"],
        )
        for line in statement["observers"]
    )


def _reference(
    experiment: Experiment, trainer: InProcessTrainer, stage: Callable[[str], None]
) -> np.ndarray | None:
    """Return the parameters (d,) of the same run without DP; ``None`` if it has none."""
    config = experiment.config
    if config.dp == DPConfig():
        return None
    plain = references.without_dp(config)
    key = references.key_of(plain, experiment.table.fingerprint)
    if (kept := references.cached_params(key)) is not None:
        return kept
    stage(f"training the reference without DP, {config.rounds} rounds")
    params = trainer.model(experiment.folds[0].train, config.run.seed)
    references.store_params(key, params)
    return params
