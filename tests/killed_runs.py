"""Runs of the command line in real processes that a test kills, and what they leave."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.server import checkpoint
from fedaffect.server.checkpoint import Checkpoint

ROUNDS = 3
TINY = (
    *("--engine", "local", "--no-reference", "--quiet", "--clients", "3"),
    *("--rounds", str(ROUNDS), "-o", "synthetic.sessions=2", "-o", "synthetic.session_s=240"),
)
CENTRAL = (*TINY, "--dp", "gaussian", "--eps", "5")
AT_CLIENTS = (*TINY, "--dp", "gaussian", "--eps", "500", "-o", "dp.where=client")
_PROCESSES = multiprocessing.get_context("forkserver")  # imports once, then forks: 0.1 s a run
_PROCESSES.set_forkserver_preload(
    [
        *("fedaffect.cli.simulate", "fedaffect.cli.view", "fedaffect.simulation"),
        *("fedaffect.reports.html_page", "matplotlib.figure", "matplotlib.backends.backend_svg"),
        *("dp_accounting", "sklearn.neural_network", "scipy.signal"),
    ]
)


def _type(words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run ``fedaffect simulate words...`` as a process group of its own."""
    os.setsid()
    os.environ.update(environment)
    sys.stdout = sys.stderr = open(log, "w", encoding="utf-8")  # noqa: SIM115
    from fedaffect.cli import run

    code = run(["simulate", *words])
    sys.stdout.flush()
    os._exit(code)


@dataclass(frozen=True)
class Site:
    """A state folder and a run folder below ``root``."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def folder(self) -> Path:
        return self.root / "run"

    @property
    def ledger(self) -> Path:
        return self.home / "ledger" / "synthetic.jsonl"

    def start(self, *words: str, failpoint: str = "") -> BaseProcess:
        environment = {"FEDAFFECT_HOME": str(self.home), "FEDAFFECT_FAILPOINT": failpoint}
        process = _PROCESSES.Process(
            target=_type, args=(words, environment, self.root / "said.txt")
        )
        process.start()
        return process

    def run(self, *words: str, failpoint: str = "") -> int | None:
        """Run to the end; return the exit code, or minus the signal that killed it."""
        process = self.start(*words, failpoint=failpoint)
        process.join(120)
        return process.exitcode

    def begin(self, words: Sequence[str], failpoint: str = "") -> int | None:
        return self.run(*words, "--out", str(self.folder), failpoint=failpoint)

    def resume(self, *words: str, failpoint: str = "") -> int | None:
        return self.run("--resume", str(self.folder), *words, failpoint=failpoint)

    @property
    def said(self) -> str:
        """What the last process printed."""
        return (self.root / "said.txt").read_text()

    @property
    def checkpoint(self) -> Checkpoint:
        last = checkpoint.latest(self.folder, _no_warning)
        assert last is not None
        return last

    @property
    def params(self) -> np.ndarray:
        """Final parameters (folds, d) float64, as the last checkpoint has them."""
        return np.stack(self.checkpoint.progress.params)

    @property
    def released(self) -> int:
        """Releases that have left, as the record of rounds shows them."""
        file = self.folder / "rounds.jsonl"
        return len(file.read_bytes().splitlines()) if file.exists() else 0

    def spent(self) -> int:
        """Releases that the ledger says are paid for, by whoever paid most."""
        if not self.ledger.exists():
            return 0
        with Ledger.open(self.home, "synthetic", SecretNoiseKey.load(self.home)) as ledger:
            return max(ledger.runs().values(), default=0)

    def bytes_of(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def rounds(self) -> list[int]:
        return [json.loads(line)["round"] for line in self.bytes_of("rounds.jsonl").splitlines()]


def kill_group(process: BaseProcess) -> None:
    """Kill a process and all that it started; it may have ended."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()  # it has no group of its own yet, or has ended
    process.join(60)


def _no_warning(text: str) -> None:
    raise AssertionError(text)
