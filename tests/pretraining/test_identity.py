"""What consistency is for: planted people whose level misleads, tested on other people."""

import numpy as np
import torch

from fedaffect.pretraining.settings import Settings
from fedaffect.pretraining.train import train_network
from fedaffect.pretraining.windows import PublicWindows

F, P, EACH = 10, 60, 40  # all features tell stress, the last five tell the person, too


def planted(seed: int) -> PublicWindows:
    rng = np.random.default_rng(seed)
    person, stress = np.repeat(np.arange(P), EACH), np.tile([0, 1], P * EACH // 2)
    levels = rng.normal(size=(P, F)) * np.where(np.arange(F) < 5, 0.0, 2.0)
    x = levels[person] + rng.normal(size=(P * EACH, F))
    x += np.where(np.arange(F) < 5, 1.0, 2.0) * (stress[:, None] - 0.5)
    return PublicWindows(
        features=torch.from_numpy(x.astype(np.float32)),
        stress=torch.from_numpy(stress),
        condition=torch.from_numpy(stress),
        person=torch.from_numpy(person),
        weight=torch.ones(P * EACH),
        levels=torch.from_numpy(levels.astype(np.float32)),
        conditions=2,
        sensor=torch.zeros(F, dtype=torch.int64),
    )


def figures(objective: dict[str, float]) -> tuple[float, float]:
    """Return, in people who were not trained on, accuracy of stress and how far windows move.

    That is the mean squared distance to the same deviation on another person's level, in units of
    the variance of the embedding: 2 where the embedding is the level.
    """
    settings = Settings(epochs=8, dropout=0.0, exchange=0.0)
    network = train_network(planted(1), objective, settings, lambda: None)
    others = planted(2)
    moved = others.features - others.levels[others.person]
    moved = moved + others.levels[(others.person + 1) % P]
    with torch.no_grad():
        h, there = (network.embed({"features": x}) for x in (others.features, moved))
        stress = network.heads(h)["stress"].argmax(dim=1) == others.stress
        distance = ((h - there) ** 2).sum(dim=1).mean() / h.var(dim=0).sum()
    return float(stress.float().mean()), float(distance)


def test_consistency_unlearns_the_level_and_keeps_stress() -> None:
    plain = figures({"stress": 1.0})
    consistent = figures({"stress": 1.0, "consistency": 8.0})
    assert plain[1] > 0.15  # there is something to unlearn
    assert consistent[1] < 0.5 * plain[1]
    assert consistent[0] > 0.8
