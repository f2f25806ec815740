"""What the reproduction of a paper leaves behind: ``study.json``, frozen, with a JSON round trip.

A study trains cells; figures, tables and verdicts are made of them. Nothing here knows which paper.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fedaffect.record import Estimate, Figures

STUDY_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CurvePoint(_Record):
    """What a model achieved after a round, mean over folds; ``None`` where it has no such head."""

    round: int
    stress_balanced_accuracy: float | None
    identity_own_head: float | None


class Claimed(_Record):
    """What the paper claims for the noise of a cell, and what the accountants say of it.

    Args:
        eps_per_round: Claimed eps of one round; ``None`` for noise that claims nothing.
        noise_sd: Standard deviation of the noise on a coordinate of one upload.
        true_eps_per_round: Eps of one round for one client, of the noised blocks.
        true_eps_total: Eps of all rounds; ``None`` where a block leaves in the clear.
        rounds: Rounds that ``true_eps_total`` is about.
        delta: Delta of every eps.
        unit: Unit of privacy of every true eps.
        adjacency: Adjacency of every true eps.
    """

    eps_per_round: float | None
    noise_sd: float
    true_eps_per_round: float
    true_eps_total: float | None
    rounds: int
    delta: float
    unit: str
    adjacency: str


class ReleaseFigures(_Record):
    """What few released numbers achieve and give away, by noise draw and person.

    Args:
        tested_on: Whose windows the stress scores are of, in words.
        people: Ids of the people with both classes in their test windows.
        stress: Balanced accuracy of every draw on every person, (draws, people).
        public: The same of the public start on the same windows, by person.
        numbers: Numbers that leave a client in a round.
        parameters: Parameters of the whole network.
        rounds: Releases of one training.
        eps: Total eps for one client; ``None`` without a promise.
        delta: Its delta.
        noise_multiplier: z, noise / sensitivity; ``None`` without noise.
        break_even: Clients at which noise and signal are equal; ``None`` without noise.
        simulated_status: Status of the statement that ``fedaffect simulate`` ends with.
        attacked_releases: How many of the first releases the two attackers below read.
        membership: Area under the ROC of an attacker who asks whether a person took part.
        left_out: How often an attacker names the one person who did not.
    """

    tested_on: str
    people: tuple[str, ...]
    stress: tuple[tuple[float, ...], ...]
    public: tuple[float, ...]
    numbers: int
    parameters: int
    rounds: int
    eps: float | None
    delta: float | None
    noise_multiplier: float | None
    break_even: float | None
    simulated_status: str
    attacked_releases: int
    membership: Estimate
    left_out: Estimate


class TrialRecord(_Record):
    """One cell: a training on every fold, and the attackers.

    Args:
        name: Unique within the study.
        what: What was trained, in words.
        family: Cells of one family look alike in the trade-off.
        config: The resolved configuration.
        folds: Number of folds that were trained.
        windows_per_client: Training windows of every client, first fold.
        leaks_overlap: Whether test windows share raw samples with training windows.
        figures: What the models achieve and leak.
        curve: What they achieved round by round; empty where only the end was evaluated.
        status: Status of the privacy statement.
        claimed: The paper's claim for this noise; ``None`` without noise.
        released: Scores by noise draw, and attacks on the released numbers; ``None`` where the
            cell has one draw, of a secret key.
        stopped: Why it has no whole training, such as divergence; empty otherwise.
        seconds: What the cell cost.
    """

    name: str
    what: str
    family: str
    config: dict[str, Any]
    folds: int
    windows_per_client: tuple[int, ...]
    leaks_overlap: bool
    figures: Figures
    curve: tuple[CurvePoint, ...] = ()
    status: str
    claimed: Claimed | None = None
    released: ReleaseFigures | None = None
    stopped: str = ""
    seconds: float


class Candidate(_Record):
    """A training setting, and its loss on windows that were kept from training.

    ``loss`` is the cross-entropy summed over tasks, in nats; ``None`` where training diverged.

    Args:
        purpose: Which cells it is for, such as ``central``.
        chosen: Whether it had the smallest loss, and was trained with.
        printed: Whether it is the paper's own, which is never chosen.
    """

    purpose: str
    lr: float
    batch_size: int
    local_epochs: int
    momentum: float
    max_grad_norm: float | None
    loss: float | None
    chosen: bool
    printed: bool


class Mark(_Record):
    """One dot, or one point of a curve.

    Args:
        series: What is measured; marks of one series look alike.
        at: Where it stands: the name of a row, or the number of a round.
        figure: The figure with interval and chance level.
        printed: What the paper's text prints for it, a share; ``None``: not printed.
        where: Where the paper prints it.
    """

    series: str
    at: str
    figure: Estimate
    printed: float | None = None
    where: str = ""


class Panel(_Record):
    """One set of axes."""

    title: str
    kind: Literal["dots", "curves"] = "dots"
    marks: tuple[Mark, ...]


class StudyFigure(_Record):
    """A figure of the paper, measured again.

    Args:
        name: Name of its CSV file and prefix of its ids, such as ``figure-2``.
        title: The finding, one sentence.
        about: What is drawn and how it differs from the paper's.
        panels: Its axes, at least one.
        of_paper: Whether a paper prints it, or could have.
    """

    name: str
    title: str
    about: str
    of_paper: bool = True
    panels: tuple[Panel, ...]


class StudyTable(_Record):
    """A table with a caption."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Verdict(_Record):
    """A claim of the paper beside what was measured.

    ``agrees`` is ``not comparable`` where the study cannot tell, which ``why`` explains.
    """

    claim: str
    source: str
    paper: str
    ours: str
    agrees: Literal["yes", "no", "partly", "not comparable"]
    why: str


class StudyRecord(_Record):
    """A finished study.

    ``settings`` are the training settings that were compared; none where the printed one was kept.
    """

    schema_version: int = STUDY_VERSION
    kind: str = "study"
    study: str
    title: str
    citation: str
    version: str
    started: str
    seconds: float
    seeds: int
    quick: bool
    as_printed: bool
    cells_done: int
    cells_planned: int
    data: dict[str, Any]
    settings: tuple[Candidate, ...] = ()
    notes: tuple[str, ...]
    figures: tuple[StudyFigure, ...]
    tables: tuple[StudyTable, ...]
    verdicts: tuple[Verdict, ...]
    trials: tuple[TrialRecord, ...]
    environment: dict[str, Any] = {}
