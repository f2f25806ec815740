"""What a node has: the data of the clients it hosts and a trainer; it answers train requests.

A node of a simulation can host every client; a hospital hosts its own. The same code serves both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fedaffect.clients.account import ClientAccount
from fedaffect.clients.exchange import TrainReply, TrainRequest
from fedaffect.clients.local import Trainer
from fedaffect.clients.outbox import Contribution, Outbox
from fedaffect.clients.personal import PersonalLayers
from fedaffect.clients.private_local import PrivateTrainer, WindowNoise
from fedaffect.clients.side import ClientSide
from fedaffect.clients.stacked import StackedTrainer, why_not_stacked
from fedaffect.device import repeatable
from fedaffect.errors import PrivacyError
from fedaffect.failpoint import fail_here
from fedaffect.privacy.base import ClippedSum, Mechanism
from fedaffect.privacy.charges import Charge
from fedaffect.privacy.mechanisms.noised import NoisedSum

_Moved = tuple[torch.Tensor, torch.Tensor, float]  # where a client began (d,), its update, loss
FAILURES = (ArithmeticError, KeyError, RuntimeError, ValueError, MemoryError)


@dataclass(frozen=True)
class _Trainers:
    """The trainers of one fold, with its data resident in memory; ``None``: not in stacks."""

    alone: Trainer | PrivateTrainer
    stacked: StackedTrainer | None


class Site:
    """The clients of one node, with their data resident in memory."""

    def __init__(self, side: ClientSide) -> None:
        torch.set_num_threads(1)
        self.side = side
        self.layout = side.factory.layout
        self.blocks = side.mechanism.blocks
        self.noised_steps = side.mechanism.noise_at == "steps"
        self.trusts_nobody = side.mechanism.noise_at in ("client", "steps")
        self.personal = PersonalLayers(side.run)
        self.account = ClientAccount(side.account) if side.account is not None else None
        self._trainers: dict[int, _Trainers] = {}
        self._clients = [{c.client_id: c for c in fold} for fold in side.folds]

    def hosts(self, fold: int) -> tuple[int, ...]:
        """Return the ids of the clients that this node can train in ``fold``."""
        return tuple(sorted(self._clients[fold]))

    def train(self, params: np.ndarray, request: TrainRequest) -> TrainReply:
        """Train the clients of ``request`` from ``params`` (d,), privatise, and return.

        A client that fails costs its own update only. A node whose policy forbids the round, or
        whose key, ledger or budget does not allow it, refuses for all its clients.
        """
        try:
            if self.account is not None and (why := self.account.refusal) is not None:
                return self._refusal(request, why)
            with repeatable(self.side.device):
                return self._train_all(params, request)
        except PrivacyError as error:  # key, ledger or budget: nothing was released
            why = f"{error.code}: {error.message}"
            return self._refusal(request, why)

    def _train_all(self, params: np.ndarray, request: TrainRequest) -> TrainReply:
        mechanism = self.side.mechanism
        if request.bounds:
            mechanism = mechanism.at_bounds(request.bounds)
        start = torch.as_tensor(params).to(self._of_fold(request.fold).alone.dtype)
        if self.noised_steps:
            charges = self._charge_steps(start, request)
        out = Outbox(request, mechanism, np.dtype(self.side.factory.dtype), not self.trusts_nobody)
        for share, stacks in request.batches:
            done = self._trained(start, request, mechanism, stacks, out.failed)
            if mechanism.noise_at == "client":
                self._noise(done, mechanism, request.release)
            if len(self.blocks.kept):
                for one in done:
                    self.personal.save(
                        request.fold, one.client_id, request.server_round, one.personal
                    )
            out.put(share, done)
        if self.noised_steps:
            fail_here("client.noised")
            self._account.released(charges)
        return out.reply()

    def _trained(
        self,
        start: torch.Tensor,
        request: TrainRequest,
        mechanism: Mechanism,
        stacks: Sequence[tuple[int, ...]],
        failed: dict[int, str],
    ) -> list[Contribution]:
        """Train the clients of ``stacks``; who fails is written down in ``failed``."""
        done = []
        for group in stacks:
            together = self._side_by_side(start, request, group)
            for client_id in group:
                try:
                    moved = together.get(client_id) or self._alone(start, request, client_id)
                    windows = len(self._clients[request.fold][client_id])
                    done.append(self._contribution(mechanism, client_id, windows, moved))
                except FAILURES as error:
                    why = type(error).__name__
                    failed[client_id] = why if self.trusts_nobody else f"{why}: {error}"[:200]
        return done

    def _side_by_side(
        self, start: torch.Tensor, request: TrainRequest, group: tuple[int, ...]
    ) -> dict[int, _Moved]:
        """Train ``group`` in one program; nobody where this network or one of them cannot."""
        stacked = self._of_fold(request.fold).stacked
        if len(group) == 1 or stacked is None:
            return {}
        try:
            clients = [self._clients[request.fold][c] for c in group]
            starts = torch.stack([self._with_personal_layers(start, request, c) for c in group])
            updates, losses = stacked.train(starts, clients, request.fold, request.server_round)
        except FAILURES:  # one after another, so that a failure costs its own client only
            return {}
        found = zip(starts, updates, losses.tolist(), strict=True)
        return dict(zip(group, found, strict=True))

    def _alone(self, start: torch.Tensor, request: TrainRequest, client_id: int) -> _Moved:
        """Train one client."""
        data = self._clients[request.fold][client_id]
        own = self._with_personal_layers(start, request, client_id)
        trainer = self._of_fold(request.fold).alone
        if isinstance(trainer, PrivateTrainer):
            key = self._account.key
            update, loss = trainer.train(
                own,
                data,
                request.fold,
                request.server_round,
                release=request.release,
                key=key.client(client_id),
                draws=key.draws(self.side.run),
            )
        else:
            update, loss = trainer.train(own, data, request.fold, request.server_round)
        return own, update, loss

    def _contribution(
        self, mechanism: Mechanism, client_id: int, windows: int, moved: _Moved
    ) -> Contribution:
        """Return what a client that has moved is about to release."""
        own, update, loss = moved
        change, before = update.double().numpy(), own.double().numpy()
        return Contribution(
            client_id,
            windows,
            mechanism.on_client(change, before),
            loss,
            mechanism.within(change, before),
            (own + update).numpy()[self.blocks.kept],
        )

    def _charge_steps(self, start: torch.Tensor, request: TrainRequest) -> list[Charge]:
        """Charge the local steps of every client; their inputs are the model and its data."""
        model = hashlib.sha256(start.double().numpy().tobytes()).digest()
        inputs = {
            c: hashlib.sha256(model + self._clients[request.fold][c].digest).digest()
            for c in request.client_ids
            if c in self._clients[request.fold]
        }
        return self._account.charge(request.release, inputs)

    def _noise(self, done: list[Contribution], mechanism: Mechanism, release: int) -> None:
        """Charge, then noise every contribution with its client's own key."""
        assert isinstance(mechanism, NoisedSum)  # who else adds noise to a contribution
        bounds, norm = mechanism.bounds, mechanism.norm
        alone = {one.client_id: ClippedSum(one.values, 1, bounds, norm) for one in done}
        digests = {c: mechanism.inputs_digest(total) for c, total in alone.items()}
        charges = self._account.charge(release, digests)
        for one in done:
            key = self._account.key.client(one.client_id)
            one.values = mechanism.add_noise(alone[one.client_id], key, release).total
        fail_here("client.noised")
        self._account.released(charges)

    def _with_personal_layers(
        self, start: torch.Tensor, request: TrainRequest, client_id: int
    ) -> torch.Tensor:
        """Return ``start`` (d,) with the client's own layers in it, where it has some."""
        if not len(self.blocks.kept):
            return start
        personal = self.personal.load(request.fold, client_id, request.server_round)
        if personal is None:
            return start
        own = start.clone()
        own[torch.from_numpy(self.blocks.kept)] = torch.from_numpy(personal).to(own.dtype)
        return own

    def _refusal(self, request: TrainRequest, why: str) -> TrainReply:
        nothing = np.empty((len(request.shares), len(self.blocks.released)))
        return TrainReply((), nothing, (), refused=dict.fromkeys(request.client_ids, why))

    def _of_fold(self, fold: int) -> _Trainers:
        if fold not in self._trainers:  # one fold runs at a time; its data replace the last fold's
            side, frozen = self.side, self.blocks.frozen
            model = side.factory.build().to(side.device)
            stacked = None
            if self.noised_steps:
                noise = WindowNoise.of(side.mechanism)
                alone: Trainer | PrivateTrainer = PrivateTrainer(
                    model, side.strategy, side.plan, noise, frozen
                )
            else:
                alone = Trainer(model, side.strategy, side.plan, frozen)
                if not why_not_stacked(model):
                    beside = side.factory.build().to(side.device)
                    stacked = StackedTrainer(beside, side.strategy, side.plan, frozen)
            self._trainers = {fold: _Trainers(alone, stacked)}
        return self._trainers[fold]

    @property
    def _account(self) -> ClientAccount:
        if self.account is None:
            raise PrivacyError("E410", "noise at the clients needs their key and their ledger")
        return self.account


_hosted: dict[str, Site] = {}


def host(run_key: str, site: Site) -> None:
    """Let this process answer for ``site`` in the run called ``run_key`` (one run at a time)."""
    _hosted.clear()
    _hosted[run_key] = site


def hosted(run_key: str) -> Site | None:
    """Return the site that this process hosts for the run, if any."""
    return _hosted.get(run_key)
