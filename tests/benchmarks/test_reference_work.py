"""The benchmark runs, its engines did the same work, and it says so when they did not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psutil")
DRIVER = Path(__file__).parents[2] / "benchmarks" / "reference_work.py"


def measure(tmp_path: Path, *flags: str) -> tuple[dict[str, Any], str]:
    out = tmp_path / "figures.json"
    small = ["--clients", "3", "--samples", "40", "--batch-size", "16", "--rounds", "3"]
    done = subprocess.run(
        [sys.executable, str(DRIVER), *small, *flags, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text()), done.stdout


@pytest.mark.parametrize("bound", [None, "0.05"])
def test_local_engine_does_the_work_of_the_plain_loop(tmp_path: Path, bound: str | None) -> None:
    # A bound of 0.05 shortens every gradient of this network: torch's own clipping in the loop
    # is the oracle of ours.
    flags = ["--engines", "loop", "local", *(["--max-grad-norm", bound] if bound else [])]
    figures, text = measure(tmp_path, *flags)
    (work,) = figures["works"]
    loop, local = work["engines"]
    assert (loop["engine"], local["engine"]) == ("loop", "local")
    assert loop["distance"] == pytest.approx(local["distance"], rel=1e-5)
    # 3 rounds of 3 steps of lr 0.01, each no longer than the bound
    limit = 3 * 3 * 0.01 * 0.05
    assert 0 < loop["distance"] <= limit if bound else loop["distance"] > limit
    for row in (loop, local):
        assert [len(r) for r in row["rounds_wall_s"]] == [3]
        assert 0 < row["wall_min_s"] <= row["wall_s"]
        assert row["memory_mb"] > 50 and row["startup_s"] > 0
    assert loop["wall_ratio"] == loop["cpu_ratio"] == 1
    wall = zip(local["rounds_wall_s"][0][1:], loop["rounds_wall_s"][0][1:], strict=True)
    ratios = sorted(m / f for m, f in wall)
    assert ratios[0] * 0.9 <= local["wall_ratio"] <= ratios[1] * 1.1  # rounds are kept to 0.1 ms
    assert "distances differ by" in text and "local" in text


def test_figures_name_versions_but_neither_host_nor_folders(tmp_path: Path) -> None:
    import platform

    figures, text = measure(tmp_path, "--engines", "loop")
    assert {"cpu", "cores", "python", "torch", "flwr", "ray"} <= set(figures["machine"])
    told = json.dumps(figures) + text
    assert platform.node() not in figures["machine"].values()
    assert str(Path.home()) not in told and str(tmp_path) not in told
    assert figures["works"][0]["engines"][0]["wall_ratio"] == 1


def test_engines_that_end_apart_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DRIVER.parent))
    from reference_work import SAME_WORK, largest_difference

    ends = [0.5, 0.5000001]
    assert largest_difference(ends) <= SAME_WORK
    assert largest_difference([*ends, 0.501]) == pytest.approx(0.001 / 0.501)
    assert not largest_difference([*ends, 0.501]) <= SAME_WORK
    assert not largest_difference([*ends, float("nan")]) <= SAME_WORK  # an engine that diverged


def test_table_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DRIVER.parent))
    from reference_engines import ENGINES
    from reference_work import works_of

    works = works_of(DRIVER.with_suffix(".toml"))
    assert (20, 1000, 32) in {(w.clients, w.samples, w.batch_size) for _, w, _, _ in works}
    for _, work, engines, repeats in works:
        assert set(engines) <= set(ENGINES) and "loop" in engines
        assert work.rounds >= 2 and repeats >= 1


@pytest.mark.slow
def test_ray_engines_do_the_work_of_the_plain_loop(tmp_path: Path) -> None:
    figures, _ = measure(tmp_path)
    rows = {row["engine"]: row for row in figures["works"][0]["engines"]}
    assert set(rows) == {"loop", "local", "local-stack", "ray-1", "ray-2", "ray-2-stack"}
    assert rows["ray-1"]["distance"] == rows["local"]["distance"] == rows["ray-2"]["distance"]
    assert rows["loop"]["distance"] == pytest.approx(rows["local"]["distance"], rel=1e-5)
    assert rows["local-stack"]["distance"] == rows["ray-2-stack"]["distance"]
    assert rows["local-stack"]["distance"] == pytest.approx(rows["local"]["distance"], rel=1e-5)
    assert rows["ray-2"]["processes"] > rows["local"]["processes"] == 1
