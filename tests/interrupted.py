"""Tiny runs in this process that are interrupted in a round, or when training is over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from killed_runs import Site
from tiny import tiny

from fedaffect.progress import Listener
from fedaffect.record import RoundRecord
from fedaffect.simulation import simulate

GAUSSIAN = {"dp.mechanism": "gaussian", "dp.eps": 5.0}
TRAINED = "training fresh identity attackers"  # the stage after the model was written


class Interrupts(Listener):
    """Presses Ctrl-C when some rounds are done, or when the model is."""

    def __init__(self, after: int | None = None) -> None:
        self.left, self.told = after, list[str]()

    def stage(self, text: str) -> None:
        self.told.append(text)
        if text == TRAINED:
            raise KeyboardInterrupt

    def round_done(self, record: RoundRecord) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def begun(site: Site, changes: dict[str, Any], after: int = 2) -> Site:
    """Begin a run of three rounds and interrupt it in round ``after``, before its checkpoint."""
    config = tiny({"federation.rounds": 3, "run.out": site.folder} | changes)
    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(config, listener=Interrupts(after))
    assert caught.value.__notes__ == [f"go on with:  fedaffect simulate --resume {site.folder}"]
    assert len(site.rounds()) == after
    return site


def run_tiny(site: Site, changes: dict[str, Any]) -> np.ndarray:
    """Train to the end, spare the attackers; return the parameters (folds, d) float64."""
    with pytest.raises(KeyboardInterrupt):
        simulate(tiny({"run.out": site.folder} | changes), listener=Interrupts())
    return site.params


def model_of(site: Site, told: list[str] | None = None, **options: Any) -> np.ndarray:
    """Go on to the end of training; return the parameters (folds, d) float64.

    Args:
        site: Where.
        told: Gets every stage that was said.
        **options: As on the command line.
    """
    listener = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        simulate(resume=site.folder, listener=listener, **options)
    if told is not None:
        told += listener.told
    return site.params
