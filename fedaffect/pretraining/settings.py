"""How a backbone is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

DEFAULT_OBJECTIVE = {"stress": 1.0}


@dataclass(frozen=True)
class Settings:
    """Settings of one pretraining; the same settings and data give the same file.

    Noise, dropout and exchanged levels are augmentations of the training; the network that is
    shipped has none of them.

    Args:
        model: Registered name of the network.
        width: Width H of the embedding; ``None``: the network's own.
        objective: Term to its weight.
        epochs: Passes over the windows.
        seed: Seed of the initial weights, the order of windows and the augmentations.
        batch_size: Windows in a step.
        lr: Highest learning rate of the cycle (Smith & Topin 2018).
        weight_decay: Decoupled weight decay (Loshchilov & Hutter 2019).
        noise: Standard deviation of Gaussian noise on scaled features.
        dropout: Share of what every shared layer but the last says that is dropped.
        feature_dropout: Share of features that is dropped.
        exchange: Share of windows whose person's level (mean features) is replaced by that of
            another person, so that the level says little about stress and nothing about people.
    """

    model: str = "compact_encoder"
    width: int | None = None
    objective: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_OBJECTIVE))
    epochs: int = 20
    seed: int = 0
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 1e-2
    noise: float = 0.5
    dropout: float = 0.3
    feature_dropout: float = 0.1
    exchange: float = 0.5

    @property
    def numbers(self) -> dict[str, float]:
        """Return the settings that are numbers, for the card."""
        skipped = ("model", "width", "objective")
        return {k: float(v) for k, v in asdict(self).items() if k not in skipped}
