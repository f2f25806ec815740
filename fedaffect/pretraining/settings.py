"""How a backbone is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

SCALINGS = ("public", "subject")
Objectives = Mapping[str, Mapping[str, float]]  # scaling of the features -> term -> weight
REAL: Objectives = {
    "public": {"stress": 1.0},
    "subject": {"reconstruction": 1.0, "stress": 1.0},
}
# Simulated stress is too plain: the code follows what varies at all, and stress comes second.
SIMULATED: Objectives = {
    "public": {"consistency": 8.0, "stress": 1.0},
    "subject": {"adversarial": 4.0, "reconstruction": 10.0, "stress": 0.3},
}
SIMULATED_SILENCE = 0.6  # or stress is read from the one sensor that the simulation exaggerates


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
        silence: Share of windows in which a sensor is silent, each for itself, under the scaling
            ``subject``, so that stress is not read from one sensor only. Under ``public`` the
            value of a silent sensor would be somebody's level.
        exchange: Share of windows whose person's level (mean features) is replaced by that of
            another person, so that the level says little about stress and nothing about people.
    """

    model: str = "compact_encoder"
    width: int | None = None
    objective: Objectives = field(default_factory=lambda: REAL)
    epochs: int = 20
    seed: int = 0
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 1e-2
    noise: float = 0.5
    dropout: float = 0.3
    silence: float = 0.0
    exchange: float = 0.5

    def under(self, scaling: str) -> Settings:
        """Return the settings under one scaling of the features."""
        return self if scaling == "subject" else replace(self, silence=0.0)

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


def usual(simulated: bool) -> Settings:
    """Return the settings of ``fedaffect pretrain`` where nothing else is said."""
    if simulated:
        return Settings(objective=SIMULATED, epochs=12, silence=SIMULATED_SILENCE, dropout=0.0)
    return Settings()
