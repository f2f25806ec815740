"""The benchmark of privacy runs, and its figures belong together."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("psutil")
DRIVER = Path(__file__).parents[2] / "benchmarks" / "privacy_overhead.py"


@pytest.mark.slow
def test_ratios_are_those_of_the_times(tmp_path: Path) -> None:
    table, out = tmp_path / "table.toml", tmp_path / "figures.json"
    table.write_text(
        "[targets]\ncentral = 1e9\nclient = 1e-9\nstep = 7.0\n"
        '[[work]]\nname = "small"\nclients = 2\nsamples = 40\nbatch_size = 8\nrounds = 2\n'
    )
    done = subprocess.run(
        [sys.executable, str(DRIVER), "--table", str(table), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (work,) = json.loads(out.read_text())["works"]
    cpu, ratios = work["cpu_ms"], work["ratios"]
    assert (work["clients"], work["samples"]) == (2, 40)
    for name, part, of in (
        ("central", "central", "round"),
        ("client", "client", "round"),
        ("step", "private", "plain"),
    ):
        assert ratios[name] == pytest.approx(cpu[part] / cpu[of])  # one turn is left of two
    assert ratios["step"] > 1  # noise and clip come on top of the same passes
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if "target" in line)
    assert said["central"].endswith("met") and said["client"].endswith("MISSED")


def test_table_names_targets_and_works() -> None:
    table = tomllib.loads(DRIVER.with_suffix(".toml").read_text())
    assert set(table["targets"]) == {"central", "client", "step"}
    assert {(w["clients"], w["samples"], w["batch_size"]) for w in table["work"]} >= {(20, 300, 32)}
