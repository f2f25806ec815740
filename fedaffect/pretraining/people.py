"""Which people are public, and their windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fedaffect import registry
from fedaffect.build import silent, window_table
from fedaffect.config import RunConfig
from fedaffect.data.schema import WindowTable
from fedaffect.errors import DataError
from fedaffect.models.backbone_card import PublicData
from fedaffect.outline import outline

FEWEST = 3  # two to train on, one to measure on
POPULATION: Mapping[str, Any] = {  # of simulated people, unless the user says otherwise
    "synthetic.seed": 1_000_003,  # no default run uses it
    "synthetic.people": 120,
}


def with_population(config: RunConfig, origins: Mapping[str, str]) -> RunConfig:
    """Return ``config`` with the public population of simulated people where nothing is said."""
    unsaid = {key: value for key, value in POPULATION.items() if origins[key] == "default"}
    return config.replace(unsaid)


def public_table(config: RunConfig, stage: Callable[[str], None] = silent) -> WindowTable:
    """Return the windows of the public people that ``config`` names.

    Args:
        config: Its sections ``data`` and ``synthetic`` count.
        stage: Told in words what is being done.

    Raises:
        UsageError: the data set, or what it is asked for, is not known.
        DataError: E384 fewer than 3 people; and whatever the data give cause for.
    """
    plan = outline(config.replace({"federation.clients": 1, "data.partition": "subject"}))
    if len(plan.subjects) < FEWEST:
        raise _too_few(len(plan.subjects))
    table = window_table(plan, stage)
    if len(table.subjects) < FEWEST:
        raise _too_few(len(table.subjects))
    return table


def public_data(table: WindowTable) -> PublicData:
    """Return what the card of a backbone says of the people who made it."""
    return PublicData(
        name=table.dataset,
        title=registry.resolve("data", table.dataset).info.title,
        people=table.subjects,
        windows=len(table),
        synthetic=table.synthetic,
        licence=table.licence,
        citation=table.citation,
        fingerprint=table.fingerprint,
    )


def _too_few(people: int) -> DataError:
    return DataError(
        "E384",
        f"pretraining on {people} people: one has to be left out to measure on",
        do=f"at least {FEWEST} public people",
    )
