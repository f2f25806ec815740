"""The identity task is not trained: the same as ``--tasks stress``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedaffect.defences.base import IDENTITY
from fedaffect.defences.none import NoDefence


@dataclass(frozen=True)
class DropIdentity(NoDefence):
    """No identity head, no parameters of one: nothing teaches the shared features who it is.

    Fewer released parameters also mean less noise in all under differential privacy.
    """

    about: ClassVar[str] = "identity is not trained, there is no such head"
    drops: ClassVar[tuple[str, ...]] = (IDENTITY,)
