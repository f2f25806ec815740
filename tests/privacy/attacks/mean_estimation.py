"""A model whose exact membership likelihood ratio is known: the mean of its training windows.

Windows are x ~ N(0, I_d) with a fair coin y; the parameters are theta = mean of s x over the n
training windows, s = 2 y - 1, and P(y | x) = sigmoid(s <theta, x>). A window adds |x|^2 / n to its
own logit, and Gaussian noise to that of every other window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from evidence import evidence, people
from scipy.special import expit
from scipy.stats import norm

from fedaffect.privacy.attacks.evidence import Evidence, Windows


@dataclass(frozen=True)
class MeanNetwork:
    def layers(self, params: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
        return {"input": features, "task:stress": features @ params[:, None]}

    def probabilities(self, params: np.ndarray, features: np.ndarray, task: str) -> np.ndarray:
        logit = features.astype(np.float64) @ params
        return np.stack([expit(-logit), expit(logit)], axis=1)


@dataclass(frozen=True)
class MeanTrainer:
    windows: Windows
    trained_on: list[tuple[bytes, int]] = field(default_factory=list)

    def model(self, train: np.ndarray, seed: int) -> np.ndarray:
        self.trained_on.append((train.tobytes(), seed))
        sign = 2 * self.windows.stress[train] - 1
        mean: np.ndarray = (sign[:, None] * self.windows.features[train]).mean(axis=0)
        return mean

    def update(
        self, params: np.ndarray, rows: np.ndarray, seed: int, labels: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        sign = 2 * labels.get("stress", self.windows.stress[rows]) - 1
        step: np.ndarray = (sign[:, None] * self.windows.features[rows]).mean(axis=0) - params
        return step


def mean_estimation(
    seen: int, unseen: int, d: int, *, windows: int = 1, seed: int = 0, **changes: Any
) -> Evidence:
    """Return evidence on the mean of the windows of ``seen`` people of ``windows`` each."""
    who = people(
        seen, unseen, windows=windows, recordings=1, identity=0, stress=0, n_features=d, seed=seed
    )
    who = Windows(**{**vars(who), "train": who.identity >= 0, **changes.pop("about", {})})
    trainer = MeanTrainer(who)
    made = {
        "params": trainer.model(who.train, 0),
        "initial": np.zeros(d),
        "network": MeanNetwork(),
        "trainer": trainer,
    }
    return evidence(who, seed=seed, **{**made, **changes})


def log_likelihood_ratio(found: Evidence) -> np.ndarray:
    """Return log P(logit | in) / P(logit | out) of every window for an attacker who knows all N.

    Out, theta is the mean of n of the N - 1 others; in, of the window and n - 1 others: moments of
    drawing without replacement, and Gaussian because n is large.
    """
    w = found.windows
    signed = (2 * w.stress - 1)[:, None] * w.features.astype(np.float64)
    n, total = int(w.train.sum()), len(signed)
    ratios = []
    for i, x in enumerate(signed):
        others = np.delete(signed, i, axis=0) @ x  # what each other window adds to the logit
        mean, variance = others.mean(), others.var(ddof=1)
        out = norm(mean, np.sqrt(variance / n * (1 - n / (total - 1))))
        spread = np.sqrt((n - 1) * variance * (1 - (n - 1) / (total - 1))) / n
        inside = norm((x @ x + (n - 1) * mean) / n, spread)
        ratios.append(inside.logpdf(x @ found.params) - out.logpdf(x @ found.params))
    return np.array(ratios)
