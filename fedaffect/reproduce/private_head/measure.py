"""``measure(task) -> TrialRecord``: one cell of the study, every fold and every noise draw."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from fedaffect.build import Experiment
from fedaffect.clients.side import client_side
from fedaffect.reproduce.private_head.cells import SUFFIX, HeadCell
from fedaffect.reproduce.private_head.full_release import full_release
from fedaffect.reproduce.private_head.head_rounds import head_rounds, people_of
from fedaffect.reproduce.private_head.head_training import trained
from fedaffect.reproduce.private_head.released_attack import NOT_RELEASED, attacked_releases
from fedaffect.reproduce.private_head.tested import (
    OWN_TIME,
    Tested,
    calls,
    figures_of,
    of_folds,
    release_figures,
)
from fedaffect.reproduce.task import Task
from fedaffect.reproduce.trial import experiment_of, trial_record
from fedaffect.server.evaluation import infer
from fedaffect.study_record import TrialRecord
from fedaffect.summary import promised

NOTHING = "nothing is released"


def measure(task: Task) -> TrialRecord:
    """Train and attack the cell of ``task``.

    Noise comes from test keys, so that draws can be repeated: nothing is charged, nothing is
    promised, and none of these models may be released.

    Raises:
        FedaffectError: as ``simulate``.
    """
    cell = task.cell
    assert isinstance(cell, HeadCell)
    clock = time.perf_counter()
    backbone = cell.config.model.backbone
    if backbone is not None and backbone.endswith(SUFFIX):  # not a shipped one
        path = str(task.folder / backbone)
        cell = replace(cell, config=cell.config.replace({"model.backbone": path}))
    record = full_release(cell, task) if cell.kind == "full" else head_trial(cell)
    return record.model_copy(update={"seconds": time.perf_counter() - clock})


def head_trial(cell: HeadCell) -> TrialRecord:
    """Return the trial of a cell whose shared block stays as the public people left it."""
    experiment = experiment_of(cell)
    seed = experiment.config.run.seed
    start = experiment.factory.initial(seed)
    head = start[experiment.mechanism.blocks.released]  # (H + 1,)
    status, attacked = NOTHING, NOT_RELEASED
    if cell.kind == "local":
        tested = _own_heads(experiment, head)
    elif cell.kind == "public":
        tested = _answers(experiment, np.tile(head, (len(experiment.folds), 1, 1)), head)
    else:
        rounds = head_rounds(experiment, cell.keys)
        tested = _answers(experiment, rounds.final, head)
        status = promised(experiment.outline).status
        attacked = attacked_releases(
            rounds.likelihoods, rounds.left_out, experiment.config.rounds, seed
        )
    return trial_record(
        cell,
        experiment,
        figures=figures_of(experiment, tested, start if cell.attacked else None),
        status="NONE",
        released=release_figures(experiment, tested, status, attacked),
    )


def _answers(experiment: Experiment, heads: np.ndarray, public: np.ndarray) -> Tested:
    """Return what the ``heads`` (F, D, H + 1) of each fold say of the person left out."""
    model = experiment.factory.with_params(experiment.factory.initial(experiment.config.run.seed))
    people, called, before = [], [], []
    for fold, mine in zip(experiment.folds, heads, strict=True):
        embedding = infer(model, fold.features[fold.stress_test]).embedding
        called.append(calls(embedding, mine))
        before.append(calls(embedding, public[None]))
        people.append(int(experiment.table.subject[fold.stress_test][0]))
    return of_folds(experiment, people, called, before)


def _own_heads(experiment: Experiment, head: np.ndarray) -> Tested:
    """Return what a head that each person trains alone says of their held-out blocks of time."""
    plan, rounds = client_side(experiment).plan, experiment.config.rounds
    model = experiment.factory.with_params(experiment.factory.initial(experiment.config.run.seed))
    true, called, before = [], [], []
    people = people_of(experiment)
    for person, windows in enumerate(people):
        own = head[None]
        for _ in range(rounds):
            own = own + trained(own, windows, plan)
        fold = next(f for f in experiment.folds if person in f.seen)
        rows = fold.identity_test & (experiment.table.subject == person)
        embedding = infer(model, fold.features[rows]).embedding
        true.append(experiment.table.stress[rows])
        called.append(calls(embedding, own))
        before.append(calls(embedding, head[None]))
    return Tested(OWN_TIME, tuple(range(len(people))), tuple(true), tuple(called), tuple(before))
