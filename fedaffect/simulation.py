"""``simulate(config) -> RunRecord``: the Python door that the command line mirrors."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

import numpy as np
from flwr.app import Context, RecordDict

from fedaffect import references, run_files, run_folder, summary
from fedaffect import resume as resuming
from fedaffect.build import Experiment, build
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.side import client_side
from fedaffect.config import RunConfig
from fedaffect.config_dp import DPConfig
from fedaffect.config_sources import resolve
from fedaffect.engine import starting
from fedaffect.errors import PrivacyError
from fedaffect.forecasts import advised_forecast
from fedaffect.ledger_anchor import AnchoredBudget
from fedaffect.outline import Outline, outline
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.private_training import Outcome, train_privately
from fedaffect.progress import Listener
from fedaffect.record import Figures, RoundRecord, RunRecord
from fedaffect.reports.json_file import load_record
from fedaffect.resume import Start
from fedaffect.run_lock import RunLock
from fedaffect.server import checkpoint
from fedaffect.server.app import post, server_app
from fedaffect.server.checkpoint import Checkpoint, Progress
from fedaffect.server.evaluation import final_figures
from fedaffect.server.stacking import stacking_of
from fedaffect.server.training import Training
from fedaffect.simulations.local import SimulationGrid

MAIN = "run"  # the training whose rounds are kept; the others are references


def simulate(
    config: RunConfig | None = None,
    *,
    resume: Path | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> RunRecord:
    """Train with simulated clients, attack what was released, and write the run folder.

    Args:
        config: What to run; where it is missing, ``options`` decide.
        resume: Folder of an interrupted run to go on with, under its own settings.
        listener: Hears about progress.
        **options: Flags of ``fedaffect simulate`` with underscores, such as ``clients=20,
            dp="gaussian", eps=5``.

    Returns:
        The record of the run; ``record.folder`` is where it was written.

    Raises:
        FedaffectError: an option, the data, the budget or the disk gives cause. Where a privacy
            budget ends the run early (E401, E411) its model and report are written first.
        TypeError: both a configuration and options were given.
    """
    if config is not None and options:
        raise TypeError("give a configuration or options, not both; or config.replace({...})")
    if config is None and resume is not None:
        config, _ = resuming.configuration(resume, options)
    elif config is None:
        config, _ = resolve(options)
    heard = listener or Listener()
    planned = outline(config)
    run_id = run_folder.new_run_id()
    folder = resume if resume is not None else run_folder.prepare(config.run.out, run_id)
    with RunLock(folder):
        start = Start(run_id, folder)
        if resume is None:
            run_folder.remove_leftovers(folder)
        else:
            start = resuming.go_on(folder, planned.config, heard.stage)
        if start.finished:
            heard.stage(f"nothing to do: the run in {folder} is finished")
            return load_record(folder)
        try:
            record, stopped = _carried_out(planned, start, heard)
        except BaseException as error:
            if resuming.is_begun(folder):
                error.add_note(resuming.line(folder))
            raise
        finally:
            run_folder.discard_if_empty(folder)
    if stopped is not None:
        stopped.add_note(f"what was trained before that is in {folder}")
        raise stopped
    assert record is not None  # a run without one was stopped
    return record


def _carried_out(
    planned: Outline, start: Start, heard: Listener
) -> tuple[RunRecord | None, PrivacyError | None]:
    """Run what is planned; return its record, and what ended it early.

    There is no record where it ended before every fold had a model.
    """
    folder = start.folder
    heard.planned(planned, advised_forecast(planned), str(folder), start.run_id)
    started, clock = datetime.now(UTC), time.perf_counter()
    with starting(planned, start.run_id) as engine:  # while the data are prepared
        experiment = build(planned.config, heard.stage, planned)
        resuming.refuse_other_data(folder, experiment.table.fingerprint)
        run_files.write_before(folder, experiment)
        resuming.begin(folder, start.run_id, experiment.config)
        heard.ready(experiment)
        heard.stage(f"starting engine {experiment.config.run.engine}")
        run = _Run(start, engine(), heard)
        heard.stage(f"training {stacking_of(experiment).words}")
        outcome = run.train_privately(experiment)
        training = outcome.training
        run_files.write_trained(
            folder,
            start.run_id,
            experiment,
            training.params[0],
            outcome.statement,
            outcome.excerpt,
        )
        if len(training.params) < len(experiment.folds):
            return None, training.stopped
        heard.stage("training fresh identity attackers")
        figures = final_figures(experiment, training.params)
        public_only = _before_round_1(experiment)
        no_dp, iid = run.references(experiment, training.params[0], figures)
    record = summary.record_of(
        run_id=start.run_id,
        folder=str(folder),
        experiment=experiment,
        training=training,
        statement=outcome.statement,
        figures=figures,
        no_dp=no_dp,
        iid_reference=iid,
        public_only=public_only,
        workers=run.grid.workers,
        started=started,
        seconds=time.perf_counter() - clock,
    )
    heard.stage("writing the report")
    run_files.write_result(folder, record)
    run_folder.write_manifest(folder, start.run_id)
    heard.finished(record)
    return record, training.stopped


def _before_round_1(experiment: Experiment) -> Figures | None:
    """Return the figures of public weights alone; ``None`` without any, or without references."""
    config = experiment.config
    if experiment.outline.start.backbone is None or not config.run.reference:
        return None
    initial = experiment.factory.initial(config.run.seed)
    return final_figures(experiment, [initial] * len(experiment.folds))


@dataclass(frozen=True)
class _Run:
    """One run on an engine that is up."""

    start: Start
    grid: SimulationGrid
    heard: Listener

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.start.run_id

    def train_privately(self, experiment: Experiment) -> Outcome:
        """Train ``experiment``; under DP with a secret key and a ledger."""
        last = self.start.checkpoint
        return train_privately(
            experiment,
            self.run_id,
            self.start.folder,
            lambda key, budget, account: self._train_and_keep(experiment, key, budget, account),
            last.ledger_head if last is not None else None,
        )

    def references(
        self, experiment: Experiment, params: np.ndarray, figures: Figures
    ) -> tuple[Figures | None, Figures | None]:
        """Return the figures without DP, and of the same people dealt out IID without DP.

        Args:
            experiment: What was trained.
            params: Final parameters (d,) of its first fold, kept where it has no DP.
            figures: Its figures, kept likewise.
        """
        config = experiment.config
        if not config.run.reference:
            return None, None
        no_dp = iid = None
        plain = config.dp == DPConfig()
        key = references.key_of(references.without_dp(config), experiment.table.fingerprint)
        if plain:
            references.store_params(key, params)
            references.store(key, figures)
        else:
            no_dp = self._reference(references.without_dp(config), "reference without DP")
        if config.data.partition == "subject":
            iid = self._reference(references.dealt_iid(config), "IID reference without DP")
        return no_dp, iid

    def _reference(self, config: RunConfig, name: str) -> Figures:
        planned = outline(config)
        experiment = build(config, self.heard.stage, planned)
        key = references.key_of(config, experiment.table.fingerprint)
        if stored := references.cached(key):
            return stored
        training = Training(
            experiment, self.run_id, on_round=self.heard.round_done, evaluate_rounds=False
        )
        self._train(training, name)
        figures = final_figures(experiment, training.params)
        references.store_params(key, training.params[0])
        references.store(key, figures)
        return figures

    def _train_and_keep(
        self,
        experiment: Experiment,
        key: SecretNoiseKey | TestNoiseKey | None = None,
        budget: AnchoredBudget | None = None,
        account: AccountPlan | None = None,
    ) -> Training:
        """Train what the run is about, from where it stands, keeping every round on disk."""
        folder, last = self.start.folder, self.start.checkpoint
        settings = resuming.settings_digest(experiment.config)
        promised = summary.metadata_of(experiment)

        def on_round(record: RoundRecord) -> None:
            run_folder.append_round(folder, record)
            self.heard.round_done(record)

        def on_progress(progress: Progress) -> None:
            head = budget.anchor() if budget is not None else None
            said = {
                **promised,
                "eps": str(training.rounds[-1].eps_spent),
                "horizon": f"run, {progress.recorded} releases",
                "ledger_head": str(head),
            }
            checkpoint.save(folder, Checkpoint(self.run_id, settings, progress, head, said))

        training = Training(
            experiment,
            self.run_id,
            key,
            budget,
            on_round,
            on_progress,
            start=last.progress if last is not None else None,
            rounds=list(self.start.rounds),
        )
        return self._train(training, MAIN, account)

    def _train(self, training: Training, name: str, account: AccountPlan | None = None) -> Training:
        experiment = training.experiment
        rounds = experiment.config.rounds * len(experiment.folds)
        self.heard.training(name, rounds - len(training.rounds))
        self.grid.place(client_side(experiment, f"{self.run_id}-{name}", account))
        post(self.run_id, training)
        server_app(self.grid, Context(1, 1, {}, RecordDict(), {"run-key": self.run_id}))
        return training
