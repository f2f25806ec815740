"""A cell of a study: one training with its attackers, and everything that decides its figures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from fedaffect.code_digest import code_digest
from fedaffect.config import RunConfig
from fedaffect.references import WHERE_NOT_WHAT

KEY_LENGTH = 16


@dataclass(frozen=True)
class Cell:
    """One training with its attackers.

    Args:
        name: Unique within the study: letters, digits, ``-``, ``.`` and ``@``.
        what: What is trained, in words.
        config: What ``fedaffect simulate`` would be told.
        family: Cells of one family look alike in the trade-off.
        folds: How many folds of the evaluation are trained; each is a run of its own, so that
            noise and accounting are those of one training.
        windows: Most training windows of a client; ``None``: all that it is dealt.
        enrolled: Most windows that the identity attackers enrol with; ``None``: all.
        curve: Evaluate after every round, not only after the last.
    """

    name: str
    what: str
    config: RunConfig
    family: str = "no noise"
    folds: int = 1
    windows: int | None = None
    enrolled: int | None = None
    curve: bool = False

    def key(self, fingerprint: str) -> str:
        """Return a digest of everything that decides the figures on data of ``fingerprint``."""
        content = {
            **asdict(self),
            "config": self.config.model_dump(mode="json", exclude=WHERE_NOT_WHAT),
            "fingerprint": fingerprint,
            "code": code_digest(),
        }
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
