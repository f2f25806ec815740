"""The examples run as they are, in a process of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedaffect.reports.json_file import load_record

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path, *words: str) -> list[str]:
    """Run an example in ``folder`` and return its lines; a warning on stderr is a failure."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def head_noise(folder: Path, *words: str) -> tuple[list[float], list[float]]:
    """Return the accuracy of the own head and of the fresh attacker, by noise."""
    rows = [line.split() for line in run("head_noise.py", folder, *words)[2:]]
    assert [row[0] for row in rows] == ["0.0", "0.1", "0.3", "1.0"]
    assert len({row[3] for row in rows}) == 1  # stress is untouched too
    own, fresh = ([float(row[i].rstrip("%")) for row in rows] for i in (1, 2))
    return own, fresh


def test_head_noise_hides_nothing(tmp_path: Path) -> None:
    own, fresh = head_noise(tmp_path, "--people", "5", "--rounds", "25")
    assert own[0] > 40 > own[-1]
    assert len(set(fresh)) == 1
    assert fresh[0] > 40  # chance is 20


@pytest.mark.slow
def test_head_noise_hides_nothing_in_its_own_size(tmp_path: Path) -> None:
    own, fresh = head_noise(tmp_path)
    assert own[0] > 50
    assert own[-1] < 20  # chance is 10
    assert len(set(fresh)) == 1
    assert fresh[0] > 50


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--eps", "5", "--clients", "3", "--rounds", "5"), "FORMAL"),
        pytest.param((), "NONE", marks=pytest.mark.slow),
    ],
)
def test_python_api(tmp_path: Path, words: tuple[str, ...], status: str) -> None:
    lines = run("python_api.py", tmp_path, *words, "--out", "run")
    assert lines[0].startswith("round 5: loss ")
    assert f"privacy {status}: " in "\n".join(lines)
    figures = load_record(tmp_path / "run").figures
    (shown,) = [line for line in lines if line.startswith("identity, new attacker")]
    percent = re.findall(r"([\d.]+)%", shown)
    assert percent[0] == f"{100 * (figures.identity_strongest.value or 0):.1f}"
    assert figures.strongest_attack in shown


def test_examples_are_short() -> None:
    scripts = list(EXAMPLES.glob("*.py"))
    assert len(scripts) >= 2
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 80
        assert f"examples/{path.name}" in text  # says how it is run
