import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "run_all.py"


@pytest.mark.slow
def test_rehearsal_measures_a_table_and_draws_a_sweep(tmp_path: Path) -> None:
    from report import README, figures, results

    before = README.read_text()
    parts = ("window_privacy", "sweep_parameters")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--rehearse", str(tmp_path), "--only", *parts],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(tmp_path)
    assert set(found) == set(parts)
    swept = found["sweep_parameters"]
    assert [work["parameters"] for work in swept["works"]] == swept["sweep"]["values"]
    assert (tmp_path / "sweep_parameters.svg").stat().st_size > 1000
    assert "| `opacus` |" in figures(found) and "Noise makes" in figures(found)
    assert README.read_text() == before  # a rehearsal is no measurement


def test_part_that_fails_loses_its_own_figures_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import report
    import run_all

    kept = tmp_path / "results"
    kept.mkdir()
    monkeypatch.setattr(report, "RESULTS", kept)
    readme = tmp_path / "README.md"
    readme.write_text(f"{report.BEGIN}\n{report.END}\n")
    monkeypatch.setattr(report, "write", lambda: readme.write_text("written"))

    def part(self: run_all.Run, name: str) -> bool:
        if name == "small":
            raise RuntimeError("no such luck")
        self._keep(name, {"name": name})
        return True

    monkeypatch.setattr(run_all.Run, "part", part)
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--only", "people", "small", "ragged"])
    assert run_all.main() == 1
    assert {p.stem for p in kept.glob("*.json")} == {"people", "ragged"}
    assert json.loads((kept / "ragged.json").read_text()) == {"name": "ragged"}
    assert readme.read_text() == "written"
    told = capsys.readouterr().err
    assert "no such luck" in told and "small: not every engine did its work" in told
