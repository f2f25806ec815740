"""What an attack is handed, in small: a linear multitask network and simulated Gaussian people.

``evidence()`` trains for real, in a fraction of a second, by federated averaging of full-batch
gradient steps; each person is a client. What is planted is said in the arguments of ``people``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fedaffect import registry, rng
from fedaffect.models.base import Batch, MultitaskModel, Task
from fedaffect.models.factory import ModelFactory
from fedaffect.params import read_flat
from fedaffect.privacy.attacks.evidence import Evidence, LocalTraining, RoundUploads, Windows
from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.spec import PrivacySpec

LOCAL = LocalTraining(
    lr=0.2, momentum=0.0, batch_size=10**6, local_epochs=3, max_grad_norm=None, optimizer="sgd"
)


class Linear(MultitaskModel):
    """Features (B, F) times a matrix (F, H), with a linear head a task."""

    def __init__(self, n_features: int, n_identities: int, width: int = 8) -> None:
        super().__init__()
        self.tasks = (
            Task("stress", "classification", 2, "primary"),
            Task("identity", "classification", n_identities, "private"),
        )
        self.shared = nn.Linear(n_features, width)
        self.stress = nn.Linear(width, 2)
        self.identity = nn.Linear(width, n_identities)

    def embed(self, batch: Batch) -> Tensor:
        h: Tensor = self.shared(batch["features"])
        return h

    def heads(self, h: Tensor) -> dict[str, Tensor]:
        return {"stress": self.stress(h), "identity": self.identity(h)}

    def blocks(self) -> dict[str, list[str]]:
        return {
            "shared": ["shared.weight", "shared.bias"],
            "task:stress": ["stress.weight", "stress.bias"],
            "task:identity": ["identity.weight", "identity.bias"],
        }


@dataclass(frozen=True)
class FactoryNetwork:
    """The factory's network, to be asked with any parameters."""

    factory: ModelFactory

    def layers(self, params: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
        model = self.factory.with_params(params)
        with torch.no_grad():
            layers = model.layers({"features": self._tensor(features)})
        return {name: h.numpy() for name, h in layers.items()}

    def probabilities(self, params: np.ndarray, features: np.ndarray, task: str) -> np.ndarray:
        model = self.factory.with_params(params)
        with torch.no_grad():
            logits = model({"features": self._tensor(features)})[task]
        return logits.double().softmax(1).numpy()

    def _tensor(self, features: np.ndarray) -> Tensor:
        return torch.tensor(features, dtype=getattr(torch, self.factory.dtype))


@dataclass(frozen=True)
class FederatedTrainer:
    """Federated averaging of clients that take full-batch gradient steps."""

    factory: ModelFactory
    windows: Windows
    rounds: int
    local: LocalTraining = LOCAL

    def model(self, train: np.ndarray, seed: int) -> np.ndarray:
        w = self.windows
        client = np.where(w.client >= 0, w.client, 10**6 + w.subject)
        params = self.factory.initial(seed)
        for _ in range(self.rounds):
            groups = [np.flatnonzero(train & (client == c)) for c in np.unique(client[train])]
            params = params + np.mean([self.update(params, g, seed, {}) for g in groups], axis=0)
        return params

    def update(
        self,
        params: np.ndarray,
        rows: np.ndarray,
        seed: int,
        labels: Mapping[str, np.ndarray],
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        model = self.factory.with_params(params)
        batch = self._batch(rows, labels)
        if features is not None:
            batch["features"] = torch.tensor(features, dtype=batch["features"].dtype)
        step = torch.optim.SGD(model.parameters(), self.local.lr, momentum=self.local.momentum)
        for _ in range(self.local.local_epochs):
            step.zero_grad()
            objective(model(batch), batch).backward()
            step.step()
        return read_flat(model).double().numpy() - params

    def _batch(self, rows: np.ndarray, labels: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        own = {"stress": self.windows.stress[rows], "identity": self.windows.identity[rows]}
        x = torch.tensor(self.windows.features[rows], dtype=getattr(torch, self.factory.dtype))
        return {"features": x} | {t: torch.as_tensor(y) for t, y in (own | dict(labels)).items()}


def objective(outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> Any:
    """Return the sum over tasks of the mean cross-entropy; a task without labels adds zero."""
    total = sum(logits.sum() * 0 for logits in outputs.values())
    for task, logits in outputs.items():
        if bool((batch[task] >= 0).any()):
            total = total + F.cross_entropy(logits, batch[task], ignore_index=-1)
    return total


def people(
    seen: int = 8,
    unseen: int = 4,
    *,
    windows: int = 30,
    recordings: int = 2,
    identity: float = 2.0,
    stress: float = 1.5,
    drift: float = 0.0,
    n_features: int = 12,
    clients: int = 0,
    seed: int = 0,
    **changes: Any,
) -> Windows:
    """Return windows of 60 s of people whose features are Gaussian with deviation 1.

    Args:
        seen: People in training; enrolled with the first 60 % of each recording, tested on the
            last 30 %.
        unseen: People in no training.
        windows: Windows of a recording.
        recordings: Recordings of a person.
        identity: Deviation of a person's mean in each feature: 0 hides who it is.
        stress: Distance of the two stress classes along a direction common to all.
        drift: Deviation of a recording's mean in each feature.
        n_features: Number F.
        clients: Number of clients that the windows in training are dealt to in turn; 0 makes each
            person a client.
        seed: Seed of the draw.
        changes: Other fields of ``Windows``.
    """
    draw = rng.generator(seed, "people")
    count = seen + unseen
    subject = np.repeat(np.arange(count), recordings * windows)
    recording = np.repeat(np.arange(count * recordings), windows)
    at = np.tile(np.arange(windows), count * recordings)
    label = draw.integers(0, 2, len(subject))
    means = identity * draw.normal(size=(count, n_features))
    drifts = drift * draw.normal(size=(count * recordings, n_features))
    direction = draw.normal(size=n_features)
    direction *= stress / np.linalg.norm(direction)
    features = means[subject] + drifts[recording] + (label[:, None] - 0.5) * direction
    features = (features + draw.normal(size=features.shape)).astype(np.float32)
    is_seen = subject < seen
    train = is_seen & (at < 0.6 * windows)
    made = Windows(
        features=features,
        subject=subject,
        recording=recording,
        start_s=60.0 * at,
        window_s=60.0,
        stress=label,
        identity=np.where(is_seen, subject, -1),
        train=train,
        enrol=train,
        identity_test=is_seen & (at >= 0.7 * windows),
        unseen=~is_seen,
        client=np.where(is_seen, at % clients if clients else subject, -1),
        people=tuple(f"P{i:02}" for i in range(count)),
        synthetic=True,
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Toy:
    """The pieces that an Evidence is made of, trained on demand."""

    windows: Windows
    seed: int
    rounds: int

    @cached_property
    def factory(self) -> ModelFactory:
        sizes = {
            "n_features": self.windows.features.shape[1],
            "n_identities": int(self.windows.identity.max()) + 1,
        }
        return ModelFactory(Linear, sizes, "float64")

    @cached_property
    def trainer(self) -> FederatedTrainer:
        return FederatedTrainer(self.factory, self.windows, self.rounds)

    @property
    def plan(self) -> ReleasePlan:
        clients = len(np.unique(self.windows.client[self.windows.train]))
        return ReleasePlan(self.rounds, clients, 1.0, "full", clients, 1, 1)

    def mechanism(self, name: str = "none", **spec: Any) -> Mechanism:
        """Return the calibrated mechanism ``name``; further words are fields of PrivacySpec."""
        asked = PrivacySpec(name, **spec)
        plain = mechanism_of(asked, registry.resolve("dp", name))
        return plain.calibrate(self.plan, self.factory.layout)


def evidence(
    windows: Windows | None = None,
    *,
    seed: int = 0,
    rounds: int = 5,
    dp: Mapping[str, Any] | None = None,
    upload_rounds: tuple[int, ...] = (),
    **changes: Any,
) -> Evidence:
    """Return what an attack is handed after a real training without noise.

    Args:
        windows: The people; ``people(seed=seed)`` by default.
        seed: Seed of people, initial parameters and attacks.
        rounds: Rounds of training.
        dp: Arguments of ``Toy.mechanism``, such as ``{"name": "gaussian", "eps": 5.0}``; the
            mechanism is calibrated and clips the uploads, but no noise is drawn.
        upload_rounds: Rounds whose uploads the server kept.
        changes: Fields of ``Evidence`` to replace; given ``params`` save the training.
    """
    windows = people(seed=seed) if windows is None else windows
    toy = Toy(windows, seed, rounds)
    mechanism = toy.mechanism(**(dp or {}))
    params = changes.pop("params", None)
    made = Evidence(
        seed=seed,
        windows=windows,
        factory=toy.factory,
        network=FactoryNetwork(toy.factory),
        trainer=toy.trainer,
        local=LOCAL,
        objective=objective,
        params=toy.trainer.model(windows.train, seed) if params is None else params,
        initial=toy.factory.initial(seed),
        reference=None,
        mechanism=mechanism,
        plan=toy.plan,
        claims=(),
        paper_claim={},
        uploads=uploads(toy, mechanism, upload_rounds),
        no_uploads="" if upload_rounds else "the server kept no uploads",
        canaries=None,
        own_head_released=True,
        rounds=rounds,
    )
    return replace(made, **changes)


def uploads(toy: Toy, mechanism: Mechanism, wanted: tuple[int, ...]) -> tuple[RoundUploads, ...]:
    """Return what the server received in the ``wanted`` rounds (from 1) of the training."""
    w, params, kept = toy.windows, toy.factory.initial(toy.seed), []
    clients = tuple(int(c) for c in np.unique(w.client[w.train]))
    for number in range(1, max(wanted, default=0) + 1):
        groups = [np.flatnonzero(w.train & (w.client == c)) for c in clients]
        updates = [toy.trainer.update(params, rows, toy.seed, {}) for rows in groups]
        if number in wanted:
            rows = np.stack([mechanism.on_client(u, params) for u in updates])
            kept.append(RoundUploads(number, params, clients, rows))
        params = params + np.mean(updates, axis=0)
    return tuple(kept)
