from pathlib import Path

import psutil
import pytest

FEW = ("--rounds", "40", "--no-reference")


@pytest.mark.slow
def test_start_up_ends_at_the_first_finished_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from start_up import first_round_s

    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    before = set(psutil.Process().children(recursive=True))
    seconds = first_round_s("local", tmp_path / "run", FEW)
    assert 0.5 < seconds < 300
    done = (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()
    assert 1 <= len(done) < 40  # ended, not waited for
    assert set(psutil.Process().children(recursive=True)) <= before


def test_run_that_ends_before_a_round_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from start_up import first_round_s

    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    with pytest.raises(RuntimeError, match="no round, exit 2"):
        first_round_s("local", tmp_path / "run", ("--rounds", "none"))


@pytest.mark.slow
def test_engines_take_turns_and_the_first_run_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from start_up import measure

    monkeypatch.setenv("FEDAFFECT_HOME", "set again by the function")
    figures = measure(1, FEW)
    assert set(figures["engines"]) == {"local", "ray"}
    assert len(figures["floors"]) == 2
    for found in (figures["engines"] | figures["floors"]).values():
        assert len(found["runs_s"]) == 1
        assert found["median_s"] == pytest.approx(found["runs_s"][0], abs=1e-3)


def test_floor_ends_when_it_is_ready() -> None:
    from start_up import ready_s

    ready = "import time; print('ready', flush=True); time.sleep(600)"
    assert ready_s(ready) < 60
    with pytest.raises(RuntimeError, match="never ready, exit 3"):
        ready_s("raise SystemExit(3)")
