"""What the server of a run received, recomputed to the last bit and free of charge.

Nothing of it was stored. The first rounds are trained again from the initial parameters, the last
one from the checkpoint before it, with the run's seed, id, key and ledger. A release is drawn only
where the ledger holds exactly that charge, and every round must end as the run's record says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from fedaffect import summary
from fedaffect.auditing.finished import FinishedRun
from fedaffect.auditing.memory import RememberedLayers
from fedaffect.auditing.paid import PaidAccount, PaidBudget
from fedaffect.build import Experiment
from fedaffect.clients.account import account_plan
from fedaffect.clients.side import client_side
from fedaffect.clients.site import Site, host
from fedaffect.code_digest import code_digest
from fedaffect.errors import ClientsLostError, PrivacyError
from fedaffect.home import state_home
from fedaffect.privacy.attacks.evidence import RoundUploads
from fedaffect.privacy.ledger import Ledger, ledger_path
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.resume import IDENTITY_NAME
from fedaffect.server import checkpoint
from fedaffect.server.messages import RoundFacts
from fedaffect.server.rounds import RoundLoop, RoundOutcome
from fedaffect.server.training import Training
from fedaffect.server.validation import Updates
from fedaffect.simulation import MAIN
from fedaffect.simulations.local import LocalGrid

FIRST = 4  # rounds that are recomputed from the beginning


class NotReplayableError(Exception):
    """The uploads of a run cannot be recomputed; the message says why."""


def uploads_of(
    run: FinishedRun, stage: Callable[[str], None], first: int = FIRST
) -> tuple[tuple[RoundUploads, ...], str]:
    """Return what the server received in the first rounds and the last, or why nobody can tell.

    Args:
        run: The finished run.
        stage: Told in words what is being done.
        first: Number of rounds from the beginning.

    Returns:
        Uploads of some rounds, ascending; and one sentence where there are none.
    """
    done = len(run.rounds)
    stage(f"recomputing the uploads of {min(first, done)} rounds")
    try:
        with _paid(run) as paid:
            found = _from_the_start(run, paid, min(first, done))
            found += _last(run, paid) if done > first else ()
        return found, ""
    except NotReplayableError as error:
        return (), f"The uploads cannot be recomputed: {error}."
    except (PrivacyError, ClientsLostError) as error:
        return (), f"The uploads cannot be recomputed: {error.message}."


@dataclass(frozen=True)
class _Paid:
    """A training whose releases are paid for.

    Args:
        training: The training on the server's side.
        account: The clients' account; ``None`` without DP.
    """

    training: Training
    account: PaidAccount | None

    @property
    def experiment(self) -> Experiment:
        """What was trained."""
        return self.training.experiment

    def loop(self, rounds: int, begun: int, keep: _Kept) -> RoundLoop:
        """Return the round loop up to ``rounds``, its clients in this process.

        Args:
            rounds: Number of the last round.
            begun: Number of the round after which it goes on.
            keep: Hears what the clients upload.
        """
        name = f"{self.training.run_id}-{MAIN}"
        site = Site(client_side(self.experiment, name))
        site.account = self.account
        site.personal = RememberedLayers(name, begun)
        grid = LocalGrid(name)
        host(name, site)
        return replace(self.training.loop(grid), rounds=rounds, on_uploads=keep.uploads)


@dataclass(frozen=True)
class _Kept:
    """Keeps the uploads of rounds, and compares every round with the run's record.

    Args:
        run: The finished run.
        rounds: What was kept.
    """

    run: FinishedRun
    rounds: list[RoundUploads] = field(default_factory=list)

    def uploads(self, about: RoundFacts, params: np.ndarray, updates: Updates) -> None:
        """Keep what came back in one round."""
        if updates.client_ids:
            self.rounds.append(
                RoundUploads(about.server_round, params, updates.client_ids, updates.rows)
            )

    def check(self, outcome: RoundOutcome) -> None:
        """Compare a round with the record.

        Raises:
            NotReplayableError: it ended otherwise.
        """
        told = self.run.rounds[outcome.server_round - 1]
        losses = outcome.updates.losses
        same = told.loss == (float(np.mean(losses)) if losses else None)
        same &= told.clients in (None, len(outcome.updates.client_ids))
        same &= not told.abandoned and told.clip == outcome.bounds
        if outcome.server_round == len(self.run.rounds):
            released = outcome.params.astype(self.run.experiment.factory.dtype)
            same &= np.array_equal(released, self.run.params)
        if not same:
            raise NotReplayableError(
                f"round {outcome.server_round} ends otherwise than the run's record says"
            )


def _from_the_start(run: FinishedRun, paid: _Paid, rounds: int) -> tuple[RoundUploads, ...]:
    e, keep = paid.experiment, _Kept(run)
    paid.loop(rounds, 0, keep).train(e.factory.initial(e.config.run.seed), _sizes(e), 0, keep.check)
    return tuple(keep.rounds)


def _last(run: FinishedRun, paid: _Paid) -> tuple[RoundUploads, ...]:
    """Return the uploads of the last round, where the checkpoint before it is kept."""
    done, keep = len(run.rounds), _Kept(run)
    before = checkpoint.after(run.folder, 0, done - 1)
    if before is None or before.run != run.run_id:
        return ()
    at = before.progress
    paid.loop(done, done - 1, keep).train(
        at.params[0], _sizes(paid.experiment), 0, keep.check, done - 1, at.bounds
    )
    return tuple(keep.rounds)


def _sizes(experiment: Experiment) -> list[int]:
    return [len(rows) for rows in experiment.folds[0].partition.clients]


@contextmanager
def _paid(run: FinishedRun) -> Iterator[_Paid]:
    """Open what the run's noise came from, for reading only.

    Raises:
        NotReplayableError: key or ledger are not here, or the steps may not repeat.
        PrivacyError: E402, E403, E404 they cannot be used.
    """
    e, run_id = run.experiment, run.run_id
    text, name = e.config.dp.unsafe_test_noise, summary.ledger_name(e)
    if not e.mechanism.groups:
        yield _Paid(Training(e, run_id), None)
        return
    if text is not None:
        account = PaidAccount(account_plan(e, run_id, name, "", text), None)
        yield _Paid(Training(e, run_id, TestNoiseKey(text)), account)
        return
    home = state_home()
    if not (home / "noise.key").exists() or not ledger_path(home, name).exists():
        raise NotReplayableError("the noise key or the ledger of the run is not on this site")
    if e.mechanism.noise_at == "steps":
        _check_same_steps(run)
    key = SecretNoiseKey.load(home)
    plan = account_plan(e, run_id, name, key.check())
    head = run.statement["ledger_head"]
    with Ledger.open(home, name, key, expected_head=head) as ledger:
        budget = PaidBudget(ledger, run_id, plan.terms, plan.limit)
        yield _Paid(Training(e, run_id, key, budget), PaidAccount(plan, ledger))


def _check_same_steps(run: FinishedRun) -> None:
    """Check that local steps compute what they did: their charge names model and data only.

    Raises:
        NotReplayableError: code, libraries or machine are others.
    """
    code = json.loads((run.folder / IDENTITY_NAME).read_bytes())["code"]
    here = summary.environment(run.experiment.config.run.device)
    if code != code_digest() or run.record.provenance.environment != here:
        raise NotReplayableError("code, libraries or machine are not those of the run")
