"""One training of one network on public people, under one scaling of the features.

Shapes: B windows in a batch, F features, H width of the embedding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fedaffect import registry, rng
from fedaffect.errors import DataError, UsageError
from fedaffect.models.base import MultitaskModel
from fedaffect.pretraining.objective import Step, Term
from fedaffect.pretraining.settings import Settings
from fedaffect.pretraining.windows import PublicWindows

Tick = Callable[[], None]


def refuse_width(settings: Settings) -> None:
    """Refuse a width for a network whose width is fixed.

    Raises:
        UsageError: E272.
    """
    model = registry.resolve("model", settings.model)
    if settings.width is not None and "width" not in inspect.signature(model).parameters:
        raise UsageError(
            "E272", f"--width does not go with {settings.model}", do="drop --width or --model"
        )


def new_network(settings: Settings, features: int) -> MultitaskModel:
    """Return an untrained network with a stress head, from the stream ``pretrain/initial``.

    Raises:
        UsageError: E272 a width for a network whose width is fixed.
    """
    refuse_width(settings)
    model = registry.resolve("model", settings.model)
    options: dict[str, Any] = {"n_features": features, "tasks": ("stress",)}
    if settings.width is not None:
        options["width"] = settings.width
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.torch_seed(settings.seed, "pretrain", "initial"))
        network: MultitaskModel = model(**options)
    return network


def train_network(
    windows: PublicWindows, objective: Mapping[str, float], settings: Settings, tick: Tick
) -> MultitaskModel:
    """Return the network trained on ``windows``, ready for inference.

    Args:
        windows: Public people.
        objective: Registered term to its weight.
        settings: How to train.
        tick: Called after every epoch.

    Raises:
        UsageError: E272 a width for a network whose width is fixed.
        DataError: E385 a term that the data cannot serve; E386 the training diverged.
    """
    network = new_network(settings, windows.features.shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.torch_seed(settings.seed, "pretrain", "training"))
        _train(network, windows, objective, settings, tick)
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise DataError("E386", "the training diverged", do="smaller weights of --objective")
    return network.eval()


def width_of(network: MultitaskModel, features: int) -> int:
    """Return the width H of the network's embedding."""
    with torch.no_grad():
        return int(network.embed({"features": torch.zeros(1, features)}).shape[1])


def _train(
    network: MultitaskModel,
    windows: PublicWindows,
    weights: Mapping[str, float],
    settings: Settings,
    tick: Tick,
) -> None:
    width = width_of(network, windows.features.shape[1])
    terms: dict[str, Term] = {
        name: registry.resolve("objective", name)().term(windows, width) for name in weights
    }
    network.train()
    everything = nn.ModuleList([network, *terms.values()])
    optimizer = torch.optim.AdamW(
        everything.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    count = len(windows.features)
    steps = settings.epochs * -(-count // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps)
    with _dropout(network, settings.dropout):
        for _ in range(settings.epochs):
            for rows in torch.split(torch.randperm(count), settings.batch_size):
                step = _step(network, windows, rows, settings)
                losses = [weights[name] * term(step) for name, term in terms.items()]
                optimizer.zero_grad()
                torch.autograd.backward(torch.stack(losses).sum())
                optimizer.step()
                schedule.step()
            tick()


def _step(
    network: MultitaskModel, windows: PublicWindows, rows: Tensor, settings: Settings
) -> Step:
    def embed(x: Tensor) -> Tensor:
        return network.embed({"features": x})

    h = embed(augmented(windows, rows, settings))
    return Step(
        h=h,
        outputs=network.heads(h),
        labels=windows.labels(rows),
        windows=windows.features[rows],
        exchanged=exchanged(windows, rows),
        embed=embed,
    )


def exchanged(windows: PublicWindows, rows: Tensor) -> Tensor:
    """Return the features of ``rows`` on the levels of people drawn at random, (B, F)."""
    other = torch.randint(windows.people, (len(rows),))
    return windows.features[rows] + windows.levels[other] - windows.levels[windows.person[rows]]


def augmented(windows: PublicWindows, rows: Tensor, settings: Settings) -> Tensor:
    """Return the features of ``rows`` with exchanged levels, noise and silent sensors, (B, F)."""
    x = windows.features[rows]
    if settings.exchange:
        chosen = torch.rand(len(rows), 1) < settings.exchange
        x = torch.where(chosen, exchanged(windows, rows), x)
    x = x + settings.noise * torch.randn(x.shape)
    heard = torch.rand(len(rows), int(windows.sensor.max()) + 1) >= settings.silence
    return x * heard[:, windows.sensor]


@contextmanager
def _dropout(network: MultitaskModel, share: float) -> Iterator[None]:
    """Drop a share of what every shared layer but the last says, within."""
    names = dict.fromkeys(name.rpartition(".")[0] for name in network.blocks()["shared"])
    hooks = [
        network.get_submodule(name).register_forward_hook(partial(_dropped, share=share))
        for name in list(names)[:-1]
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _dropped(module: nn.Module, given: Any, said: Tensor, *, share: float) -> Tensor:
    return F.dropout(said, share)
