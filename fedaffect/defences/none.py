"""No defence: every head reads the shared representation and teaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedaffect.defences.base import Heads


@dataclass(frozen=True)
class NoDefence:
    """Multi-task training as it is; the others differ from it by what they override."""

    about: ClassVar[str] = "every task trains the shared features"
    drops: ClassVar[tuple[str, ...]] = ()
    keeps: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    stochastic: ClassVar[bool] = False

    def outputs(self, h: Tensor, heads: Heads, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return task name to (B, K) from ``h`` (B, H)."""
        return heads(h)


UNDEFENDED = NoDefence()
