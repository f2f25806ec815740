"""``trial(cell) -> TrialRecord``: train one cell in this process, attack it, state its privacy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fedaffect.build import Experiment, Fold, build
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.side import client_side
from fedaffect.data.partition.base import Partition
from fedaffect.data.schema import WindowTable
from fedaffect.errors import ClientsLostError
from fedaffect.ledger_anchor import AnchoredBudget
from fedaffect.outline import Outline, outline
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.private_training import Outcome, train_privately
from fedaffect.record import RoundRecord
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.task import CELLS_NAME, Task
from fedaffect.rng import generator
from fedaffect.server.evaluation import final_figures
from fedaffect.server.rounds import OnUploads
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid
from fedaffect.study_record import Claimed, CurvePoint, TrialRecord
from fedaffect.summary import public_config


def trial_of(task: Task) -> TrialRecord:
    """Return the :func:`trial` of a task, its ledger anchored in the folder of the study."""
    return trial(task.cell, task.run_id, task.folder / CELLS_NAME / task.file)


def trial(cell: Cell, run_id: str, folder: Path) -> TrialRecord:
    """Train every fold of ``cell``, attack the models, and say what they promise.

    A fold is a run of its own in the privacy ledger. Repeating a trial under the same id repeats
    the same releases, which costs nothing.

    Args:
        cell: What is trained.
        run_id: Id of its runs in the ledger; the fold's number is added.
        folder: Where the heads of the ledger are anchored.

    Raises:
        FedaffectError: as ``simulate``.
    """
    clock = time.perf_counter()
    experiment = experiment_of(cell)
    outcomes = []
    for number in range(len(experiment.folds)):
        anchor = folder / f"fold-{number}"
        anchor.mkdir(mode=0o700, parents=True, exist_ok=True)
        outcomes.append(_trained(experiment, number, f"{run_id}-{number}", anchor, cell.curve))
    trainings = [outcome.training for outcome in outcomes]
    statement = outcomes[0].statement
    return trial_record(
        cell,
        experiment,
        figures=final_figures(experiment, [t.params[-1] for t in trainings]),
        curve=_curve([t.rounds for t in trainings]) if cell.curve else (),
        status=statement["status"],
        claimed=claimed_by(statement),
        stopped=why_stopped(trainings),
        seconds=time.perf_counter() - clock,
    )


def trial_record(cell: Cell, experiment: Experiment, **found: Any) -> TrialRecord:
    """Return the record of ``cell``: what was trained on what, and what was ``found``."""
    told = {
        "name": cell.name,
        "what": cell.what,
        "family": cell.family,
        "config": public_config(experiment.config),
        "folds": len(experiment.folds),
        "windows_per_client": tuple(len(c) for c in experiment.folds[0].partition.clients),
        "leaks_overlap": experiment.split.leaks_overlap,
    }
    return TrialRecord(**{"seconds": 0.0, **told, **found})


def experiment_of(cell: Cell) -> Experiment:
    """Return the experiment of ``cell``: its folds, with no more windows than it asks for.

    The plan counts the releases of one fold: the noise that the paper sizes for T rounds is that
    of T rounds.
    """
    experiment = build(cell.config, ready=_of_one_fold(outline(cell.config)))
    seed = cell.config.run.seed
    folds = [
        _limited(fold, experiment.table, cell, seed) for fold in experiment.folds[: cell.folds]
    ]
    return replace(experiment, folds=tuple(folds))


def train(
    experiment: Experiment,
    run_id: str,
    key: SecretNoiseKey | TestNoiseKey | None = None,
    budget: AnchoredBudget | None = None,
    account: AccountPlan | None = None,
    curve: bool = False,
    on_uploads: OnUploads | None = None,
) -> Training:
    """Train ``experiment`` in this process; a training that diverges keeps its last finite model.

    Args:
        experiment: What is trained.
        run_id: Id of the run.
        key: Secret noise key; ``None`` without DP.
        budget: Privacy ledger; ``None`` without DP.
        account: What the clients account for, under DP.
        curve: Evaluate after every round.
        on_uploads: Told of every round, the model that was sent, and what came back.
    """
    grid = LocalGrid(run_id)
    grid.place(client_side(experiment, run_id, account))
    training = Training(
        experiment, run_id, key, budget, evaluate_rounds=curve, on_uploads=on_uploads
    )
    try:
        training.run(grid)
    except ClientsLostError:
        if not training.rounds:
            raise
    return training


def _of_one_fold(planned: Outline) -> Outline:
    release = replace(planned.plan, releases=planned.config.rounds)
    mechanism = planned.mechanism.calibrate(release, planned.factory.layout)
    return replace(planned, plan=release, mechanism=mechanism)


def _trained(
    experiment: Experiment, number: int, run_id: str, folder: Path, curve: bool
) -> Outcome:
    """Train one fold under DP as its configuration says; a spent budget ends the study."""
    alone = replace(experiment, folds=(replace(experiment.folds[number], number=0),))
    outcome = train_privately(
        alone,
        run_id,
        folder,
        lambda key, budget, account: train(alone, run_id, key, budget, account, curve),
    )
    if outcome.training.stopped is not None:
        raise outcome.training.stopped
    return outcome


def _limited(fold: Fold, table: WindowTable, cell: Cell, seed: int) -> Fold:
    """Return ``fold`` with at most so many windows a client and windows to enrol with."""
    enrol = fold.enrol
    if cell.enrolled is not None and enrol.sum() > cell.enrolled:
        enrol = np.zeros_like(enrol)
        drawn = generator(seed, "study", "enrol").permutation(np.flatnonzero(fold.enrol))
        enrol[drawn[: cell.enrolled]] = True
        enrol |= _first_of_each_person(fold, table)
    most = cell.windows
    if most is None or all(len(rows) <= most for rows in fold.partition.clients):
        return replace(fold, enrol=enrol)
    kept = [
        generator(seed, "study", "windows", client).permutation(rows)[:most]
        for client, rows in enumerate(fold.partition.clients)
    ]
    dealt = fold.partition
    partition = Partition.of(table, kept, dealt.name, {**dealt.options, "most_windows": most})
    return replace(fold, enrol=enrol, partition=partition)


def _first_of_each_person(fold: Fold, table: WindowTable) -> np.ndarray:
    """Return a mask (N,) with one enrolment window of every person: nobody stays unknown."""
    rows = np.flatnonzero(fold.enrol)
    mask = np.zeros(len(table), dtype=bool)
    mask[rows[np.unique(table.subject[rows], return_index=True)[1]]] = True
    return mask


def _curve(rounds: Sequence[Sequence[RoundRecord]]) -> tuple[CurvePoint, ...]:
    """Return the mean over folds, for the rounds that every fold has finished."""
    return tuple(
        CurvePoint(
            round=together[0].round,
            stress_balanced_accuracy=_mean([r.stress_balanced_accuracy for r in together]),
            identity_own_head=_mean([r.identity_own_head for r in together]),
        )
        for together in zip(*rounds, strict=False)
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def claimed_by(statement: dict[str, Any]) -> Claimed | None:
    """Return the paper's claim in a privacy statement and its worth; ``None`` without one."""
    claim, worth = statement["paper_claim"], statement["true_value_of_paper_claim"]
    if worth is None:
        return None
    return Claimed(
        eps_per_round=claim["eps_per_round"] if claim else None,
        noise_sd=statement["noise_sd"],
        true_eps_per_round=worth["eps_per_round"],
        true_eps_total=worth["eps_total"],
        rounds=statement["releases_done"],
        delta=worth["delta"],
        unit=statement["unit"],
        adjacency=statement["adjacency"],
    )


def why_stopped(trainings: Sequence[Training]) -> str:
    """Say where a training diverged; empty where none did."""
    for training in trainings:
        asked = training.experiment.config.rounds
        if (done := len(training.rounds)) < asked or any(r.abandoned for r in training.rounds):
            return f"diverged: updates were not finite, {done} of {asked} rounds"
    return ""
