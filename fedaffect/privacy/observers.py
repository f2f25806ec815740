"""Who can learn what: one eps for the server, one for participants, one for everyone else.

Where clients add the noise, whoever sees only the global models sees sums: the noise of n honest
clients in a sum is N(0, n sigma^2), so z grows to z sqrt(n); a participant knows its own noise and
sees z sqrt(n - 1). Draws amplify nothing there: the size of the noise in a sum tells how many took
part. A sum of Laplace noises is no Laplace noise, and keeps the eps of one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from fedaffect.privacy.promise import Promise
from fedaffect.privacy.scope import Scope

_SEES = {
    "server": {
        "server": "sees every update in the clear; trusted, it adds the noise",
        "participants": "see the global models and know when they took part",
        "external": "sees the global models, not who took part",
    },
    "client": {
        "server": "receives every contribution, with the noise of its client in it",
        "participants": "see the global models, and know their own noise in them",
        "external": "sees the global models only",
    },
    "steps": {
        "server": "receives models that were trained with noise in every local step",
        "participants": "see the global models; noise and draws of others stay with the others",
        "external": "sees the global models only",
    },
}


def observer_lines(scope: Scope, promise: Promise | None, fewest: int) -> list[dict[str, Any]]:
    """Return one line an observer: who, eps, delta, and a sentence.

    Args:
        scope: Where noise is drawn.
        promise: What the releases cost; ``None`` without a finite eps.
        fewest: Smallest number of contributions in a released sum.
    """
    lines: list[dict[str, Any]] = []
    for name, sees in _SEES.get(scope.noise_at, _SEES["server"]).items():
        eps, why = _eps(name, scope, promise, fewest) if promise else (None, "")
        lines.append(
            {
                "observer": name,
                "eps": eps,
                "delta": promise.delta if promise and eps is not None else None,
                "text": f"{sees}{why}",
            }
        )
    return lines


def _eps(observer: str, scope: Scope, promise: Promise, fewest: int) -> tuple[float | None, str]:
    """Return what holds for ``observer``, and what to add to its sentence."""
    if scope.noise_at == "server":
        eps = {
            "server": None,
            "participants": promise.eps_of_participants,
            "external": promise.eps,
        }[observer]
        return (
            eps,
            "; amplified by secret draws" if observer == "external" and scope.amplified else "",
        )
    others = {"external": fewest, "participants": max(1, fewest - 1)}.get(observer, 1)
    if scope.noise_at == "steps" or scope.noise == "laplace" or others == 1:
        return promise.eps, ""
    events = [replace(e, scale=e.scale * math.sqrt(others)) for e in promise.events]
    eps = Promise(events, promise.delta, promise.method).eps
    return eps, f"; the noise of at least {others} honest clients adds up"
