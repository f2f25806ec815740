"""What a backbone is trained for: a weighted sum of terms, each registered under a name.

Shapes: B windows in a batch, H width of the embedding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn

from fedaffect import registry
from fedaffect.errors import UsageError
from fedaffect.pretraining.windows import PublicWindows


@dataclass(frozen=True)
class Step:
    """What a term sees of one batch.

    Args:
        h: Embeddings of the augmented windows, (B, H).
        outputs: Task name to the logits of the network's own heads, (B, K).
        labels: ``stress``, ``condition``, ``person`` (B,) int64, ``weight`` (B,) and
            ``deviation`` (B, F): see ``PublicWindows.labels``.
        windows: The windows as they are, (B, F).
        exchanged: The same deviations on the levels of people drawn at random, (B, F).
        embed: Windows (B, F) to embeddings (B, H), by the network in training.
    """

    h: Tensor
    outputs: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    windows: Tensor
    exchanged: Tensor
    embed: Callable[[Tensor], Tensor]


class Term(nn.Module, ABC):
    """A loss with the throw-away head that it needs, if any."""

    @abstractmethod
    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch, a scalar."""


class Objective(Protocol):
    """One registered term: a frozen dataclass, its fields are its options."""

    about: ClassVar[str]

    def term(self, windows: PublicWindows, width: int) -> Term:
        """Return the term for these people and embeddings of ``width`` H.

        Raises:
            DataError: E385 the data do not offer what it learns from.
        """


def read_objective(text: str) -> dict[str, float]:
    """Read ``stress=1,contrastive=0.3`` as name to weight, in alphabetical order.

    Raises:
        UsageError: E271 a name is not known or there twice, or a weight is not above 0.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if name not in registry.OBJECTIVES:
            do = registry.did_you_mean(name, registry.OBJECTIVES)
            raise UsageError("E271", f"--objective {name!r} is not known", do=do)
        if name in weights:
            raise UsageError("E271", f"--objective names {name} twice", do="name it once")
        weights[name] = _weight(name, number if equals else "1")
    return dict(sorted(weights.items()))


def _weight(name: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 < weight <= 1000:
        raise UsageError(
            "E271",
            f"--objective {name}={number}: the weight should be a number above 0, at most 1000",
            do="such as stress=1,contrastive=0.3; leave out what should not count",
        )
    return weight
