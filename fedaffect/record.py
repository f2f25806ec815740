"""What a run leaves behind: frozen records with a JSON round trip and a schema version."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

RECORD_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Record):
    """A figure with its 95 % interval over people and its chance level.

    ``value`` is ``None`` where the figure is undefined; ``note`` then says why.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    n_people: int = 0
    note: str = ""


class PersonFigures(_Record):
    """Stress balanced accuracy and own-head identity accuracy of one tested person."""

    person: str
    seen_in_training: bool
    windows: int
    stress_balanced_accuracy: float | None
    stress_accuracy: float | None
    identity_own_head: float | None


class Figures(_Record):
    """What one trained model achieves and leaks, over all folds.

    Attacks map a name to the accuracy of a freshly trained attacker on the released embedding;
    ``identity_strongest`` is the best of them and the figure to quote.
    """

    stress_accuracy: Estimate
    stress_macro_f1: Estimate
    stress_balanced_accuracy: Estimate
    identity_own_head: Estimate
    identity_attacks: dict[str, Estimate]
    identity_strongest: Estimate
    strongest_attack: str
    raw_features_attack: Estimate
    per_person: tuple[PersonFigures, ...] = ()


class RoundRecord(_Record):
    """One finished round: who answered, what the model does now, what was spent.

    ``loss`` is the mean training loss over clients, ``None`` where they draw their own noise;
    accuracies are on the evaluation windows.
    ``clients`` is ``None`` where who takes part must stay secret: draws that amplify privacy.
    An ``abandoned`` round had too few replies: nothing was released. ``clip`` holds the clip norm
    of every group of blocks.
    """

    fold: int
    round: int
    clients: int | None
    clients_planned: int | None
    rejected: tuple[str, ...] = ()
    abandoned: bool = False
    clip: tuple[float, ...] = ()
    loss: float | None
    stress_balanced_accuracy: float | None
    stress_macro_f1: float | None
    identity_own_head: float | None
    identity_probe: float | None
    eps_spent: float | None
    seconds: float


class SplitSummary(_Record):
    """How windows were divided into training and test."""

    spec: str
    description: str
    folds: int
    leaks_overlap: bool
    smallest_gap_s: float | None
    people_seen: int
    people_unseen: int
    windows_train: int
    windows_stress_test: int
    windows_identity_test: int


class PartitionSummary(_Record):
    """Who holds what (first fold): clients x people and clients x stress label, in windows."""

    name: str
    options: dict[str, Any]
    clients: tuple[str, ...]
    subjects: tuple[str, ...]
    by_subject: tuple[tuple[int, ...], ...]  # (clients, subjects)
    by_stress: tuple[tuple[int, int], ...]  # (clients, 2)
    subjects_per_client_max: int
    clients_per_subject_max: int


class DataSummary(_Record):
    """The data set, its licence, and what was done to it before training."""

    name: str
    synthetic: bool
    licence: str
    citation: str
    people: int
    windows: int
    features: int
    window_s: float
    overlap: float
    normalisation: str
    fingerprint: str
    files: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    split: SplitSummary
    partition: PartitionSummary


class ModelSummary(_Record):
    """The network: parameters in all, by block, and its tasks."""

    name: str
    parameters: int
    blocks: dict[str, int]
    tasks: tuple[dict[str, Any], ...]


class Instead(_Record):
    """A run of few released numbers, planned in place of one that cannot learn.

    ``command`` starts it; the other figures mean what they mean in ``Forecast``.
    """

    command: str
    released: int
    rounds: int
    noise_multiplier: float
    clients_per_round: float
    break_even_clients: float
    noise_to_signal: float


class Forecast(_Record):
    """What was known before round 1: the noise, and whether such a run can learn.

    ``can_learn`` is ``None`` where the lengths of noise and signal do not tell; ``instead`` is
    what to do where it cannot learn and few numbers could.
    """

    noise_multiplier: float | None
    noise_sd: float | None
    clients_per_round: float
    break_even_clients: float | None
    noise_to_signal: float | None
    can_learn: bool | None
    sentences: tuple[str, ...]
    instead: Instead | None = None


class PublicPeople(_Record):
    """People whose recordings made a backbone: nothing protects them."""

    title: str
    people: int
    windows: int
    synthetic: bool
    licence: str
    citation: str


class BackboneSummary(_Record):
    """The public weights that a run started from, as the card in their file describes them.

    ``objective`` holds the weight of every term that they were trained for.
    """

    name: str
    about: str
    sha256: str
    objective: dict[str, float]
    public_data: tuple[PublicPeople, ...]


class ReleaseSummary(_Record):
    """How many numbers were trained on private people and left their devices.

    ``plan`` is ``full``, ``head``, ``adapter`` or the most numbers allowed; ``plans`` maps every
    plan that the network knows to the numbers that it would release.
    """

    plan: str
    released: int
    total: int
    plans: dict[str, int]
    backbone: BackboneSummary | None = None


class Provenance(_Record):
    """Where the figures come from."""

    run_id: str
    version: str
    started: str
    ended: str
    seconds: float
    seed: int
    engine: str
    workers: int
    config: dict[str, Any]
    config_sha256: str
    environment: dict[str, Any]


class RunRecord(_Record):
    """A finished run: configuration, data, rounds, figures, privacy.

    ``no_dp`` holds the figures of the same run without DP (``None`` if this run is that one);
    ``iid_reference`` those of the same people dealt out IID without DP, shown beside partition
    ``subject``, where the model's own identity head stays near chance by construction.
    ``public_only`` holds those of the public weights that the run started from, before round 1.
    ``release`` is ``None`` in records of older versions.
    """

    schema_version: int = RECORD_VERSION
    kind: str = "run"
    provenance: Provenance
    data: DataSummary
    model: ModelSummary
    release: ReleaseSummary | None = None
    forecast: Forecast
    rounds: tuple[RoundRecord, ...]
    figures: Figures
    no_dp: Figures | None = None
    iid_reference: Figures | None = None
    public_only: Figures | None = None
    privacy: dict[str, Any]
    warnings: tuple[str, ...] = ()
    folder: str | None = None
