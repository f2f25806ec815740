"""The engines of the reference work by name, and how each is started."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from engines.work import Work
from peers import NEEDS, python_of, why_missing

HERE = Path(__file__).resolve().parent
ENGINES = (
    "loop",
    "loop-2",
    "loop-own",
    "local",
    "local-2",
    "local-stack",
    "local-2-stack",
    "ray-1",
    "ray-2",
    "ray-2-stack",
    "pfl-1",
    "pfl-2",
    "flower-1",
    "flower-2",
)
PRIVATE_ENGINES = ("opacus", "local", "local-2", "ray-1", "ray-2")
KINDS = ("loop", "opacus", "local", "ray", "pfl", "flower")
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class EngineName:
    """What the name of an engine says, such as ``local-2-stack``.

    Args:
        kind: One of ``KINDS``.
        workers: Processes that train.
        stacked: Whether clients train side by side.
        own: Whether the plain loop trains the package's network, not that of PyTorch's layers.
    """

    kind: str
    workers: int
    stacked: bool
    own: bool

    @classmethod
    def read(cls, name: str) -> EngineName:
        """Return what ``name`` says.

        Raises:
            ValueError: there is no such engine.
        """
        kind, *rest = name.split("-")
        numbers = [int(word) for word in rest if word.isdigit()]
        others = [word for word in rest if not word.isdigit()]
        allowed = {"local": "stack", "ray": "stack", "loop": "own"}.get(kind)
        if kind not in KINDS or others not in ([], [allowed]) or len(numbers) > 1 or numbers == [0]:
            raise ValueError(f"there is no engine {name}")
        return cls(kind, numbers[0] if numbers else 1, others == ["stack"], others == ["own"])

    @property
    def why_not(self) -> str:
        """What is missing to run it, in one line; empty where nothing is."""
        return why_missing(self.kind) if self.kind in NEEDS else ""

    def command(self, work: Work) -> list[str]:
        """Return the command line of the process that does ``work``."""
        python = str(python_of(self.kind)) if self.kind in NEEDS else sys.executable
        count, text = str(self.workers), work.text
        if self.kind in ("local", "ray"):
            return _module(python, "package", self.kind, count, str(int(self.stacked)), text)
        if self.kind == "loop":
            return _module(python, "plain_loop", count, str(int(self.own)), text)
        if self.kind == "flower":
            return _module(python, "flower_simulation", count, text)
        if self.kind == "opacus":
            return _module(python, "opacus_loop", text)
        if self.workers == 1:
            return _module(python, "pfl_simulation", text)
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
        return [python, "-m", *torchrun, "-m", "engines.pfl_simulation", text]

    def environment(self, state: Path) -> dict[str, str]:
        """Return the environment of the process.

        Args:
            state: Folder for keys, ledgers and whatever else an engine keeps.
        """
        ours = [str(HERE), str(HERE.parent)]
        if self.kind not in NEEDS and "PYTHONPATH" in os.environ:
            ours.append(os.environ["PYTHONPATH"])
        paths = {"PYTHONPATH": os.pathsep.join(ours)}
        homes = {"FEDAFFECT_HOME": str(state / "fedaffect"), "FLWR_HOME": str(state / "flwr")}
        return os.environ | QUIET | ONE_THREAD | paths | homes


def _module(python: str, name: str, *arguments: str) -> list[str]:
    return [python, "-m", f"engines.{name}", *arguments]
