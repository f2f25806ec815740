"""``simulate(config) -> RunRecord``: the Python door that the command line mirrors."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

from flwr.app import Context, RecordDict

from fedaffect import references, registry, run_files, run_folder, summary
from fedaffect.build import Experiment, build
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.site import client_side
from fedaffect.config import RunConfig
from fedaffect.config_sources import resolve
from fedaffect.home import state_home
from fedaffect.outline import Outline, outline
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.privacy.promise import affordable, promise_of
from fedaffect.privacy.run_budget import RunBudget
from fedaffect.privacy.terms import terms_of
from fedaffect.progress import Listener
from fedaffect.record import Figures, RoundRecord, RunRecord
from fedaffect.server.app import post, server_app
from fedaffect.server.evaluation import final_figures
from fedaffect.server.training import Training
from fedaffect.simulations.local import SimulationGrid

MAIN = "run"  # the training whose rounds are kept; the others are references


def simulate(
    config: RunConfig | None = None, *, listener: Listener | None = None, **options: Any
) -> RunRecord:
    """Train with simulated clients, attack what was released, and write the run folder.

    Args:
        config: What to run; where it is missing, ``options`` decide.
        listener: Hears about progress.
        **options: Flags of ``fedaffect simulate`` with underscores, such as ``clients=20,
            dp="gaussian", eps=5``.

    Returns:
        The record of the run; ``record.folder`` is where it was written.

    Raises:
        FedaffectError: an option, the data, the budget or the disk gives cause.
        TypeError: both a configuration and options were given.
    """
    if config is None:
        config, _ = resolve(options)
    elif options:
        raise TypeError("give a configuration or options, not both; or config.replace({...})")
    heard = listener or Listener()
    run_id = run_folder.new_run_id()
    planned = outline(config)
    folder = run_folder.prepare(config.run.out, run_id)
    heard.planned(planned, summary.forecast_of(planned), str(folder))
    started, clock = datetime.now(UTC), time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        engine = pool.submit(_start_engine, planned, run_id)  # while the data are prepared
        try:
            experiment = build(config, heard.stage, planned)
            run_files.write_before(folder, experiment)
            heard.ready(experiment)
            heard.stage(f"starting engine {config.run.engine}")
            grid = engine.result()
            _take_back_signals()
            run = _Run(run_id, folder, grid, heard)
            outcome = run.train_privately(experiment)
            run_files.write_trained(
                folder,
                run_id,
                experiment,
                outcome.training.params[0],
                outcome.statement,
                outcome.excerpt,
            )
            heard.stage("training fresh identity attackers")
            figures = final_figures(experiment, outcome.training.params)
            no_dp, iid = run.references(experiment, figures)
        finally:
            run_folder.discard_if_empty(folder)
            _stop_engine(engine)
    record = summary.record_of(
        run_id=run_id,
        folder=str(folder),
        experiment=experiment,
        training=outcome.training,
        statement=outcome.statement,
        figures=figures,
        no_dp=no_dp,
        iid_reference=iid,
        workers=run.grid.workers,
        started=started,
        seconds=time.perf_counter() - clock,
    )
    heard.stage("writing the report")
    run_files.write_result(folder, record)
    return record


def account_plan(
    experiment: Experiment, run_id: str, key_check: str, test_key: str | None
) -> AccountPlan:
    """Return how the releases of a run are accounted for, at the server or at the clients."""
    mechanism, plan = experiment.mechanism, experiment.plan
    promise = promise_of(mechanism, plan)
    return AccountPlan(
        run=run_id,
        ledger=summary.ledger_name(experiment),
        terms=terms_of(mechanism, plan),
        limit=affordable(mechanism, plan),
        rounds=plan.releases,
        clip=max(group.clip for group in mechanism.groups),
        eps=promise.eps if promise else None,
        key_check=key_check,
        test_key=test_key,
    )


@dataclass(frozen=True)
class _Outcome:
    """A finished training with what may be said of its privacy."""

    training: Training
    statement: dict[str, Any]
    excerpt: list[str]  # this run's lines of the ledger


@dataclass(frozen=True)
class _Run:
    """One run on an engine that is up."""

    run_id: str
    folder: Path
    grid: SimulationGrid
    heard: Listener

    def train_privately(self, experiment: Experiment) -> _Outcome:
        """Train ``experiment``; under DP with a secret key and a ledger."""
        test_key = experiment.config.dp.unsafe_test_noise
        if not experiment.mechanism.groups:
            return self._outcome(self._train(experiment, MAIN), None)
        if test_key is not None:
            key = TestNoiseKey(test_key)
            account = account_plan(experiment, self.run_id, "", test_key)
            return self._outcome(self._train(experiment, MAIN, key, account=account), None)
        secret = SecretNoiseKey.load(state_home())
        account = account_plan(experiment, self.run_id, secret.check(), None)
        with Ledger.open(state_home(), account.ledger, secret) as ledger:
            budget = RunBudget(ledger, self.run_id, account.terms, account.limit)
            training = self._train(experiment, MAIN, secret, budget, account)
            return self._outcome(training, ledger)

    def references(
        self, experiment: Experiment, figures: Figures
    ) -> tuple[Figures | None, Figures | None]:
        """Return the figures without DP, and of the same people dealt out IID without DP."""
        config = experiment.config
        if not config.run.reference:
            return None, None
        no_dp = iid = None
        plain = config.dp.mechanism == "none"
        key = references.key_of(references.without_dp(config), experiment.table.fingerprint)
        if plain:
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
        training = self._train(experiment, name, evaluate_rounds=False)
        figures = final_figures(experiment, training.params)
        references.store(key, figures)
        return figures

    def _train(
        self,
        experiment: Experiment,
        name: str,
        key: SecretNoiseKey | TestNoiseKey | None = None,
        budget: RunBudget | None = None,
        account: AccountPlan | None = None,
        evaluate_rounds: bool = True,
    ) -> Training:
        self.heard.training(name, experiment.config.federation.rounds * len(experiment.folds))
        self.grid.place(client_side(experiment, f"{self.run_id}-{name}", account))

        def on_round(record: RoundRecord) -> None:
            if name == MAIN:
                run_folder.append_round(self.folder, record)
            self.heard.round_done(record)

        training = Training(experiment, self.run_id, key, budget, on_round, evaluate_rounds)
        post(self.run_id, training)
        server_app(self.grid, Context(1, 1, {}, RecordDict(), {"run-key": self.run_id}))
        return training

    def _outcome(self, training: Training, ledger: Ledger | None) -> _Outcome:
        if ledger is not None:
            spent = ledger.spent(self.run_id)
            statement = summary.statement_of(training, spent, ledger.head)
            return _Outcome(training, statement, ledger.excerpt(self.run_id))
        done = len(training.rounds) if training.key is not None else 0
        return _Outcome(training, summary.statement_of(training, done, None), [])


def _start_engine(planned: Outline, run_id: str) -> SimulationGrid:
    run = planned.config.run
    engine = registry.resolve("engine", run.engine)
    grid: SimulationGrid = engine(run_id, run.workers, run.ray_address)
    return grid


def _take_back_signals() -> None:
    """Install Python's handlers again: Ray's own would end the process with a stack dump."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def _stop_engine(engine: Future[SimulationGrid]) -> None:
    if engine.exception() is None:
        engine.result().close()
