"""The machine that figures come from: what they depend on, and nothing that names it."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

STATES = 8  # of a CPU on Linux; what follows is contained in them
PACKAGES = ("fedaffect", "torch", "numpy", "flwr", "ray", "opacus")


def machine() -> dict[str, Any]:
    """Return what the figures depend on, and nothing that names the machine or its user."""
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "commit": _commit(),
    }


class Stolen:
    """The share of the CPUs' time that the host gave to others, from the making on."""

    def __init__(self) -> None:
        self.before = psutil.cpu_times()

    @property
    def share(self) -> float | None:
        """Between 0 and 1; ``None`` where the system does not tell."""
        now = psutil.cpu_times()
        if not hasattr(now, "steal"):
            return None
        passed = sum(now[:STATES]) - sum(self.before[:STATES])
        return round((now.steal - self.before.steal) / passed, 3) if passed else None


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if found:
            return found[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit of the package's source, marked where that was changed since."""
    here = Path(__file__).resolve().parent.parent
    try:
        told = subprocess.run(
            ["git", "-C", here, "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True
        )
        if told.returncode:
            return None
        changed = subprocess.run(["git", "-C", here, "diff", "--quiet", "HEAD", "--", "fedaffect"])
    except FileNotFoundError:
        return None
    return told.stdout.strip() + ("-changed" if changed.returncode else "")
