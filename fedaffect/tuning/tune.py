"""Choosing how few released numbers are trained under DP, by simulating public people as clients.

Nothing private is read and no budget is spent. Every candidate is trained federatedly, with the
noise that the budget asks for, on public people, and tested on public people who did not train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fedaffect.build import silent
from fedaffect.config import FEW, RunConfig
from fedaffect.errors import UsageError
from fedaffect.metrics import balanced_accuracy_of, bootstrap_over_people
from fedaffect.one_thread import one_thread
from fedaffect.outline import DEFAULT_CLIENTS
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.privacy_plan import clients_of
from fedaffect.record import Estimate
from fedaffect.release_choice import NO_BACKBONE, Start, with_release
from fedaffect.tuning.affine_head import Person
from fedaffect.tuning.federation import LocalTraining
from fedaffect.tuning.grid import Grid
from fedaffect.tuning.public_people import Cohort, Fold, cohorts, folds_of
from fedaffect.tuning.record import CandidateRecord, CohortRecord, TuningRecord
from fedaffect.tuning.released import Released
from fedaffect.tuning.trial import Noise, counts_of, trial
from fedaffect.version import __version__

CHANCE = 0.5
DEFAULT_GRID = Grid()


def unheard(done: int, total: int) -> None:
    """Ignore how many trainings are done."""


@dataclass(frozen=True)
class _Simulated:
    """A cohort with its folds and, under one release, its people."""

    number: int
    cohort: Cohort
    folds: tuple[Fold, ...]
    people: tuple[Person, ...]


def tune(
    config: RunConfig,
    *,
    grid: Grid = DEFAULT_GRID,
    public: bool = False,
    chosen_synthetic: bool = False,
    stage: Callable[[str], None] = silent,
    tell: Callable[[int, int], None] = unheard,
) -> TuningRecord:
    """Return what was tried, the best first.

    Args:
        config: Budget, clients, backbone, public data and seed. ``model.release`` fixes what is
            released, else that is chosen, too.
        grid: What is tried.
        public: Whether the user says that the people of the data are public.
        chosen_synthetic: Whether ``config.synthetic`` is the user's choice.
        stage: Told in words what is being done.
        tell: Told how many trainings are done, and how many there are.

    Raises:
        UsageError: E276 the people are not known to be public; E229 a release that cannot be
            tuned; E222, E224, E226 the budget.
        DataError: E380 to E382 the backbone.
    """
    config = config.replace(
        {
            "federation.clients": config.federation.clients or DEFAULT_CLIENTS,
            "dp.mechanism": "gaussian",
            "model.tasks": ("stress",),
        }
    )
    if config.model.release == "full" or config.model.backbone == NO_BACKBONE:
        raise UsageError(
            "E229",
            "dp tune trains few numbers of a public backbone",
            do="give a --backbone, and --release head or N",
        )
    releases = grid.releases if config.model.release is None else (config.model.release,)
    released = _different([Released.of(config, release) for release in releases])
    start, resolved = with_release(released[0].config)
    assert start.backbone is not None  # a release of few numbers has one
    cohort = cohorts(
        resolved,
        start.backbone.card,
        public=public,
        chosen_synthetic=chosen_synthetic,
        stage=stage,
    )
    folds = [folds_of(len(c.table.subjects), clients_of(config), config.run.seed) for c in cohort]
    total = len(released) * len(grid.rounds) * len(grid.local_epochs)
    found: list[CandidateRecord] = []
    with one_thread():
        for done, of in enumerate(released):
            stage(f"training {len(of.places)} released numbers")
            simulated = [
                _Simulated(i, c, f, of.people(c))
                for i, (c, f) in enumerate(zip(cohort, folds, strict=True))
            ]
            each = total // len(released)
            for at, candidates in enumerate(_candidates(of, simulated, grid)):
                found += candidates
                tell(done * each + at + 1, total)
        alone = [_as_it_is(s.people) for s in simulated]
    return TuningRecord(
        version=__version__,
        eps=float(resolved.dp.eps or 0),
        delta=float(released[0].planned(1)[0].spec.delta or 0),
        clients=clients_of(config),
        class_weights=resolved.class_weights,
        seed=config.run.seed,
        draws=grid.draws,
        batch_size=_batch_size(cohort),
        backbone=str(resolved.model.backbone),
        backbone_sha256=start.backbone.sha256,
        backbone_people=start.backbone.card.whose,
        cohorts=tuple(
            CohortRecord(
                title=s.cohort.title,
                synthetic=s.cohort.synthetic,
                people=len(s.people),
                windows=len(s.cohort.table),
                folds=len(s.folds),
                training=min(len(f.clients) for f in s.folds),
                public_only=_estimate(counts, config.run.seed),
            )
            for s, counts in zip(simulated, alone, strict=True)
        ),
        public_only=_estimate(np.concatenate(alone), config.run.seed),
        candidates=tuple(sorted(found, key=_merit)),
        notes=_notes(start, simulated, clients_of(config), len(found)),
    )


def _different(released: list[Released]) -> list[Released]:
    """Return the plans without those that release as many numbers as another one."""
    by_size: dict[int, Released] = {}
    for of in released:
        by_size.setdefault(len(of.places), of)
    return [by_size[size] for size in sorted(by_size)]


def _candidates(
    of: Released, simulated: list[_Simulated], grid: Grid
) -> Iterator[list[CandidateRecord]]:
    """Yield the candidates of one number of rounds and local steps after another."""
    f, seed = of.config.federation, of.config.run.seed
    key = TestNoiseKey(f"dp tune {seed}")
    for rounds in grid.rounds:
        mechanism, ratio = of.planned(rounds)
        for local_epochs in grid.local_epochs:
            training = LocalTraining(
                rounds,
                local_epochs,
                f.momentum,
                None if isinstance(f.max_grad_norm, str) else f.max_grad_norm,
                of.config.class_weights == "client",
            )
            counts = [
                trial(
                    s.people,
                    s.folds,
                    training,
                    grid,
                    Noise(key, s.number, mechanism.scale, clients_of(of.config)),
                )
                for s in simulated
            ]
            yield [
                CandidateRecord(
                    release=of.release,
                    released_numbers=len(of.places),
                    rounds=rounds,
                    local_epochs=local_epochs,
                    lr=lr,
                    clip=clip,
                    z=mechanism.scale,
                    noise_to_signal=ratio,
                    stress=_estimate(np.concatenate([c[:, i, j, 1:] for c in counts]), seed),
                    by_cohort=tuple(_score(c[:, i, j, 1:]) for c in counts),
                    without_noise=_score(np.concatenate([c[:, i, j, :1] for c in counts])),
                )
                for i, lr in enumerate(grid.lr)
                for j, clip in enumerate(grid.clip)
            ]


def _as_it_is(people: tuple[Person, ...]) -> np.ndarray:
    """Return confusion counts (P, 1, 2, 2) of the backbone as it is."""
    still = np.zeros((people[0].design.shape[1], 1))
    return np.stack([counts_of(person, still) for person in people])


def _estimate(counts: np.ndarray, seed: int) -> Estimate:
    """Return the balanced accuracy of counts (P, draws, 2, 2), its interval over people."""
    found = bootstrap_over_people(counts.sum(axis=1), balanced_accuracy_of, seed=seed)
    if found is None:
        return Estimate(value=None, chance=CHANCE, note="one class")
    return Estimate(
        value=found.value, low=found.low, high=found.high, chance=CHANCE, n_people=found.n_people
    )


def _score(counts: np.ndarray) -> float | None:
    """Return the balanced accuracy of counts (P, draws, 2, 2)."""
    score = float(balanced_accuracy_of(counts.sum(axis=(0, 1))))
    return None if np.isnan(score) else score


def _merit(candidate: CandidateRecord) -> tuple[float, ...]:
    """Return what candidates are sorted by: the figure, then little noise and little work."""
    work = candidate.rounds * candidate.local_epochs
    return (-(candidate.stress.value or 0.0), candidate.noise_to_signal, work, candidate.clip)


def _batch_size(cohort: tuple[Cohort, ...]) -> int:
    """Return a batch that holds all windows of anybody."""
    most = max(int(np.bincount(c.table.subject).max()) for c in cohort)
    return max(FEW.batch_size, most)


def _notes(
    start: Start, simulated: list[_Simulated], clients: int, candidates: int
) -> tuple[str, ...]:
    fewest = min(len(f.clients) for s in simulated for f in s.folds)
    notes = [
        "Every candidate starts from the backbone, is trained federatedly on public people under "
        "the noise of the budget, and is tested on public people who did not train. No private "
        "data were read and no budget was spent.",
        f"The chosen figure is the best of {candidates}: it flatters itself.",
    ]
    if fewest < clients:
        notes.append(
            f"{fewest} people stood in for {clients} clients: their mean update took the noise "
            f"of {clients}."
        )
    if any("made the backbone" in s.cohort.title for s in simulated):
        notes.append(
            "The backbone knows some of these people: private people will differ more from what "
            "it learnt, and training will gain more there than here."
        )
    return tuple(notes)
