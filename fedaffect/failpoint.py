"""Places where a test may kill this process, to prove that nothing is lost or spent twice.

``FEDAFFECT_FAILPOINT=ledger.charged:3`` kills the process (SIGKILL) at the third call of
``fail_here("ledger.charged")``.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

NAMES = frozenset(
    {
        "checkpoint.before",
        "checkpoint.written",
        "client.noised",
        "ledger.before_charge",
        "ledger.charged",
        "ledger.released",
        "noise.drawn",
        "round.done",
    }
)

_calls: Counter[str] = Counter()


def fail_here(name: str) -> None:
    """Kill this process if its environment asks for it at this call of ``name``.

    Args:
        name: One of ``NAMES``.
    """
    wanted = os.environ.get("FEDAFFECT_FAILPOINT")
    if not wanted:
        return
    _calls[name] += 1
    if wanted == f"{name}:{_calls[name]}":
        os.kill(os.getpid(), signal.SIGKILL)
