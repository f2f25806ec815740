"""The work on one of the package's engines, built from its public classes.

Usage: ``python -m engines.package ENGINE WORKERS STACKED WORK``, such as ``local 2 1 {...}``;
``reference_work.py`` starts it.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, replace
from typing import Any

from engines.stopwatch import Stopwatch
from engines.work import Work, columns

from fedaffect import registry
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.clients.side import ClientSide
from fedaffect.home import state_home
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.privacy.base import LocalSteps, Mechanism, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.mechanisms.window import spans
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.spec import ClipSpec, PrivacySpec
from fedaffect.privacy.terms import terms_of
from fedaffect.server.rounds import RoundLoop, RoundOutcome
from fedaffect.server.sampling import Sampler
from fedaffect.server.stacking import largest_stack
from fedaffect.strategies.fedavg import FedAvg

DELTA = 1e-5


@dataclass(frozen=True)
class WaitingSampler(Sampler):
    """Everyone, once the word has come: a round starts by drawing its clients."""

    watch: Stopwatch | None = None

    def draw(self, clients: int, *where: Any) -> list[int]:
        """Wait, then return everyone."""
        assert self.watch is not None  # a field after fields with defaults needs one
        self.watch.begin()
        return super().draw(clients, *where)


def factory(work: Work) -> ModelFactory:
    """Return what builds the network of the reference work."""
    return ModelFactory(StressIdentityCNN, work.network, "float32")


def client_data(work: Work, client: int) -> ClientData:
    """Return a client's windows."""
    features, stress, identity = columns(work, client)
    return ClientData(client, features, {"stress": stress, "identity": identity})


def mechanism(work: Work, network: ModelFactory) -> tuple[Mechanism, ReleasePlan]:
    """Return the calibrated mechanism and what it was calibrated for."""
    plan = ReleasePlan(work.rounds, work.clients, 1.0, "full", work.clients, 1, 1)
    spec = PrivacySpec("none")
    if work.noise is not None:
        local = LocalSteps(spans(list(work.sizes), 1), work.batch_size, 1, 1)
        plan = replace(plan, local=local, n_units=sum(work.sizes))
        spec = PrivacySpec(
            "gaussian",
            unit="window",
            where="client",
            delta=DELTA,
            z=work.noise,
            clip=ClipSpec(bound=work.clip),
        )
    chosen = mechanism_of(spec, registry.resolve("dp", spec.mechanism))
    return chosen.calibrate(plan, network.layout), plan


def account(work: Work, how: Mechanism, plan: ReleasePlan) -> AccountPlan | None:
    """Return how the clients account for their noise: with a real key and a real ledger."""
    if work.noise is None:
        return None
    check = SecretNoiseKey.load(state_home()).check()
    return AccountPlan(
        run=f"benchmark-{secrets.token_hex(4)}",
        ledger="reference-work",
        terms=terms_of(how, plan),
        limit=work.rounds,
        rounds=work.rounds,
        clip=work.clip,
        eps=None,
        key_check=check,
    )


def main(engine: str, workers: int, stacked: bool, work: Work) -> None:
    watch = Stopwatch()
    network = factory(work)
    clients = tuple(client_data(work, number) for number in range(work.clients))
    training = TrainPlan(work.seed, 1, work.batch_size, work.lr, 0.0, "sgd", work.max_grad_norm)
    how, plan = mechanism(work, network)
    initial = network.initial(work.seed)

    def after_round(outcome: RoundOutcome) -> None:
        watch.end()
        watch.report(outcome.params - initial)

    grid = registry.resolve("engine", engine)("reference-work", workers)
    try:
        charged = account(work, how, plan)
        run = charged.run if charged else "reference"
        grid.place(ClientSide(run, network, FedAvg(), training, how, (clients,), charged))
        loop = RoundLoop(
            run=run,
            grid=grid,
            strategy=FedAvg(),
            mechanism=how,
            sampler=WaitingSampler("full", work.clients, 1.0, work.seed, watch=watch),
            clients_per_round=work.clients,
            rounds=work.rounds,
            key=None,
            draws=None,
            budget=None,
            stack=largest_stack(work.clients) if stacked else 1,
            min_success=1.0,
            trusts_nodes=True,
        )
        loop.train(initial, work.sizes, 0, after_round)
    finally:
        grid.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), bool(int(sys.argv[3])), Work.read(sys.argv[4]))
