"""Training under DP: key, ledger and account of one run, and the statement that they bear out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedaffect import summary
from fedaffect.build import Experiment
from fedaffect.clients.account import AccountPlan, account_plan
from fedaffect.home import state_home
from fedaffect.ledger_anchor import AnchoredBudget, open_anchored
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.server.training import Training

Train = Callable[
    [SecretNoiseKey | TestNoiseKey | None, AnchoredBudget | None, AccountPlan | None], Training
]


@dataclass(frozen=True)
class Outcome:
    """A finished training with what may be said of its privacy.

    Args:
        training: The training, with the final parameters of every fold.
        statement: ``PrivacyStatement.to_dict``.
        excerpt: This run's lines of the ledger; empty where nothing was charged.
    """

    training: Training
    statement: dict[str, Any]
    excerpt: list[str]


def train_privately(
    experiment: Experiment, run_id: str, folder: Path, train: Train, head: str | None = None
) -> Outcome:
    """Train ``experiment``; where it is private, with a noise key, a ledger and an account.

    Args:
        experiment: What is trained.
        run_id: Id of the run in the ledger.
        folder: Where the head of the ledger is anchored.
        train: Trains with what it is given: nothing without DP, a key and an account with test
            noise, and a budget besides with a secret key.
        head: Head of the ledger that the run's checkpoint keeps, if any.

    Raises:
        PrivacyError: E401 to E404 key, ledger or budget cannot be used.
    """
    test_key = experiment.config.dp.unsafe_test_noise
    name = summary.ledger_name(experiment)
    if not experiment.mechanism.groups:
        return _outcome(train(None, None, None), run_id, None)
    if test_key is not None:
        account = account_plan(experiment, run_id, name, "", test_key)
        return _outcome(train(TestNoiseKey(test_key), None, account), run_id, None)
    secret = SecretNoiseKey.load(state_home())
    account = account_plan(experiment, run_id, name, secret.check())
    with open_anchored(state_home(), account.ledger, secret, folder, head) as ledger:
        budget = AnchoredBudget(ledger, run_id, account.terms, account.limit, folder)
        budget.anchor()
        return _outcome(train(secret, budget, account), run_id, ledger)


def _outcome(training: Training, run_id: str, ledger: Ledger | None) -> Outcome:
    if ledger is not None:
        statement = summary.statement_of(training, ledger.spent(run_id), ledger)
        return Outcome(training, statement, ledger.excerpt(run_id))
    done = len(training.rounds) if training.key is not None else 0
    return Outcome(training, summary.statement_of(training, done), [])
