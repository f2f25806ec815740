"""The trainer of an audit is the training of the run, without DP."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from audited_runs import Ran

from fedaffect.auditing.replay import uploads_of
from fedaffect.auditing.trainer import InProcessTrainer

RunOf = Callable[[str], Ran]


def test_on_the_windows_of_the_run_it_repeats_the_run(run_of: RunOf) -> None:
    run = run_of("none").finished()
    trainer = InProcessTrainer(run.experiment)
    train = run.experiment.folds[0].train
    assert np.array_equal(trainer.model(train, run.experiment.config.run.seed), run.params)


def test_of_a_private_run_it_is_the_reference_without_dp(run_of: RunOf) -> None:
    plain, private = run_of("none").finished(), run_of("server").finished()
    trainer = InProcessTrainer(private.experiment)
    assert np.array_equal(trainer.model(private.experiment.folds[0].train, 0), plain.params)


def test_models_depend_on_windows_and_seed_alone(run_of: RunOf) -> None:
    e = run_of("none").finished().experiment
    few = np.arange(len(e.table)) % 9 == 0
    one, other = InProcessTrainer(e), InProcessTrainer(e)
    first = one.model(few, 1)
    assert np.array_equal(first, other.model(few, 1))
    first += 1  # the caller's copy
    assert np.array_equal(one.model(few, 1), other.model(few, 1))
    assert not np.array_equal(one.model(few, 1), one.model(few, 2))
    assert not np.array_equal(one.model(few, 1), one.model(np.roll(few, 1), 1))


def test_windows_that_nobody_holds_go_to_clients_of_their_own(run_of: RunOf) -> None:
    e = run_of("none").finished().experiment
    fold, subject = e.folds[0], e.table.subject
    (away,) = e.split.unseen_subjects[0]
    holders = InProcessTrainer(e)._holders(fold.train | (subject == away))
    assert len(holders) == len(fold.partition.clients) + 1
    for rows, held in zip(holders, fold.partition.clients, strict=False):
        assert np.array_equal(rows, held)
    assert np.array_equal(holders[-1], np.flatnonzero(subject == away))
    only = InProcessTrainer(e)._holders(subject == away)
    assert [rows.tolist() for rows in only] == [np.flatnonzero(subject == away).tolist()]


def test_an_update_is_what_the_client_uploaded(run_of: RunOf) -> None:
    run = run_of("none").finished()
    (first, *_), _ = uploads_of(run, lambda stage: None, first=1)
    trainer = InProcessTrainer(run.experiment)
    rows = run.experiment.folds[0].partition.clients[0]
    update = trainer.update(first.params, rows, run.experiment.config.run.seed, {})
    assert np.array_equal(update, first.rows[0])


def test_labels_may_be_others_than_the_true_ones(run_of: RunOf) -> None:
    e = run_of("none").finished().experiment
    trainer, start = InProcessTrainer(e), e.factory.initial(0)
    rows = e.folds[0].partition.clients[1]
    true = trainer.update(start, rows, 3, {})
    stress = e.table.stress[rows]
    assert np.array_equal(trainer.update(start, rows, 3, {"stress": stress}), true)
    assert not np.array_equal(trainer.update(start, rows, 3, {"stress": 1 - stress}), true)
    assert not np.array_equal(trainer.update(start, rows, 4, {}), true)
