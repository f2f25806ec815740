"""Training of one experiment over a grid: every fold, every round, and what each round showed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from flwr.serverapp import Grid

from fedaffect.build import Experiment
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.privacy.run_budget import RunBudget
from fedaffect.record import RoundRecord
from fedaffect.server.evaluation import RoundEvaluation
from fedaffect.server.rounds import RoundLoop, RoundOutcome
from fedaffect.server.sampling import Sampler


@dataclass
class Training:
    """One training run; ``params`` and ``rounds`` fill up while it runs.

    Args:
        experiment: What is trained.
        run_id: Name of the run, part of its secret draws.
        key: Secret noise key; ``None`` without DP.
        budget: Privacy ledger; ``None`` without DP.
        on_round: Called after every round.
        evaluate_rounds: Evaluate after every round, not only after the last.
    """

    experiment: Experiment
    run_id: str = ""
    key: SecretNoiseKey | TestNoiseKey | None = None
    budget: RunBudget | None = None
    on_round: Callable[[RoundRecord], None] = lambda record: None
    evaluate_rounds: bool = True
    params: list[np.ndarray] = field(default_factory=list)  # one (d,) float64 a fold
    rounds: list[RoundRecord] = field(default_factory=list)

    def run(self, grid: Grid) -> None:
        """Train every fold over ``grid``.

        Raises:
            ClientsLostError: E701 too few clients answered.
            PrivacyError: E40x the ledger refuses.
        """
        e = self.experiment
        f = e.config.federation
        loop = RoundLoop(
            grid=grid,
            layout=e.factory.layout,
            strategy=e.strategy,
            mechanism=e.mechanism,
            sampler=Sampler(
                e.plan.sampler,
                round(e.plan.clients_per_round),
                e.plan.sampling_rate,
                e.config.run.seed,
            ),
            clients_per_round=e.plan.clients_per_round,
            rounds=f.rounds,
            key=self.key,
            draws=self.key.draws(self.run_id) if self.key is not None else None,
            budget=self.budget,
        )
        for fold in e.folds:
            evaluation = RoundEvaluation(e, fold)
            sizes = [len(rows) for rows in fold.partition.clients]
            self.params.append(
                loop.run(
                    e.factory.initial(e.config.run.seed),
                    sizes,
                    fold.number,
                    lambda outcome, ev=evaluation: self._record(outcome, ev),  # type: ignore[misc]
                )
            )

    def _record(self, outcome: RoundOutcome, evaluation: RoundEvaluation) -> None:
        last = outcome.server_round == self.experiment.config.federation.rounds
        seen = evaluation.scores(outcome.params) if self.evaluate_rounds or last else {}
        losses = outcome.updates.losses
        spent = None
        if self.key is not None and self.key.kind == "secret":
            spent = self.experiment.mechanism.eps_spent(self.experiment.plan, outcome.release)
        secret = self.key is not None and self.experiment.plan.sampler == "poisson"
        record = RoundRecord(
            fold=outcome.fold,
            round=outcome.server_round,
            clients=None if secret else len(outcome.updates.client_ids),
            clients_planned=None if secret else outcome.asked,
            rejected=() if secret else outcome.updates.rejected,
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
