"""Where clients train: on the CPU, or on a GPU that PyTorch reaches through CUDA."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from fedaffect.errors import UsageError

Device = Literal["cpu", "cuda"]
REPEATABLE_WORKSPACE = ":4096:8"  # with which cuBLAS adds up in the same order every time


def device_of(asked: str, *, elsewhere: bool = False) -> Device:
    """Return the device that ``--device`` asks for.

    Args:
        asked: ``cpu``, ``cuda``, or ``auto``: CUDA where PyTorch finds a GPU on this machine.
        elsewhere: Whether clients train on other machines; their GPUs are not looked for.

    Raises:
        UsageError: E241 a GPU is asked for, and there is none.
    """
    import torch

    if asked == "cpu":
        return "cpu"
    here = torch.cuda.is_available()
    if asked == "cuda" and not here and not elsewhere:
        built = torch.version.cuda is not None
        raise no_gpu("PyTorch finds no GPU" if built else "this PyTorch is built without CUDA")
    return "cuda" if here or asked == "cuda" else "cpu"


def no_gpu(why: str) -> UsageError:
    """Return E241, which says why there is no GPU."""
    return UsageError(
        "E241", f"--device cuda: {why}", do="--device cpu, or a PyTorch that finds the GPU"
    )


def gpu_count() -> int:
    """Return how many GPUs PyTorch finds on this machine."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpu_name() -> str:
    """Return the name of the GPU that clients would train on; empty without one."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def named(device: str) -> str:
    """Return ``device`` in words, the GPU by its name where it is in this machine."""
    if device != "cuda":
        return "the CPU"
    return f"a GPU ({name})" if (name := gpu_name()) else "a GPU"


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Let CUDA give equal numbers for equal inputs within, at full precision.

    Operations that add up in any order are replaced or refused, TF32 is off, and nothing is timed
    to choose an algorithm. On a CPU, whose numbers repeat as they are, nothing changes.
    """
    if device != "cuda":
        yield
        return
    import torch
    from torch.utils import deterministic

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", REPEATABLE_WORKSPACE)  # read at its start
    mode = torch.get_deterministic_debug_mode()
    filled = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    precision = torch.get_float32_matmul_precision()
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports a compiler
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        torch.set_float32_matmul_precision(precision)
