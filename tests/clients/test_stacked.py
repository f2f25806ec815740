"""Clients side by side get what each gets alone: float64 against the loop, ragged sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Small
from torch import nn

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer, TrainPlan
from fedaffect.clients.stacked import StackedTrainer, why_not_stacked
from fedaffect.defences.base import Defence
from fedaffect.defences.bottleneck import Bottleneck
from fedaffect.defences.gradient_reversal import GradientReversal
from fedaffect.defences.none import UNDEFENDED
from fedaffect.models.base import MISSING_LABEL, MultitaskModel
from fedaffect.models.compact_encoder import CompactEncoder
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.strategies.base import Strategy
from fedaffect.strategies.fedavg import FedAvg
from fedaffect.strategies.fedprox import FedProx

PLAN = TrainPlan(
    seed=3,
    local_epochs=2,
    batch_size=4,
    lr=0.1,
    momentum=0.9,
    optimizer="sgd",
    max_grad_norm=1.0,
)
SIZES = (7, 12, 1, 4, 9)


def clients(sizes: tuple[int, ...], features: int = 20) -> list[ClientData]:
    """Return clients of these sizes; every third identity is not known, and one has none."""
    found = []
    for number, n in enumerate(sizes):
        draw = np.random.default_rng(number)
        identity = draw.integers(0, 3, n)
        identity[::3] = MISSING_LABEL
        if number == 1:
            identity[:] = MISSING_LABEL
        labels = {"stress": draw.integers(0, 2, n), "identity": identity}
        data = draw.normal(size=(n, features)).astype(np.float32)
        found.append(ClientData(10 + number, data, labels))
    return found


def factory(
    network: type[MultitaskModel] = CompactEncoder, defence: Defence = UNDEFENDED, **sizes: Any
) -> ModelFactory:
    options = {"n_features": 20, "n_identities": 3, **sizes}
    return ModelFactory(network, options, "float64", defence)


def assert_same(
    made: ModelFactory,
    plan: TrainPlan = PLAN,
    strategy: Strategy | None = None,
    frozen: np.ndarray | None = None,
    sizes: tuple[int, ...] = SIZES,
    spread: float = 0.0,
) -> None:
    """Compare a group with the same clients one after another."""
    strategy, group = strategy or FedAvg(), clients(sizes)
    start = torch.from_numpy(made.initial(0))
    starts = start.expand(len(group), -1).clone()
    starts += spread * torch.randn(starts.shape, generator=torch.Generator().manual_seed(1))
    alone = Trainer(made.build(), strategy, plan, frozen)
    found, losses = StackedTrainer(made.build(), strategy, plan, frozen).train(starts, group, 2, 5)
    for at, data in enumerate(group):
        update, loss = alone.train(starts[at], data, 2, 5)
        assert float((found[at] - update).abs().max()) < 1e-12
        assert losses[at] == pytest.approx(loss, abs=1e-12)
    assert float(found.abs().max()) > 1e-3


@pytest.mark.parametrize("network", [CompactEncoder, StressIdentityCNN])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "adam", "lr": 0.01},
        {"momentum": 0.0, "max_grad_norm": None},
        {"class_weights": "client"},
        {"batch_size": 4096},
        {"batch_size": 1, "local_epochs": 1},
    ],
)
def test_ragged_clients_get_what_each_gets_alone(
    network: type[MultitaskModel], changes: dict[str, Any]
) -> None:
    assert_same(factory(network), replace(PLAN, **changes))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_proximal_term_pulls_nobody_who_has_finished(optimizer: str) -> None:
    assert_same(factory(), replace(PLAN, optimizer=optimizer, lr=0.02), FedProx(mu=0.5))


@pytest.mark.parametrize("defence", [GradientReversal(0.7), Bottleneck(0.1)])
def test_defences_are_those_of_a_client_alone(defence: Defence) -> None:
    tasks = tuple(t for t in ("stress", "identity") if t not in defence.drops)
    assert_same(factory(CompactEncoder, defence, tasks=tasks))


def test_everyone_starts_where_their_own_layers_are() -> None:
    assert_same(factory(), spread=0.1)


@pytest.mark.parametrize("blocks", [("shared",), ("task:stress",), ("shared", "task:identity")])
def test_frozen_blocks_stay(blocks: tuple[str, ...]) -> None:
    made = factory(StressIdentityCNN)
    frozen = np.zeros(made.layout.size, dtype=bool)
    for block in blocks:
        frozen[made.layout.indices(block)] = True
    assert_same(made, frozen=frozen)
    half = frozen.copy()
    half[made.layout.indices("task:stress")[:5]] = True  # a part of a parameter
    assert_same(made, frozen=half)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 11), min_size=1, max_size=6), st.integers(1, 12))
def test_any_sizes_and_batches(sizes: list[int], batch_size: int) -> None:
    assert_same(factory(hidden=8), replace(PLAN, batch_size=batch_size), sizes=tuple(sizes))


def test_one_client_that_diverges_harms_no_other() -> None:
    made, group = factory(), clients(SIZES)
    group[2].features[:] = np.inf
    starts = torch.from_numpy(made.initial(0)).expand(len(group), -1)
    found, _ = StackedTrainer(made.build(), FedAvg(), PLAN).train(starts, group, 0, 1)
    assert [bool(row.isfinite().all()) for row in found] == [True, True, False, True, True]


def test_who_cannot_be_stacked_says_why() -> None:
    drops = Small(nn.Sequential(nn.Linear(12, 6), nn.Dropout(0.1)))
    assert why_not_stacked(drops) == "layer trunk.1 drops values at random"

    mixes = Small(nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6)))
    assert why_not_stacked(mixes) == "layer trunk.1 mixes the windows of a batch"

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(12, 6, batch_first=True)

    assert why_not_stacked(Small(Recurrent())) == "layer trunk.gru is recurrent"
    assert why_not_stacked(StressIdentityCNN(60)) == ""
