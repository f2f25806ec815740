"""What an attack may be handed: the people's windows, what was released, and ways to train.

An attack imports no trainer and reads no folder: all that it needs is in an :class:`Evidence`.
Shapes: N windows, F features a window, P people, d parameters, r released coordinates, n clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from fedaffect.audit_record import AttackResult, Threat
from fedaffect.models.factory import ModelFactory
from fedaffect.privacy.base import Mechanism, ReleasePlan

UNTRAINED, PUBLIC = "untrained net", "public weights"  # names of the baseline before round 1


@dataclass(frozen=True)
class Windows:
    """The windows of all people, and what each had to do with the attacked model (its fold).

    Args:
        features: Features as the model reads them, (N, F) float32, normalised.
        subject: Whose window it is, (N,) int64, index into ``people``.
        recording: Recording of the window, (N,) int64.
        start_s: Start of the window in its recording, (N,) seconds.
        window_s: Length of a window in seconds.
        stress: Stress label, (N,) int64.
        identity: Number of the person in the model's own identity head, (N,); -1 for the unseen.
        train: Windows that the model was trained on, (N,) bool.
        enrol: Windows that an attacker on identity may learn from, (N,) bool.
        identity_test: Held-out windows of people seen in training, in other blocks of time than
            ``enrol``, (N,) bool.
        unseen: Windows of people who take part in no training, (N,) bool.
        client: Client that trained on the window, (N,) int64; -1 for none.
        people: Names of the people, P.
        attributes: Attribute of people such as ``sex`` to values (P,) int64, -1 where unknown.
        people_drawn_at_random: Whether who is unseen was drawn at random from one population,
            which is what makes members and non-members comparable.
        leaks_overlap: Whether test windows share raw samples with training windows.
        synthetic: Whether the people are simulated.
        feature_names: Names ``channel/feature`` of the columns, F; empty where they have none.
    """

    features: np.ndarray
    subject: np.ndarray
    recording: np.ndarray
    start_s: np.ndarray
    window_s: float
    stress: np.ndarray
    identity: np.ndarray
    train: np.ndarray
    enrol: np.ndarray
    identity_test: np.ndarray
    unseen: np.ndarray
    client: np.ndarray
    people: tuple[str, ...]
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    people_drawn_at_random: bool = True
    leaks_overlap: bool = False
    synthetic: bool = False
    feature_names: tuple[str, ...] = ()


class Network(Protocol):
    """The model, to be asked with any parameters."""

    def layers(self, params: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
        """Return layer name to activations (N, H), from the input to the heads, in order."""

    def probabilities(self, params: np.ndarray, features: np.ndarray, task: str) -> np.ndarray:
        """Return softmax probabilities (N, K) of ``task``, float64."""


class Trainer(Protocol):
    """Trains as the run did, on windows that the attacker chooses; without DP."""

    def model(self, train: np.ndarray, seed: int) -> np.ndarray:
        """Return parameters (d,) of a federated training on the windows ``train`` (N,) bool.

        The windows stay with the clients that the run's partition gives them to; windows that the
        run held out go to new clients, one a person.
        """

    def update(
        self,
        params: np.ndarray,
        rows: np.ndarray,
        seed: int,
        labels: Mapping[str, np.ndarray],
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return one client's raw update (d,): local training from ``params`` on windows ``rows``.

        Args:
            params: Parameters (d,) to start from.
            rows: Indices of windows, (m,).
            seed: Seed of the order of the windows.
            labels: Task to labels (m,); empty for the true ones.
            features: Features (m, F) instead of those of the windows.
        """


@dataclass(frozen=True)
class LocalTraining:
    """How a client trains, which is public: what an inversion attack needs to know."""

    lr: float
    momentum: float
    batch_size: int
    local_epochs: int
    max_grad_norm: float | None
    optimizer: str


@dataclass(frozen=True)
class RoundUploads:
    """What the server received in one round, exactly as released.

    Args:
        server_round: Number of the round, from 1.
        params: Global parameters (d,) that were broadcast.
        clients: Who answered, ascending.
        rows: Their uploads over the released coordinates, (n, r) float64: clipped where the
            mechanism clips, noised where the clients draw the noise.
    """

    server_round: int
    params: np.ndarray
    clients: tuple[int, ...]
    rows: np.ndarray


@dataclass(frozen=True)
class Claim:
    """What the privacy statement says to one observer about the whole run.

    ``eps`` is ``None`` where nothing is promised.
    """

    status: str
    observer: str
    unit: str
    adjacency: str
    eps: float | None
    delta: float | None


@dataclass(frozen=True)
class Canaries:
    """Canary clients of the run: which update each would upload, and who really took part.

    Args:
        count: Number m of canaries.
        included: Who took part in every round, (m,) bool, by a fair coin each.
        direction: Number of a canary to its unit direction over the released coordinates, (r,).
        rounds: Rounds that they took part in.
    """

    count: int
    included: np.ndarray
    direction: Callable[[int], np.ndarray]
    rounds: int


@dataclass(frozen=True)
class Evidence:
    """All that a run released and all that an attacker may know.

    Args:
        seed: Master seed of everything an attack draws.
        windows: The people's windows.
        factory: Builds the network; ``factory.layout`` names its blocks.
        network: The network, to be asked with any parameters.
        trainer: Trains further models and updates.
        local: How a client trains.
        objective: ``(outputs, batch) -> scalar``: the training loss, differentiable.
        params: Final parameters of the attacked model, (d,).
        initial: Parameters before round 1, (d,).
        reference: Final parameters of the same run without DP, (d,); ``None`` if this is that
            run, or there is none.
        mechanism: The calibrated mechanism.
        plan: What the accountant reads.
        claims: One for each observer of the statement.
        paper_claim: The paper's claim and its true value, as in the statement; empty otherwise.
        uploads: What the server received in some rounds, ascending; empty where that cannot be
            known any more.
        no_uploads: Why ``uploads`` is empty.
        canaries: Canary clients of the run; ``None`` without.
        own_head_released: Whether the identity head left the clients at all.
        rounds: Rounds of the run.
        gate_confidence: Confidence of every gated bound: 0.999, Bonferroni over the gated tests.
    """

    seed: int
    windows: Windows
    factory: ModelFactory
    network: Network
    trainer: Trainer
    local: LocalTraining
    objective: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    params: np.ndarray
    initial: np.ndarray
    reference: np.ndarray | None
    mechanism: Mechanism
    plan: ReleasePlan
    claims: tuple[Claim, ...]
    paper_claim: Mapping[str, Any]
    uploads: tuple[RoundUploads, ...]
    no_uploads: str
    canaries: Canaries | None
    own_head_released: bool
    rounds: int
    gate_confidence: float = 0.999

    @property
    def before(self) -> str:
        """What the network of ``initial`` is called."""
        return UNTRAINED if self.factory.public is None else PUBLIC

    @property
    def frozen_embedding(self) -> tuple[str, ...]:
        """A note where the shared layers are as they were before round 1; else nothing."""
        shared = self.factory.layout.indices("shared")
        if not np.array_equal(self.params[shared], self.initial[shared]):
            return ()
        return (
            f"the shared layers were not trained in this run: on the embedding this is the figure "
            f"of the {self.before}, and it tells nothing about the training",
        )


class Attack(Protocol):
    """One attack or audit: a frozen dataclass, its fields are its options."""

    id: ClassVar[str]
    name: ClassVar[str]
    threat: ClassVar[Threat]
    full: ClassVar[bool]  # whether it runs only under --full

    def run(self, evidence: Evidence) -> AttackResult:
        """Attack; never raise because the run lacks something: say so in the result's status."""
