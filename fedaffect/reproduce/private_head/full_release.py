"""Training and releasing the whole network, fold by fold, once for each noise draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedaffect.build import Experiment, Fold
from fedaffect.private_training import Outcome, train_privately
from fedaffect.record import Estimate
from fedaffect.reproduce.private_head.cells import HeadCell
from fedaffect.reproduce.private_head.people_scores import pooled
from fedaffect.reproduce.private_head.tested import (
    Promised,
    of_folds,
    release_figures,
)
from fedaffect.reproduce.task import Task
from fedaffect.reproduce.trial import claimed_by, experiment_of, train, why_stopped
from fedaffect.server.evaluation import final_figures, infer
from fedaffect.study_record import TrialRecord
from fedaffect.summary import promised, public_config

NOT_RUN = Estimate(value=None, note="not run (only on released heads)")


def full_release(cell: HeadCell, task: Task) -> TrialRecord:
    """Return the trial of a cell that trains the whole network with each of its noise keys."""
    experiment = experiment_of(cell)
    outcomes = [
        [_trained(experiment, key, fold, task) for fold in experiment.folds] for key in cell.keys
    ]
    models = [[o.training.params[-1] for o in draw] for draw in outcomes]  # (D, F) of (d,)
    initial = experiment.factory.initial(experiment.config.run.seed)
    people, called, public = [], [], []
    for at, fold in enumerate(experiment.folds):
        features = fold.features[fold.stress_test]
        said = [_calls(experiment, params[at], features) for params in models]
        called.append(np.stack(said))
        public.append(_calls(experiment, initial, features)[None])
        people.append(int(experiment.table.subject[fold.stress_test][0]))
    tested = of_folds(experiment, people, called, public)
    stress = pooled(tested.true, tested.called, tested.people, experiment.config.run.seed)
    figures = final_figures(experiment, models[0]).model_copy(update={**stress, "per_person": ()})
    numbers = len(experiment.mechanism.blocks.released)
    planned = promised(experiment.outline)
    return TrialRecord(
        name=cell.name,
        what=cell.what,
        family=cell.family,
        config=public_config(experiment.config),
        folds=len(experiment.folds),
        windows_per_client=tuple(len(rows) for rows in experiment.folds[0].partition.clients),
        leaks_overlap=experiment.split.leaks_overlap,
        figures=figures,
        status=outcomes[0][0].statement["status"],
        claimed=claimed_by(planned.to_dict()),
        released=release_figures(
            experiment, tested, Promised(numbers, planned.status, NOT_RUN, NOT_RUN)
        ),
        stopped=why_stopped([o.training for draw in outcomes for o in draw]),
        seconds=0.0,
    )


def _trained(experiment: Experiment, key: str, fold: Fold, task: Task) -> Outcome:
    """Train one fold, a run of its own, with the noise of a test key: nothing is charged."""
    planned = experiment.outline
    if planned.mechanism.groups:
        config = planned.config.replace({"dp.unsafe_test_noise": f"{key}-{fold.number}"})
        planned = replace(planned, config=config)
    alone = replace(experiment, outline=planned, folds=(replace(fold, number=0),))
    return train_privately(
        alone,
        task.run_id,
        task.folder,
        lambda secret, budget, account: train(alone, task.run_id, secret, budget, account),
    )


def _calls(experiment: Experiment, params: np.ndarray, features: np.ndarray) -> np.ndarray:
    return infer(experiment.factory.with_params(params), features).stress
