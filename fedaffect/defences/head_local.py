"""The identity head stays on its client.

Source: the shared body and personal head of L. Collins et al., "Exploiting Shared Representations
for Personalized Federated Learning", ICML 2021, here with every layer trained in every step.

Departures: only the private head is personal; the stress head is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedaffect.defences.base import IDENTITY
from fedaffect.defences.none import NoDefence


@dataclass(frozen=True)
class HeadLocal(NoDefence):
    """Every client trains an identity head of its own, which is never uploaded.

    It hides the head. The shared features are still trained to identify.
    """

    about: ClassVar[str] = "the identity head never leaves its client"
    keeps: ClassVar[tuple[str, ...]] = (IDENTITY,)
    needs: ClassVar[tuple[str, ...]] = (IDENTITY,)
