"""Small multitask networks, each with one thing that per-sample gradients may stumble over."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from opacus.layers import DPLSTM
from torch import Tensor, nn

from fedaffect.models.base import Batch, MultitaskModel, Task

N_FEATURES = 12


class Small(MultitaskModel):
    """A trunk (B, 12) -> (B, 6), a stress head, and an identity head of two layers."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.tasks = (
            Task("stress", "classification", 2, "primary"),
            Task("identity", "classification", 3, "private"),
        )
        self.trunk = trunk
        self.stress = nn.Linear(6, 2)
        self.identity = nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 3))

    def embed(self, batch: Batch) -> Tensor:
        h: Tensor = self.trunk(batch["features"])
        return h

    def heads(self, h: Tensor) -> dict[str, Tensor]:
        return {"stress": self.stress(h), "identity": self.identity(h)}

    def blocks(self) -> dict[str, list[str]]:
        blocks: dict[str, list[str]] = {"shared": [], "task:stress": [], "task:identity": []}
        of = {"stress": "task:stress", "identity": "task:identity"}
        for name, _ in self.named_parameters():
            blocks[of.get(name.partition(".")[0], "shared")].append(name)
        return blocks


class Wrapped(nn.Module):
    """Any function of the features, with layers to use."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


class Scale(nn.Module):
    """A layer that Opacus does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(12))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(12))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.offset


def tied() -> nn.Module:
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(nn.Linear(12, 6), first, nn.Tanh(), second)


def convolution(**options: object) -> nn.Module:
    conv = nn.Conv1d(2, 4, 3, **options)  # type: ignore[arg-type]
    return nn.Sequential(nn.Unflatten(1, (2, 6)), conv, nn.Flatten(), nn.LazyLinear(6))


SUPPORTED: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 6)),
    "in place": lambda: nn.Sequential(nn.Linear(12, 8), nn.ReLU(inplace=True), nn.Linear(8, 6)),
    "convolution": lambda: convolution(),
    "odd convolution": lambda: convolution(stride=2, padding=2, dilation=2, groups=2),
    "norms": lambda: nn.Sequential(
        nn.Linear(12, 8), nn.LayerNorm(8), nn.Linear(8, 6), nn.GroupNorm(2, 6)
    ),
    "sequence": lambda: nn.Sequential(  # a linear layer on (B, 4, 3)
        nn.Unflatten(1, (4, 3)), nn.Linear(3, 2), nn.Flatten(), nn.Linear(8, 6)
    ),
    "used twice": lambda: Wrapped(
        lambda self, x: self.layer(x[:, :6]) * self.layer(x[:, 6:]), layer=nn.Linear(6, 6)
    ),
    "tied": tied,
    "embedding": lambda: Wrapped(
        lambda self, x: self.table((x > 0).long()).sum(1), table=nn.Embedding(2, 6)
    ),
    "dp lstm": lambda: Wrapped(
        lambda self, x: self.lstm(x.view(-1, 4, 3))[0][:, -1], lstm=DPLSTM(3, 6, batch_first=True)
    ),
}
REFUSED: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6)),
        "trunk.1 (BatchNorm1d)",
        "mixes the samples",
    ),
    "batch norm without parameters": (
        lambda: nn.Sequential(
            nn.Linear(12, 6), nn.BatchNorm1d(6, affine=False, track_running_stats=False)
        ),
        "trunk.1 (BatchNorm1d)",
        "mixes the samples",
    ),
    "lstm": (
        lambda: Wrapped(lambda self, x: self.lstm(x.view(-1, 4, 3))[0][:, -1], lstm=nn.LSTM(3, 6)),
        "trunk.lstm (LSTM)",
        "DPLSTM",
    ),
    "gru cell": (
        lambda: Wrapped(lambda self, x: self.cell(x), cell=nn.GRUCell(12, 6)),
        "trunk.cell (GRUCell)",
        "DPGRU",
    ),
    "attention": (
        lambda: Wrapped(lambda self, x: x, attention=nn.MultiheadAttention(6, 2)),
        "trunk.attention (MultiheadAttention)",
        "DPMultiheadAttention",
    ),
    "own parameter": (
        lambda: nn.Sequential(Scale(), nn.Linear(12, 6)),
        "trunk.0 (Scale)",
        "factor is used outside",
    ),
    "buffer": (
        lambda: nn.Sequential(Positions(), nn.Linear(12, 6)),
        "trunk.0 (Positions)",
        "buffer offset",
    ),
}
HIDDEN: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "mean of the batch": (
        lambda: Wrapped(lambda self, x: self.layer(x - x.mean(0)), layer=nn.Linear(12, 6)),
        "(whole network)",
        "mixes the samples",
    ),
    "weight beside its layer": (
        lambda: Wrapped(
            lambda self, x: self.layer(x) + F.linear(x**2, self.layer.weight),
            layer=nn.Linear(12, 6),
        ),
        "trunk.layer (Linear)",
        "its weight is used",
    ),
    "weight instead of its layer": (
        lambda: Wrapped(lambda self, x: F.linear(x, self.layer.weight), layer=nn.Linear(12, 6)),
        "trunk.layer (Linear)",
        "its weight is used",
    ),
    "circular padding": (
        lambda: convolution(padding=1, padding_mode="circular"),
        "trunk.1 (Conv1d)",
        "its weight is used",
    ),
    "rows that are no samples": (
        lambda: Wrapped(
            lambda self, x: self.layer(x.reshape(-1, 3)).reshape(-1, 4, 6).sum(1),
            layer=nn.Linear(3, 6),
        ),
        "trunk.layer (Linear)",
        "12 rows for 3 samples",
    ),
}


def small(trunk: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> Small:
    """Return a network with random parameters of its own, ready to train."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Small(trunk())
        model({"features": torch.zeros(2, N_FEATURES)})  # lazy layers take their shape
    return model.to(dtype).train()
