"""Training and releasing the whole network, fold by fold, once for each noise draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedaffect.build import Experiment, Fold
from fedaffect.private_training import Outcome, train_privately
from fedaffect.reproduce.private_head.cells import HeadCell
from fedaffect.reproduce.private_head.full_attack import Watched, attack_on
from fedaffect.reproduce.private_head.people_scores import pooled
from fedaffect.reproduce.private_head.released_attack import attacked_releases
from fedaffect.reproduce.private_head.tested import of_folds, release_figures
from fedaffect.reproduce.task import Task
from fedaffect.reproduce.trial import (
    claimed_by,
    experiment_of,
    train,
    trial_record,
    why_stopped,
)
from fedaffect.server.evaluation import final_figures, infer
from fedaffect.study_record import TrialRecord
from fedaffect.summary import promised


def full_release(cell: HeadCell, task: Task) -> TrialRecord:
    """Return the trial of a cell that trains and attacks the whole network with each noise key."""
    experiment = experiment_of(cell)
    seed, attack = experiment.config.run.seed, attack_on(experiment)
    outcomes: list[list[Outcome]] = []  # D of F
    likelihoods = []
    for key in cell.keys:
        outcomes.append([])
        for at, fold in enumerate(experiment.folds):
            watched = Watched(attack.watch_uploads)
            outcome = _trained(experiment, key, fold, task, watched)
            outcomes[-1].append(outcome)
            likelihoods.append(attack.likelihoods(at, watched, outcome.training.params[-1]))
    shape = (len(cell.keys), len(experiment.folds), -1)
    found = np.stack(likelihoods).reshape(shape).transpose(2, 1, 0)  # (H, F, D)
    attacked = attacked_releases(found, attack.left_out, attack.releases, seed)
    initial = experiment.factory.initial(seed)
    people, called, public = [], [], []
    for at, fold in enumerate(experiment.folds):
        features = fold.features[fold.stress_test]
        said = [_calls(experiment, draw[at].training.params[-1], features) for draw in outcomes]
        called.append(np.stack(said))
        public.append(_calls(experiment, initial, features)[None])
        people.append(int(experiment.table.subject[fold.stress_test][0]))
    tested = of_folds(experiment, people, called, public)
    first = [outcome.training.params[-1] for outcome in outcomes[0]]  # of the first draw
    stress = pooled(tested.true, tested.called, tested.people, seed)
    figures = final_figures(experiment, first).model_copy(update={**stress, "per_person": ()})
    planned = promised(experiment.outline)
    return trial_record(
        cell,
        experiment,
        figures=figures,
        status=outcomes[0][0].statement["status"],
        claimed=claimed_by(planned.to_dict()),
        released=release_figures(experiment, tested, planned.status, attacked),
        stopped=why_stopped([o.training for draw in outcomes for o in draw]),
    )


def _trained(experiment: Experiment, key: str, fold: Fold, task: Task, watched: Watched) -> Outcome:
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
        lambda secret, budget, account: train(
            alone, task.run_id, secret, budget, account, on_uploads=watched
        ),
    )


def _calls(experiment: Experiment, params: np.ndarray, features: np.ndarray) -> np.ndarray:
    return infer(experiment.factory.with_params(params), features).stress
