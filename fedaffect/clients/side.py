"""What a node needs to train its clients: data, model, plan and privacy, and no secret."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np

from fedaffect.build import Experiment, Fold
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.models.factory import ModelFactory
from fedaffect.privacy.base import Mechanism
from fedaffect.strategies.base import Strategy


@dataclass(frozen=True)
class ClientSide:
    """Everything that a node needs, and no secret: data, model, training plan, privacy.

    ``account`` is set under DP: the node's policy may refuse, and where the clients draw the
    noise they are charged. ``device`` is where they train.
    """

    run: str
    factory: ModelFactory
    strategy: Strategy
    plan: TrainPlan
    mechanism: Mechanism
    folds: tuple[tuple[ClientData, ...], ...]
    account: AccountPlan | None = None
    device: str = "cpu"


def client_side(
    experiment: Experiment, run: str = "", account: AccountPlan | None = None
) -> ClientSide:
    """Return what the nodes of ``experiment`` need.

    Args:
        experiment: What is trained.
        run: Id of the run; empty for a fresh one.
        account: What the node accounts for, under DP.
    """
    f, local = experiment.config.federation, experiment.plan.local
    plan = TrainPlan(
        seed=experiment.config.run.seed,
        local_epochs=experiment.config.local_epochs,
        batch_size=local.batch_size if local else experiment.config.batch_size,
        lr=experiment.config.lr,
        momentum=f.momentum,
        optimizer=f.optimizer,
        max_grad_norm=None if isinstance(f.max_grad_norm, str) else f.max_grad_norm,
        class_weights=experiment.config.class_weights,
    )
    return ClientSide(
        run or f"unnamed-{secrets.token_hex(4)}",
        experiment.factory,
        experiment.strategy,
        plan,
        experiment.mechanism,
        tuple(_clients_of(fold, experiment.table.stress) for fold in experiment.folds),
        account,
        experiment.config.run.device,
    )


def _clients_of(fold: Fold, stress: np.ndarray) -> tuple[ClientData, ...]:
    return tuple(
        ClientData(
            i, fold.features[rows], {"stress": stress[rows], "identity": fold.identity[rows]}
        )
        for i, rows in enumerate(fold.partition.clients)
    )
