"""Arrays in shared memory: read without copies, and gone with the last reader."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fedaffect.simulations.shared_arrays import SharedArrays, mapped


def test_what_is_mapped_is_what_was_written() -> None:
    draw = np.random.default_rng(0)
    written = [
        draw.normal(size=(7, 3)).astype(np.float32),
        np.array([[1, 2], [3, 4]], dtype=np.int64).T,  # not contiguous
        np.empty((0, 5)),
        np.array(2.5),
        draw.normal(size=1000),
    ]
    shared = SharedArrays(written)
    found = mapped(os.dup(shared.fd), shared.places)
    for array, expected in zip(found, written, strict=True):
        assert np.array_equal(array, expected) and array.dtype == expected.dtype
    found[4][0] = 7  # its own copy of that page
    again = mapped(os.dup(shared.fd), shared.places)
    assert again[4][0] == written[4][0] != 7
    shared.close()
    assert again[4][-1] == written[4][-1]  # the reader keeps the memory


def test_no_array_is_fine() -> None:
    shared = SharedArrays([])
    assert mapped(os.dup(shared.fd), shared.places) == []
    shared.close()


def test_arrays_are_mapped_and_not_copied() -> None:
    shared = SharedArrays([np.zeros(30_000_000 // 8)])
    before = _own_memory()
    (found,) = mapped(os.dup(shared.fd), shared.places)
    assert found.sum() == 0
    assert _own_memory() - before < 3_000_000  # 30 MB are read, and belong to all readers
    shared.close()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="other systems map a nameless file")
def test_nothing_has_a_name() -> None:
    shared = SharedArrays([np.zeros(10)])
    assert os.readlink(f"/proc/self/fd/{shared.fd}").startswith("/memfd:")
    shared.close()


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal\n"
        "from fedaffect.simulations.processes import ProcessGrid\n"
        "grid = ProcessGrid('run', 2)\n"
        "print(*grid.worker_pids(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )  # no guard of the main module: the workers do not run it
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    pids = [int(pid) for pid in told.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 60
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _own_memory() -> int:
    """Return the bytes that this process holds for itself alone, from the kernel."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (own,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return 1024 * int(own)
