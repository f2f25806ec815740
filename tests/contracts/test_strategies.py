"""What every registered strategy must do."""

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
import torch

from fedaffect import registry
from fedaffect.strategies.base import Strategy


@pytest.fixture(params=sorted(registry.STRATEGIES))
def strategy(request: pytest.FixtureRequest) -> Strategy:
    made: Strategy = registry.resolve("strategy", request.param)()
    return made


def test_is_frozen_with_defaults(strategy: Any) -> None:
    assert strategy == type(strategy)()
    assert dataclasses.is_dataclass(type(strategy))
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.anything = 1


def test_at_the_global_model_the_task_loss_alone_decides(strategy: Strategy) -> None:
    params = [torch.randn(4, generator=torch.Generator().manual_seed(0)).requires_grad_()]
    anchors = [params[0].detach().clone()]
    (params[0] ** 2).sum().backward()
    alone = params[0].grad.clone()  # type: ignore[union-attr]
    params[0].grad = None
    loss = strategy.client_loss((params[0] ** 2).sum(), params, anchors)
    loss.backward()
    assert loss.shape == ()
    assert torch.equal(params[0].grad, alone)  # type: ignore[arg-type]


def test_equal_updates_are_followed(strategy: Strategy) -> None:
    update = np.random.default_rng(0).normal(size=9)
    weights = np.array([0.5, 0.3, 0.2])
    combined = strategy.aggregate(np.stack([update] * 3), weights)
    assert combined.dtype == np.float64 and combined.shape == (9,)
    np.testing.assert_allclose(combined, update, rtol=1e-14)


def test_inputs_stay_as_they_were(strategy: Strategy) -> None:
    rows, weights = np.random.default_rng(1).normal(size=(3, 5)), np.full(3, 1 / 3)
    params = np.zeros(5)
    copies = rows.copy(), weights.copy()
    after = strategy.server_step(params, strategy.aggregate(rows, weights))
    assert np.array_equal(rows, copies[0]) and np.array_equal(weights, copies[1])
    assert not params.any() and after.any()
    assert not strategy.server_step(params, np.zeros(5)).any()


def test_cites_its_paper_and_its_departures(strategy: Strategy) -> None:
    module = inspect.getmodule(type(strategy))
    assert module is not None and module.__doc__ is not None
    assert "Paper:" in module.__doc__ and "Departures from the paper:" in module.__doc__
