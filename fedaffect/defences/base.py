"""The interface of a defence: what it changes of the training, and what it keeps on the clients.

A defence limits what the shared features tell about who somebody is. None of it is differential
privacy: no statement counts it, and whether it helps is measured by fresh attackers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

from torch import Tensor

Heads = Callable[[Tensor], dict[str, Tensor]]  # shared representation (B, H) to outputs by task

IDENTITY = "identity"  # the task that defences act on
PENALTY = "penalty"  # output (B, 1) that is added to every window's loss
NOISE = "embedding_noise"  # column (B, H) of a batch: standard normal draws, one row a window


class Defence(Protocol):
    """A frozen dataclass; its field ``strength``, where it has one, is its option.

    Attributes:
        about: What it does, in a few words that follow its name.
        drops: Tasks that are not trained.
        keeps: Tasks whose head never leaves a client, unless ``dp.blocks`` says otherwise.
        needs: Tasks that it cannot do without.
        stochastic: Whether its batches need a column ``NOISE``.
    """

    about: ClassVar[str]
    drops: ClassVar[tuple[str, ...]]
    keeps: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[str, ...]]
    stochastic: ClassVar[bool]

    def outputs(self, h: Tensor, heads: Heads, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the training objective sees.

        Args:
            h: Shared representation, (B, H).
            heads: The model's heads.
            batch: The windows, with a column ``NOISE`` where the defence is stochastic.

        Returns:
            Task name to (B, K), and ``PENALTY`` to (B, 1) where every window's loss has a term
            without a label. A window's row depends on no other window.
        """
