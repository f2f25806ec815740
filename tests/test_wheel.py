"""The wheel carries everything it needs and works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_wheel_runs_outside_the_checkout(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    unpacked = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    packaged = {p.name for p in unpacked.rglob("*") if p.is_file()}
    in_tree = {
        p.name
        for p in (ROOT / "fedaffect").rglob("*")
        if p.is_file()
        and p.suffix in {".py", ".json", ".j2", ".css", ".typed", ".safetensors", ".txt"}
    }
    assert in_tree <= packaged
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "FEDAFFECT_HOME": str(tmp_path / "h")}
    where = "import fedaffect; print(fedaffect.__file__)"
    run = [sys.executable, "-m", "fedaffect", "simulate", "--clients", "3", "--rounds", "1"]
    quick = ["--engine", "local", "--no-reference", "--out", "out"]
    for command in ([sys.executable, "-c", where], [*run, *quick]):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        if command[1] == "-c":
            assert done.stdout.startswith(str(unpacked))
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
