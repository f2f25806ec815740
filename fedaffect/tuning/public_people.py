"""Whose data settings are chosen on: simulated people, or people who are public anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedaffect.build import window_table
from fedaffect.config import RunConfig
from fedaffect.config_data import SyntheticConfig
from fedaffect.data.normalise import normalise
from fedaffect.data.schema import WindowTable
from fedaffect.errors import UsageError
from fedaffect.models.backbone_card import BackboneCard
from fedaffect.outline import Outline, outline
from fedaffect.rng import generator

POPULATION = 1_000_033  # seed of simulated people whom no backbone and no default run has seen
SHIFTS = (0.0, 1.5)  # how far the reaction to stress is turned from the backbone's people
MOST_FOLDS = 5


@dataclass(frozen=True)
class Cohort:
    """People who stand in for the private ones.

    Args:
        title: Who they are, in words.
        table: Their windows.
        features: Scaled as the run will scale them, (N, F) float32.
        synthetic: Whether they are simulated.
    """

    title: str
    table: WindowTable
    features: np.ndarray
    synthetic: bool


@dataclass(frozen=True)
class Fold:
    """Who trains and who is tested, as indices into the subjects of a table."""

    clients: tuple[int, ...]
    tested: tuple[int, ...]


def cohorts(
    config: RunConfig,
    card: BackboneCard,
    *,
    public: bool,
    chosen_synthetic: bool,
    stage: Callable[[str], None],
) -> tuple[Cohort, ...]:
    """Return the people that settings are chosen on.

    Args:
        config: The resolved run; its data section says who.
        card: Whose people made the backbone.
        public: Whether the user says that the people are public.
        chosen_synthetic: Whether the user chose ``[synthetic]``; else two populations are
            simulated, the backbone's own and one that reacts to stress in another way.
        stage: Told in words what is being done.

    Raises:
        UsageError: E276 the people are not known to be public.
    """
    if config.data.name == "synthetic" and not chosen_synthetic:
        configs = [_simulated(config, shift) for shift in SHIFTS]
    else:
        configs = [config]
    return tuple(_cohort(c, card, public, stage) for c in configs)


def folds_of(people: int, clients: int, seed: int) -> tuple[Fold, ...]:
    """Return folds in which everybody is tested once and at most ``clients`` others train.

    There are as few folds as leave ``clients`` people to train, and at most five: where people are
    too few for that, the rest stand in for all clients.

    Args:
        people: Number of people, at least 2.
        clients: Planned number of clients.
        seed: Decides who is where.
    """
    spare = people - clients
    count = min(MOST_FOLDS, people, -(-people // spare) if spare > 0 else MOST_FOLDS)
    order = generator(seed, "tuning", "folds").permutation(people)
    folds = []
    for tested in np.array_split(order, max(2, count)):
        others = np.setdiff1d(order, tested)
        chosen = generator(seed, "tuning", "clients", int(tested[0])).permutation(others)
        folds.append(Fold(tuple(map(int, chosen[:clients])), tuple(map(int, tested))))
    return tuple(folds)


def _simulated(config: RunConfig, shift: float) -> RunConfig:
    clients = config.federation.clients
    assert clients is not None  # resolved before
    people = SyntheticConfig(people=2 * clients, seed=POPULATION, response_shift=shift)
    return config.replace({f"synthetic.{k}": v for k, v in people.model_dump().items()})


def _cohort(
    config: RunConfig, card: BackboneCard, public: bool, stage: Callable[[str], None]
) -> Cohort:
    whole = RunConfig(data=config.data, synthetic=config.synthetic)  # no clients, no privacy
    planned = outline(whole.replace({"federation.clients": 1}))
    if not public and config.data.name != "synthetic":
        _refuse_private(planned, card)
    table = window_table(planned, stage)
    if len(table.subjects) < 2:
        raise UsageError("E276", "dp tune tests on other people than it trains on: it needs two")
    features, _ = normalise(
        table.features,
        choice=str(config.data.normalise),
        train=np.ones(len(table.subject), dtype=bool),
        subject=table.subject,
        feature_names=table.feature_names,
    )
    return Cohort(_title(planned, card), table, features, table.synthetic)


def _refuse_private(planned: Outline, card: BackboneCard) -> None:
    name = planned.config.data.name
    known = {p for d in card.public_data if d.name == name for p in d.people}
    if strangers := [p for p in planned.subjects if p not in known]:
        raise UsageError(
            "E276",
            f"{len(strangers)} of these people ({', '.join(strangers[:3])}) did not make the "
            "backbone, so nothing says that they are public: settings chosen on private people "
            "leak, and no budget counts it",
            do="--data synthetic, --people with public ones, or --public if all of them are",
        )


def _title(planned: Outline, card: BackboneCard) -> str:
    """Say who they are, and whether the backbone knows them."""
    info, config = planned.dataset.info, planned.config
    if config.data.name == "synthetic":
        turned = config.synthetic.response_shift
        return (
            f"{len(planned.subjects)} simulated people"
            + (f", reaction turned by {turned:g}" if turned else "")
            + f", seed {config.synthetic.seed}"
        )
    made = {p for d in card.public_data if d.name == config.data.name for p in d.people}
    seen = sum(p in made for p in planned.subjects)
    return (
        f"{len(planned.subjects)} people of {info.title}"
        + f", {seen} of whom made the backbone" * bool(seen)
    )
