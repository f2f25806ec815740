"""What an engine says to the driver: ready, and what a round took. Lines of JSON on a pipe."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
import psutil


class Stopwatch:
    """Waits for the word to start a round and reports what the round took.

    From its making on, what libraries print goes to standard error: it must not come between.

    Args:
        root: Process whose CPU seconds count, with those of all below it (default: this one).
    """

    def __init__(self, root: int | None = None) -> None:
        self.said = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.root = psutil.Process(root)
        self.wall_s = self.cpu_s = 0.0

    def begin(self) -> None:
        """Say ``ready``, wait for a line, and start to measure.

        Raises:
            SystemExit: there is nobody any more to give the word.
        """
        self._say({"ready": True})
        if not sys.stdin.readline():
            raise SystemExit("the driver is gone")
        self.wall_s, self.cpu_s = time.perf_counter(), tree_cpu_s(self.root)

    def end(self) -> None:
        """Stop measuring; :meth:`report` follows."""
        self.wall_s = time.perf_counter() - self.wall_s
        self.cpu_s = tree_cpu_s(self.root) - self.cpu_s

    def report(self, moved: np.ndarray) -> None:
        """Say what the round took, and how long ``moved`` (d,) is: where the model stands now.

        Args:
            moved: Parameters after the round, less the initial ones.
        """
        distance = float(np.linalg.norm(moved.astype(np.float64)))
        self._say({"wall_s": self.wall_s, "cpu_s": self.cpu_s, "distance": distance})

    def _say(self, what: dict[str, Any]) -> None:
        print(json.dumps(what), file=self.said, flush=True)


def tree_cpu_s(root: psutil.Process) -> float:
    """Return CPU seconds used so far by ``root`` and its descendants, ended ones too."""
    spent = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            spent += float(sum(process.cpu_times()[:4]))  # user, system, and of ended children
        except psutil.Error:  # ended while we looked: its parent now counts it
            continue
    return spent
