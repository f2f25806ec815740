"""RunConfig -> Outline: everything about a run that is known before a signal is read.

The only place besides ``fedaffect.build`` that asks the registries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from fedaffect import registry
from fedaffect.config import RunConfig
from fedaffect.data.chosen_people import ChosenPeople
from fedaffect.data.schema import Dataset, channels_of
from fedaffect.defences.base import Defence
from fedaffect.defences.choice import with_defence
from fedaffect.defences.none import UNDEFENDED
from fedaffect.device import device_of
from fedaffect.errors import UsageError
from fedaffect.models.factory import ModelFactory
from fedaffect.params import Layout
from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.canaries import refuse_canaries
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy_plan import clients_of, privacy_spec, release_plan
from fedaffect.release_choice import (
    Start,
    policies,
    refuse_other_shapes,
    refuse_public_people,
    with_release,
)
from fedaffect.strategies.base import Strategy

DEFAULT_CLIENTS = 20
FEATURES_PER_CHANNEL = 10
RANDOM_FOLDS = 5


@dataclass(frozen=True)
class Outline:
    """What is known about a run before any signal is read.

    Args:
        config: The configuration with every ``auto`` and default resolved.
        dataset: The loader.
        subjects: Ids of all labelled people.
        unseen: Number of people who are held out wholly.
        folds: Number of models that the evaluation trains.
        start: The public backbone, where there is one.
        factory: Builds the network.
        strategy: The federated algorithm.
        plan: What the accountant needs.
        mechanism: The privacy mechanism, calibrated.
    """

    config: RunConfig
    dataset: Dataset
    subjects: tuple[str, ...]
    unseen: int
    folds: int
    start: Start
    factory: ModelFactory
    strategy: Strategy
    plan: ReleasePlan
    mechanism: Mechanism


def outline(config: RunConfig) -> Outline:
    """Resolve ``config`` as far as the plan, without reading signals.

    Raises:
        UsageError: E221 more clients than people; E222 the budget cannot be met; E239 a defence
            that does not go with the tasks; E241 no GPU where one is asked for; and others.
        DataError: the data root is missing or incomplete.
    """
    start, config = with_release(_with_clients_and_people(_with_device(config)))
    defence, config = with_defence(config)
    dataset = _dataset(config)
    subjects = dataset.subjects(config.data.root)
    refuse_public_people(start, config.data.name, subjects)
    config = _with_client_default(config, len(subjects))
    clients = clients_of(config)
    unseen = _unseen(config, len(subjects))
    config = config.replace({"data.eval": _eval(config, unseen)})
    seen = len(subjects) - (1 if config.data.eval == "loso" else unseen)
    if config.data.partition == "subject" and clients > seen:
        raise UsageError(
            "E221",
            f"--clients {clients} is more than the {seen} subjects of {config.data.name} "
            "(partition subject)",
            do=f"--clients {seen}, or --partition dirichlet",
        )
    folds = {"loso": len(subjects), "random": RANDOM_FOLDS}.get(config.data.eval, 1)
    factory = network_of(config, start, seen, defence)
    refuse_other_shapes(factory, str(config.model.backbone))
    plan = release_plan(config, folds)
    withheld = policies(config.model.release or "full", factory.build())
    spec = privacy_spec(config, defence, withheld)
    mechanism = mechanism_of(spec, registry.resolve("dp", spec.mechanism))
    calibrated = mechanism.calibrate(plan, factory.layout)
    _refuse_kept_tested_layers(factory.layout, calibrated)
    refuse_canaries(config.audit.canaries, calibrated, plan)
    if calibrated.noise_at == "steps":
        from fedaffect.privacy.mechanisms.per_sample import supports

        supports(factory.build(), calibrated.blocks.frozen)
    return Outline(
        config=config,
        dataset=dataset,
        subjects=subjects,
        unseen=unseen,
        folds=folds,
        start=start,
        factory=factory,
        strategy=component("strategy", config.federation.strategy, {"mu": config.federation.mu}),
        plan=plan,
        mechanism=calibrated,
    )


def network_of(
    config: RunConfig, start: Start, identities: int, defence: Defence = UNDEFENDED
) -> ModelFactory:
    """Return what builds the network of a run.

    Args:
        config: The configuration, its release resolved.
        start: What the run starts from.
        identities: People that the identity head tells apart.
        defence: What training does against recognising people.
    """
    options = {
        "n_features": FEATURES_PER_CHANNEL * len(channels_of(config.data.modality)),
        "n_identities": identities,
        "tasks": config.model.tasks,
        **start.options,
    }
    release = config.model.release
    return ModelFactory(
        registry.resolve("model", str(config.model.name)),
        options,
        config.run.dtype,
        defence,
        start.weights,
        release if isinstance(release, int) else None,
    )


def _refuse_kept_tested_layers(layout: Layout, mechanism: Mechanism) -> None:
    """Refuse to keep on the clients what people without a client are tested with."""
    tested = {n for block in ("shared", "task:stress") for n in layout.blocks.get(block, ())}
    kept = [
        block
        for block in mechanism.blocks.named("keep_local")
        if tested & set(mechanism.blocks.layout.blocks[block])
    ]
    if kept:
        raise UsageError(
            "E237",
            f"block {kept[0]} cannot be kept on the clients: people without a client are tested "
            "with it",
            do="keep_local is for the identity head; freeze or noise the others",
        )


def component(kind: str, name: str, options: dict[str, Any]) -> Any:
    """Build a registered frozen dataclass from those ``options`` that are fields of it."""
    cls = registry.resolve(kind, name)
    known = {f.name for f in fields(cls)}
    return cls(**{k: v for k, v in options.items() if k in known})


def _dataset(config: RunConfig) -> Dataset:
    data = config.data
    options: dict[str, Any] = {"modality": data.modality, "allow_missing": data.allow_missing}
    if data.name == "synthetic":
        options |= config.synthetic.model_dump()
    offers = {f.name for f in fields(registry.resolve("data", data.name))}
    if data.modality != "wrist" and "modality" not in offers:
        raise UsageError(
            "E227", f"--modality {data.modality} is not offered by {data.name}", do="allowed: wrist"
        )
    dataset: Dataset = component("data", data.name, options)
    if data.people != ("all",):
        dataset = ChosenPeople(dataset, data.people)
    if dataset.info.needs_root and data.root is None:
        raise UsageError(
            "E215",
            f"--data {data.name} is not shipped",
            do="add --data-root DIR, its folder on disk",
        )
    if data.root is not None and not dataset.info.needs_root:
        raise UsageError(
            "E215",
            f"--data {data.name} reads no folder, --data-root {data.root} would be ignored",
            do="name the data set of that folder with --data, or drop --data-root",
        )
    return dataset


def _with_device(config: RunConfig) -> RunConfig:
    run = config.run
    elsewhere = run.engine == "ray" and run.ray_address is not None
    return config.replace({"run.device": device_of(run.device, elsewhere=elsewhere)})


def _with_clients_and_people(config: RunConfig) -> RunConfig:
    """Resolve the number of clients and of simulated people, a fifth more than clients."""
    if config.data.name != "synthetic":
        return config
    clients = config.federation.clients or DEFAULT_CLIENTS
    changes: dict[str, Any] = {"federation.clients": clients}
    if config.synthetic.people is None:
        extra = 0 if config.data.eval in ("blocks", "random") else math.ceil(clients / 5)
        changes["synthetic.people"] = max(2, clients + extra)
    return config.replace(changes)


def _with_client_default(config: RunConfig, people: int) -> RunConfig:
    if config.federation.clients is not None:
        return config
    few = config.data.partition == "subject"
    return config.replace({"federation.clients": min(DEFAULT_CLIENTS, people) if few else 20})


def _unseen(config: RunConfig, people: int) -> int:
    """Return how many people are held out wholly: those without a client, or a fifth."""
    spec, clients = config.data.eval, clients_of(config)
    if spec not in ("auto", "unseen"):
        return 0
    if config.data.partition == "subject":
        spare = people - clients
    else:
        spare = people - clients if people > clients else 0
        spare = spare or (max(1, round(people / 5)) if spec == "unseen" else 0)
    if spec == "unseen" and spare < 1:
        raise UsageError(
            "E216",
            f"--eval unseen needs people without a client; {people} people, {clients} clients",
            do=f"--clients {max(1, people - max(1, people // 5))}, or --eval blocks",
        )
    return max(0, spare)


def _eval(config: RunConfig, unseen: int) -> str:
    if config.data.eval != "auto":
        return config.data.eval
    return "unseen" if unseen else "blocks"
