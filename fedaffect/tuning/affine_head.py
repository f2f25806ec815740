"""The stress score of a frozen network as a function of its released numbers: a straight line.

With everything else frozen, the score of a window (logit of stress less that of no stress) is
``offset + design @ change``: ``change`` (k,) is how far the k released numbers have moved from
where the backbone left them. Local training is then a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fedaffect.errors import UsageError
from fedaffect.models.base import MultitaskModel
from fedaffect.models.factory import ModelFactory
from fedaffect.rng import generator

PROBED = 256  # windows on which the line is compared with the network
CLOSE = 1e-4  # largest difference of scores, which are of the order of 1


@dataclass(frozen=True)
class Person:
    """One person's windows as the released numbers see them.

    Args:
        design: What each released number adds to a window's score, (n, k) float64.
        offset: Scores where the backbone left the numbers, (n,) float64.
        stressed: Labels 0 and 1, (n,) float64.
    """

    design: np.ndarray
    offset: np.ndarray
    stressed: np.ndarray

    def __len__(self) -> int:
        return len(self.offset)


def affine_scores(
    factory: ModelFactory, released: np.ndarray, start: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``design`` (N, k) and ``offset`` (N,) of windows, both float64.

    Args:
        factory: Builds the network; its first task has two classes.
        released: Places of the k released numbers in the parameters.
        start: Parameters (d,) of the backbone.
        features: Scaled features (N, F).

    Raises:
        UsageError: E229 the score does not follow the released numbers along a line.
    """
    with torch.no_grad():
        model = factory.with_params(start)
        x = torch.as_tensor(features).to(next(model.parameters()).dtype)
        h = model.embed({"features": x})
        offset = _scores(model, h)
        design = np.empty((len(features), len(released)))
        for column, place in enumerate(released):
            moved = start.copy()
            moved[place] += 1
            design[:, column] = _scores(factory.with_params(moved), h) - offset
        _refuse_curves(factory, released, start, x[:PROBED], design[:PROBED], offset[:PROBED])
    return design, offset


def _scores(model: MultitaskModel, h: torch.Tensor) -> np.ndarray:
    logits = model.heads(h)[model.tasks[0].name].double().numpy()
    scores: np.ndarray = logits[:, 1] - logits[:, 0]
    return scores


def _refuse_curves(
    factory: ModelFactory,
    released: np.ndarray,
    start: np.ndarray,
    x: torch.Tensor,
    design: np.ndarray,
    offset: np.ndarray,
) -> None:
    """Compare the line with the whole network, all released numbers moved at once."""
    change = generator(0, "tuning", "probe").standard_normal(len(released))
    moved = start.copy()
    moved[released] += change
    model = factory.with_params(moved)
    found = _scores(model, model.embed({"features": x}))
    if np.abs(found - offset - design @ change).max() > CLOSE * max(1.0, np.abs(found).max()):
        raise UsageError(
            "E229",
            "dp tune trains numbers that move the score of a window along a line; this release "
            "does more",
            do="--release head of a linear head, or --release N",
        )
