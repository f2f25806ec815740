"""Training of one experiment over a grid: every fold, every round, and what each round showed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from flwr.serverapp import Grid

from fedaffect.build import Experiment
from fedaffect.errors import PrivacyError
from fedaffect.privacy.canaries import CanarySum, canaries_of
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.privacy.promise import spent_after
from fedaffect.privacy.run_budget import RunBudget
from fedaffect.record import RoundRecord
from fedaffect.server.checkpoint import Progress
from fedaffect.server.evaluation import RoundEvaluation
from fedaffect.server.rounds import OnUploads, RoundLoop, RoundOutcome
from fedaffect.server.sampling import Sampler
from fedaffect.server.stacking import stacking_of

STOPS = ("E401", "E411")  # the budget is spent; the clients refuse: the last model is kept


@dataclass
class Training:
    """One training run; ``params`` and ``rounds`` fill up while it runs.

    Args:
        experiment: What is trained.
        run_id: Name of the run, part of its secret draws.
        key: Secret noise key; ``None`` without DP.
        budget: Privacy ledger; ``None`` without DP.
        on_round: Called after every round, with its record.
        on_progress: Called then, with all that a later process needs to go on from here.
        evaluate_rounds: Evaluate after every round, not only after the last.
        on_uploads: Told of every round, the model (d,) that was sent, and what came back.
        start: Where a run that was interrupted goes on; ``None`` at the beginning.
        rounds: Records of the rounds that are finished.
    """

    experiment: Experiment
    run_id: str = ""
    key: SecretNoiseKey | TestNoiseKey | None = None
    budget: RunBudget | None = None
    on_round: Callable[[RoundRecord], None] = lambda record: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    evaluate_rounds: bool = True
    on_uploads: OnUploads | None = None
    start: Progress | None = None
    params: list[np.ndarray] = field(default_factory=list)  # one (d,) float64 a fold
    rounds: list[RoundRecord] = field(default_factory=list)
    stopped: PrivacyError | None = None

    def run(self, grid: Grid) -> None:
        """Train every fold over ``grid``; end early, with the last model, where privacy says so.

        Raises:
            ClientsLostError: E701 too few clients answered.
            PrivacyError: E40x the ledger or the key cannot be used.
        """
        e = self.experiment
        loop, resumed = self.loop(grid), self.start
        if resumed is not None:
            self.params = list(resumed.params)
        for fold in e.folds[resumed.fold if resumed is not None else 0 :]:
            if resumed is None:
                self.params.append(e.factory.initial(e.config.run.seed))
            evaluation = RoundEvaluation(e, fold)
            try:
                loop.train(
                    self.params[-1],
                    [len(rows) for rows in fold.partition.clients],
                    fold.number,
                    lambda outcome, ev=evaluation: self._record(outcome, ev),  # type: ignore[misc]
                    done=resumed.server_round if resumed is not None else 0,
                    bounds=resumed.bounds if resumed is not None else None,
                )
            except PrivacyError as stop:
                if stop.code not in STOPS:
                    raise
                self.stopped = self._stop(stop, len(e.folds))
                return
            resumed = None  # the next fold begins at its first round

    def _stop(self, stop: PrivacyError, folds: int) -> PrivacyError:
        """Return ``stop`` with the round at which it came."""
        rounds = self.experiment.config.rounds
        fold, done = divmod(len(self.rounds), rounds)
        where = f"round {done + 1} of {rounds}" + (f", fold {fold + 1} of {folds}" * (folds > 1))
        return PrivacyError(stop.code, f"stopped before {where}: {stop.message}", do=stop.do)

    def loop(self, grid: Grid) -> RoundLoop:
        """Return the rounds of this training over ``grid``."""
        e = self.experiment
        cap = e.config.dp.participation_cap
        return RoundLoop(
            run=self.run_id,
            grid=grid,
            strategy=e.strategy,
            mechanism=e.mechanism,
            sampler=Sampler(
                e.plan.sampler,
                round(e.plan.clients_per_round),
                e.plan.sampling_rate,
                e.config.run.seed,
                cap,
            ),
            clients_per_round=e.plan.clients_per_round,
            rounds=e.config.rounds,
            key=self.key,
            draws=self.key.draws(self.run_id) if self.key is not None else None,
            budget=self.budget,
            canaries=self._canaries,
            stack=stacking_of(e).size,
            on_uploads=self.on_uploads,
            trusts_nodes=getattr(grid, "nodes_are_ours", False),
        )

    @property
    def _canaries(self) -> CanarySum | None:
        e = self.experiment
        run, count = e.config.run, e.config.audit.canaries
        canaries = canaries_of(run.seed, count, e.mechanism, e.config.rounds)
        if canaries is None:
            return None
        assert isinstance(e.mechanism, NoisedSum)  # the outline has seen to it
        return CanarySum(canaries, e.mechanism)

    def _record(self, outcome: RoundOutcome, evaluation: RoundEvaluation) -> None:
        self.params[-1] = outcome.params
        last = outcome.server_round == self.experiment.config.rounds
        seen = evaluation.scores(outcome.params) if self.evaluate_rounds or last else {}
        losses = outcome.updates.losses
        spent = None
        if self.key is not None and self.key.kind == "secret":
            e = self.experiment
            spent = spent_after(e.mechanism, e.plan, outcome.release)
        secret = self.key is not None and self.experiment.plan.sampler == "poisson"
        record = RoundRecord(
            fold=outcome.fold,
            round=outcome.server_round,
            clients=None if secret else len(outcome.updates.client_ids),
            clients_planned=None if secret else outcome.asked,
            rejected=() if secret else outcome.updates.rejected,
            abandoned=outcome.abandoned,
            clip=outcome.bounds,
            loss=float(np.mean(losses)) if losses else None,
            stress_balanced_accuracy=seen.get("stress_balanced_accuracy"),
            stress_macro_f1=seen.get("stress_macro_f1"),
            identity_own_head=seen.get("identity_own_head"),
            identity_probe=seen.get("identity_probe"),
            eps_spent=spent,
            seconds=outcome.seconds,
        )
        self.rounds.append(record)
        self.on_round(record)
        self.on_progress(
            Progress(
                fold=len(self.params) - 1,
                server_round=outcome.server_round,
                params=tuple(self.params),
                bounds=outcome.next_bounds,
                recorded=len(self.rounds),
            )
        )
