"""Training touches one device: where the network is, whatever PyTorch's default.

Without a GPU at hand two stand in. Under a default device without values, a tensor that is made
without naming its device spoils what it meets. And with the network itself on a device without
values, whoever looks at one, which on a GPU would wait for it, fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_private_local import KEY, noise_of
from test_private_local import PLAN as PRIVATE_PLAN
from test_stacked import PLAN, SIZES, clients
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fedaffect import registry
from fedaffect.clients.local import ResidentModel, Trainer, TrainPlan, scale_within
from fedaffect.clients.private_local import PrivateTrainer
from fedaffect.clients.stacked import StackedTrainer
from fedaffect.models.factory import ModelFactory
from fedaffect.strategies.fedprox import FedProx

STRATEGY = FedProx(mu=0.3)
PLANS: dict[str, TrainPlan] = {
    "sgd": PLAN,
    "adam": replace(PLAN, optimizer="adam", lr=0.01),
    "weighed classes, no bound": replace(PLAN, class_weights="client", max_grad_norm=None),
}
MOVES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}


def factories() -> dict[str, ModelFactory]:
    """Return every registered network undefended, and one with every registered defence."""
    found = {}
    for network in sorted(registry.MODELS):
        for defence in sorted(registry.DEFENCES) if network == "compact_encoder" else ["none"]:
            chosen = registry.resolve("defence", defence)()
            tasks = [t for t in ("stress", "identity") if t not in chosen.drops]
            options = {"n_features": 20, "n_identities": 3, "tasks": tasks}
            cls = registry.resolve("model", network)
            found[f"{network}, {defence}"] = ModelFactory(cls, options, "float64", chosen)
    return found


FACTORIES = factories()


def frozen_mask(factory: ModelFactory, *blocks: str) -> np.ndarray | None:
    mask = np.zeros(factory.layout.size, dtype=bool)
    for block in blocks:
        mask[factory.layout.indices(block)] = True
    return mask if blocks else None


def by_loop(model: Any, plan: TrainPlan, frozen: Any, start: Tensor) -> tuple[Any, Any]:
    trainer = Trainer(model, STRATEGY, plan, frozen)
    updates, losses = zip(*(trainer.train(start, c, 0, 1) for c in clients(SIZES)), strict=True)
    return torch.stack(updates).numpy(), np.array(losses)


def by_stack(model: Any, plan: TrainPlan, frozen: Any, start: Tensor) -> tuple[Any, Any]:
    starts = start.expand(len(SIZES), -1)
    trainer = StackedTrainer(model, STRATEGY, plan, frozen)
    updates, losses = trainer.train(starts, clients(SIZES), 0, 1)
    return updates.numpy(), losses


def assert_no_default_matters(
    train: Callable[..., tuple[Any, Any]], factory: ModelFactory, *settings: Any
) -> None:
    start = torch.from_numpy(factory.initial(0))
    expected = train(factory.build(), *settings, start)
    model = factory.build()
    with torch.device("meta"):
        found = train(model, *settings, start)
    assert np.abs(expected[0]).max() > 1e-3
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("train", [by_loop, by_stack])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("network", FACTORIES)
def test_every_tensor_names_its_device(
    network: str, plan: str, train: Callable[..., tuple[Any, Any]]
) -> None:
    assert_no_default_matters(train, FACTORIES[network], PLANS[plan], None)


@pytest.mark.parametrize("train", [by_loop, by_stack])
@pytest.mark.parametrize("block", ["shared", "task:stress"])
def test_so_it_is_where_blocks_are_frozen(
    block: str, train: Callable[..., tuple[Any, Any]]
) -> None:
    factory = FACTORIES["stress_identity_cnn, none"]
    assert_no_default_matters(train, factory, PLAN, frozen_mask(factory, block))


def by_private_steps(model: Any, start: Tensor) -> tuple[Any, Any]:
    trainer = PrivateTrainer(model, STRATEGY, PRIVATE_PLAN, noise_of(0.4, 1.2))
    update, loss = trainer.train(
        start, clients((18,))[0], 1, 2, release=5, key=KEY.client(7), draws=KEY.draws("a")
    )
    return update.numpy(), np.array(loss)


def test_so_it_is_in_noised_steps() -> None:
    assert_no_default_matters(by_private_steps, FACTORIES["stress_identity_cnn, none"])


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as CUDA does, but to move them."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and t.dim()]
        devices = {t.device.type for t in given}
        assert len(devices) < 2 or func in MOVES, f"{func} of {devices}"
        return func(*args, **(kwargs or {}))


def counted(trainer: ResidentModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every step of ``trainer``."""
    steps: list[int] = []
    really = trainer.optimizer.step

    def step(gradient: Tensor) -> None:
        assert gradient.device.type == "meta"
        steps.append(1)
        really(gradient)

    monkeypatch.setattr(trainer.optimizer, "step", step)
    return steps


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("network", FACTORIES)
def test_the_loop_looks_at_no_value_before_its_last_step(
    network: str, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory, chosen = FACTORIES[network], PLANS[plan]
    trainer = Trainer(factory.build().to("meta"), STRATEGY, chosen)
    steps = counted(trainer, monkeypatch)
    with OneDevice(), pytest.raises(NotImplementedError, match="Cannot copy out of meta") as ended:
        trainer.train(torch.from_numpy(factory.initial(0)), clients(SIZES)[0], 0, 1)
    assert len(steps) == chosen.local_epochs * -(-SIZES[0] // chosen.batch_size)
    assert ".cpu()" in str([e.statement for e in ended.traceback if e.path.name == "local.py"][-1])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("network", FACTORIES)
def test_a_stack_looks_at_no_value_before_its_last_step(
    network: str, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory, chosen = FACTORIES[network], PLANS[plan]
    taken: list[int] = []
    really = StackedTrainer._gradients

    def gradients(self: StackedTrainer, objective: Tensor, leaves: Any) -> list[Tensor]:
        found = really(self, objective, leaves)
        assert {g.device.type for g in found} == {"meta"}
        taken.append(len(found[0]))
        return found

    monkeypatch.setattr(StackedTrainer, "_gradients", gradients)
    frozen = frozen_mask(factory, "task:stress")
    assert frozen is not None
    frozen[np.flatnonzero(frozen)[0]] = False  # a part of a parameter
    trainer = StackedTrainer(factory.build().to("meta"), STRATEGY, chosen, frozen)
    starts = torch.from_numpy(factory.initial(0)).expand(len(SIZES), -1)
    with OneDevice(), pytest.raises(NotImplementedError, match="Cannot copy out of meta") as ended:
        trainer.train(starts, clients(SIZES), 0, 1)
    steps = [chosen.local_epochs * -(-n // chosen.batch_size) for n in SIZES]
    assert sum(taken) == sum(steps)  # of every client as many as it has
    last = [e.statement for e in ended.traceback if e.path.name == "stacked.py"][-1]
    assert ".cpu()" in str(last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bound", [0.1, 1.0, 3.0, 1e-30])
def test_a_gradient_is_shortened_alike_with_and_without_a_look_at_its_norm(
    bound: float, dtype: torch.dtype
) -> None:
    draw = torch.Generator().manual_seed(0)
    for length in (0.0, 1e-3, 0.1, 1.0, 1.0000001, 7.0, 1e6):
        gradient = torch.randn(1001, generator=draw, dtype=dtype)
        gradient *= length / gradient.norm()
        norm = torch.linalg.vector_norm(gradient)
        expected = gradient * (bound / float(norm)) if float(norm) > bound else gradient
        assert torch.equal(gradient * scale_within(norm, bound), expected)
    for odd in (torch.nan, torch.inf):
        norm = torch.tensor(odd, dtype=dtype)
        expected_scale = 0.0 if odd == torch.inf else 1.0
        assert float(scale_within(norm, bound)) == expected_scale
