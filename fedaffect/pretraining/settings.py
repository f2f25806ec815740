"""How a backbone is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

SCALINGS = ("public", "subject")
Objectives = Mapping[str, Mapping[str, float]]  # scaling of the features -> term -> weight
# Under public constants the level of a person is in the features and has to be unlearned; under
# a person's own constants it is not, and the embedding can keep whatever else varies.
USUAL: Objectives = {
    "public": {"consistency": 5.0, "stress": 1.0},
    "subject": {"reconstruction": 3.0, "stress": 1.0},
}


@dataclass(frozen=True)
class Settings:
    """Settings of one pretraining; the same settings and data give the same file.

    Noise, dropout and exchanged levels are augmentations of the training; the network that is
    shipped has none of them.

    Args:
        model: Registered name of the network.
        width: Width H of the embedding; ``None``: the network's own.
        objective: Scaling of the features to term to weight.
        epochs: Passes over the windows.
        seed: Seed of the initial weights, the order of windows and the augmentations.
        batch_size: Windows in a step.
        lr: Highest learning rate of the cycle (Smith & Topin 2018).
        weight_decay: Decoupled weight decay (Loshchilov & Hutter 2019).
        noise: Standard deviation of Gaussian noise on scaled features.
        dropout: Share of what every shared layer but the last says that is dropped.
        silence: Share of windows in which a sensor is silent, each for itself, so that stress is
            not read from one sensor only.
        exchange: Share of windows whose person's level (mean features) is replaced by that of
            another person, so that the level says little about stress and nothing about people.
    """

    model: str = "compact_encoder"
    width: int | None = None
    objective: Objectives = field(default_factory=lambda: USUAL)
    epochs: int = 12
    seed: int = 0
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 1e-2
    noise: float = 0.5
    dropout: float = 0.0
    silence: float = 0.0
    exchange: float = 0.5

    @property
    def numbers(self) -> dict[str, float]:
        """Return the settings that are numbers, for the card."""
        skipped = ("model", "width", "objective")
        return {k: float(v) for k, v in asdict(self).items() if k not in skipped}

    @property
    def weights(self) -> dict[str, float]:
        """Return ``SCALING/TERM`` to its weight, for the card."""
        return {
            f"{scaling}/{term}": weight
            for scaling, terms in self.objective.items()
            for term, weight in terms.items()
        }
