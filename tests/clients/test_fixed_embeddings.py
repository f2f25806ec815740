"""Where the shared block is frozen its output is computed once: the same training, faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import N_FEATURES, REFUSED, SUPPORTED, Wrapped, small
from tiny import tiny
from torch import nn

from fedaffect.build import Experiment, build
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.fixed_embeddings import FixedEmbeddings
from fedaffect.clients.local import Trainer
from fedaffect.clients.side import client_side
from fedaffect.params import Layout

NEVER_FIXED: dict[str, Callable[[], nn.Module]] = {
    "dropout": lambda: nn.Sequential(nn.Linear(12, 6), nn.Dropout(0.5)),
    "batch norm": REFUSED["batch norm without parameters"][0],
    "lstm with dropout": lambda: Wrapped(
        lambda self, x: self.lstm(x.view(-1, 4, 3))[0][:, -1],
        lstm=nn.LSTM(3, 6, num_layers=2, dropout=0.5, batch_first=True),
    ),
}


def trainer_of(experiment: Experiment) -> Trainer:
    side = client_side(experiment)
    return Trainer(
        experiment.factory.build(),
        experiment.strategy,
        side.plan,
        experiment.mechanism.blocks.frozen,
    )


def client(experiment: Experiment, number: int) -> ClientData:
    fold = experiment.folds[0]
    rows = fold.partition.clients[number]
    labels = {"stress": experiment.table.stress[rows], "identity": fold.identity[rows]}
    tasks = [t.name for t in experiment.factory.build().tasks]
    return ClientData(number, fold.features[rows], {t: labels[t] for t in tasks})


def updates(experiment: Experiment, trainer: Trainer, start: np.ndarray) -> list[np.ndarray]:
    params = torch.as_tensor(start)
    people = range(len(experiment.folds[0].partition.clients))
    return [trainer.train(params, client(experiment, i), 0, 1)[0].numpy().copy() for i in people]


@pytest.mark.parametrize(
    "changes",
    [
        {"model.release": "head"},
        {"model.release": 4},
        {"model.release": "head", "model.tasks": "stress,identity"},
        {"model.release": "head", "model.backbone": "none"},
        {"model.release": "head", "model.tasks": "stress,identity",
         "defence.name": "gradient-reversal"},
        {"model.release": "head", "defence.name": "bottleneck"},
    ],
)  # fmt: skip
def test_the_same_update_as_through_the_whole_network(changes: dict[str, Any]) -> None:
    experiment = build(tiny({"federation.local_epochs": 3, "federation.batch_size": 7} | changes))
    start = experiment.factory.initial(0)
    fast, slow = trainer_of(experiment), trainer_of(experiment)
    assert fast.embeddings is not None
    slow.__dict__["embeddings"] = None  # the cached property
    for a, b in zip(
        updates(experiment, fast, start), updates(experiment, slow, start), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        assert np.abs(a).max() > 1e-3


@pytest.mark.parametrize("release", ["full", "adapter"])
def test_not_where_something_shared_moves(release: str) -> None:
    experiment = build(tiny({"model.release": release, "model.backbone": "synthetic"}))
    assert trainer_of(experiment).embeddings is None


@pytest.mark.parametrize("trunk", [*SUPPORTED, *NEVER_FIXED])
def test_only_where_a_window_has_the_same_one_in_every_batch(trunk: str) -> None:
    model = small((SUPPORTED | NEVER_FIXED)[trunk])
    layout = Layout.of(model, model.blocks())
    frozen = torch.zeros(layout.size, dtype=torch.bool)
    frozen[torch.from_numpy(layout.indices("shared"))] = True
    x = torch.randn(9, N_FEATURES, dtype=torch.float64)
    batches = [model.embed({"features": part}) for part in x.split(3)]
    same = torch.allclose(model.embed({"features": x}), torch.cat(batches))
    assert same == (trunk in SUPPORTED)
    assert same == (FixedEmbeddings.where_frozen(model, frozen) is not None)


def test_another_shared_block_is_computed_again() -> None:
    experiment = build(tiny({"model.release": "head"}))
    start = experiment.factory.initial(0)
    shared = experiment.factory.layout.indices("shared")
    other = start.copy()
    other[shared] *= 0.5
    trainer = trainer_of(experiment)
    updates(experiment, trainer, start)
    again = updates(experiment, trainer, other)
    fresh = updates(experiment, trainer_of(experiment), other)
    np.testing.assert_array_equal(again, fresh)


def test_what_is_frozen_does_not_move() -> None:
    experiment = build(tiny({"model.release": "head"}))
    moved = updates(experiment, trainer_of(experiment), experiment.factory.initial(0))[0]
    released = experiment.mechanism.blocks.released
    assert np.flatnonzero(moved).tolist() == released.tolist()
