import copy
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

MACHINE = {
    "cpu": "Some CPU",
    "cores": 2,
    "memory_gb": 25.2,
    "gpu": None,
    "system": "Linux",
    "python": "3.11.7",
    "torch": "2.13.0",
    "numpy": "2.0",
    "flwr": "1.41.0",
    "ray": "2.55.1",
    "opacus": "1.6.0",
    "commit": "0123abcd",
}


def row(engine: str, *seconds: float, memory: float = 300.0, **more: Any) -> dict[str, Any]:
    return {
        "engine": engine,
        "wall_s": sorted(seconds[1:])[len(seconds[1:]) // 2],
        "cpu_s": 1.25,
        "startup_s": 2.0,
        "first_s": 3.5,
        "memory_mb": memory,
        "processes": 1,
        "wall_ratio": 1.0,
        "cpu_ratio": None,
        "wall_ratio_same": None,
        "rounds_wall_s": [list(seconds)],
        "rounds_cpu_s": [list(seconds)],
        **more,
    }


def work(name: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "windows": 20_000,
        "rounds": 4,
        "repeats": 1,
        "floor": "loop",
        "load_before": 0.1,
        "largest_difference": 2e-7,
        "same_work": True,
        "engines": list(rows),
        "failed": {},
        "missing": {},
        "left_out": {},
        **more,
    }


@pytest.fixture
def found() -> dict[str, Any]:
    loop = row("loop", 9, 1.0, 1.0, 1.0)
    local = row("local", 9, 1.04, 1.2, 1.03)
    flower = row("flower-1", 9, 1.5)
    people = work("20 x 1000, batch 32", loop, local, flower)
    large = [
        work("1000 x 20, batch 8", row("local", 9, 1, 1, 1, memory=400)),
        work("10,000 x 20, batch 8", row("local", 9, 1, 1, 1, memory=500)),
    ]
    start = {"command": "fedaffect simulate", "load_before": 0.0}
    start["engines"] = {"local": {"median_s": 4.0, "runs_s": [3.9, 4.0, 4.1]}}  # type: ignore
    start["floors"] = {"import torch": {"median_s": 1.0, "runs_s": [1.0]}}  # type: ignore
    peers = {"pfl": {"pfl": "0.6.0", "torch": "2.13.0"}, "flower": {}}
    return {
        "start_up": {"machine": MACHINE, "start_up": start},
        "people": {"machine": MACHINE, "peers": peers, "works": [people]},
        "ten_thousand": {"machine": MACHINE, "peers": peers, "works": large},
    }


def test_committed_readme_is_what_the_committed_figures_give() -> None:
    from report import README, between, figures, results

    text = README.read_text()
    assert text == between(text, figures(results())), "python benchmarks/report.py"


def test_committed_figures_are_whole_and_of_the_same_work() -> None:
    from report import results

    for said in results().values():
        for measured in said.get("works", ()):
            assert measured["same_work"] is (None if measured["noise"] is not None else True)
            assert measured["engines"], measured["name"]


def test_targets_are_judged_by_medians_of_the_same_rounds(found: dict[str, Any]) -> None:
    from targets import Target

    at = {"says": "", "table": "people", "work": "20 x 1000, batch 32", "engine": "local"}
    loop = Target(**at, over="loop", at_most=1.05)  # of 1.04, 1.2 and 1.03
    assert loop.measured(found) == pytest.approx(1.04)
    assert loop.verdict(found) == "met"
    assert Target(**at, over="loop", at_most=1.03).verdict(found) == "**missed**"
    flower = Target(**at, faster_than="flower-1", at_least=1.5)  # in its only round: 1.5 / 1.04
    assert flower.measured(found) == pytest.approx(1.5 / 1.04)
    assert flower.verdict(found) == "**missed**"
    assert Target(**at, over="pfl-1", at_most=1).verdict(found) == "not measured"
    memory = Target("", "ten_thousand", "10,000 x 20, batch 8", "local", at_most=1.2,
                    memory_over="1000 x 20, batch 8")  # fmt: skip
    assert memory.measured(found) == pytest.approx(1.25)
    assert memory.verdict(found) == "**missed**"
    start = Target("", start_up="local", at_most=4.0)
    assert start.verdict(found) == "met"
    assert Target("", start_up="ray", at_most=10.0).verdict(found) == "not measured"


def test_no_figure_counts_where_the_work_differed(found: dict[str, Any]) -> None:
    from report import figures
    from targets import targets

    bad = copy.deepcopy(found)
    bad["people"]["works"][0] |= {"same_work": False, "largest_difference": 0.25}
    judged = [t for t in targets() if t.table == "people"]
    assert judged and {t.verdict(bad) for t in judged} == {"not measured"}
    assert "**Distances differ by 2.5e-01: not the same work, no figure counts.**" in figures(bad)


def test_targets_that_say_two_things_or_nothing_are_refused() -> None:
    from targets import Target

    with pytest.raises(ValueError, match="not one figure"):
        Target("", over="loop", faster_than="pfl-1", at_most=1)
    with pytest.raises(ValueError, match="not one figure"):
        Target("", over="loop")
    with pytest.raises(ValueError, match="not one figure"):
        Target("", over="loop", at_most=1, at_least=1)


def test_every_target_names_a_work_and_engines_that_are_measured(scripts: Path) -> None:
    from reference_work import measurements_of
    from targets import targets

    asked = targets()
    assert len(asked) > 10
    for target in asked:
        if target.start_up:
            continue
        works = {w.name: w for w in measurements_of(scripts / "tables" / f"{target.table}.toml")}
        assert target.engine in works[target.work].engines
        for other in filter(None, (target.over, target.faster_than)):
            assert other in works[target.work].engines
        if target.memory_over:
            assert target.engine in works[target.memory_over].engines


def test_report_tells_what_was_measured_and_what_was_not(found: dict[str, Any]) -> None:
    from report import figures

    found["people"]["works"][0] |= {
        "failed": {"ray-1": "exit status 1"},
        "missing": {"pfl-1": "pfl is not installed"},
        "left_out": {"flower-2": "minutes a round"},
        "load_before": 3.2,
    }
    text = figures(found)
    assert "There was no GPU: **the GPU was not measured**" in text
    assert text.count("Some CPU") == 1 and "2 cores" in text
    assert "Peer `pfl`: pfl 0.6.0, torch 2.13.0." in text and "`flower`:" not in text
    assert "| `local` | 1.04 | 1.25 | 1.00 | - | - | 2.0 | 3.5 | 300 | 1 |" in text
    assert "medians of 3 rounds (`flower-1`: 1)" in text
    assert "- `ray-1` failed: exit status 1" in text
    assert "- `pfl-1` is missing: pfl is not installed" in text
    assert "- `flower-2` was left out: minutes a round" in text
    assert "load before 3.2: **a busy machine" in text
    assert "| 1.250 | **missed** |" in text
    assert "| `--engine local` | 4.00 | 3.90, 4.00, 4.10 |" in text


def test_report_names_every_machine_and_its_gpu(found: dict[str, Any]) -> None:
    from report import figures

    found["people"]["machine"] = {**MACHINE, "cores": 16, "gpu": "Some GPU"}
    text = figures(found)
    assert "- `people`: 16 cores" in text and "- `start_up`, `ten_thousand`: 2 cores" in text
    assert "not on its GPU (Some GPU): **the GPU was not measured**" in text


def test_nothing_measured_yet_is_told() -> None:
    from report import figures

    text = figures({})
    assert text.startswith("Nothing was measured yet.") and "not measured |" in text


def test_only_what_is_between_the_markers_is_written() -> None:
    from report import BEGIN, END, between

    old = f"before\n{BEGIN}\nold figures\n{END}\nafter\n"
    new = between(old, "new figures")
    assert new == f"before\n{BEGIN}\n\nnew figures\n\n{END}\nafter\n" == between(new, "new figures")
    with pytest.raises(ValueError, match="before"):
        between("no markers", "figures")


def test_plot_shows_every_engine_against_the_axis(tmp_path: Path) -> None:
    from sweep import plot

    works = [
        work(str(n), row("loop-2", 9, n / 10), row("local-2-stack", 9, n / 30), clients=n)
        for n in (10, 100)
    ]
    swept = {"sweep": {"axis": "clients", "label": "clients in a round"}, "works": works}
    plot(swept, tmp_path / "a.svg")
    plot(json.loads(json.dumps(swept)), tmp_path / "b.svg")
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn == (tmp_path / "b.svg").read_text()  # a figure that did not change makes no diff
    ElementTree.fromstring(drawn)
    for words in ("loop-2", "local-2-stack", "clients in a round", "seconds per round"):
        assert f"<!-- {words}" in drawn


def test_sweeps_are_read_whole(scripts: Path) -> None:
    from run_all import PARTS, SWEEPS, TABLES
    from sweep import COLOURS, MARKERS, measurements_of

    assert {p.stem for p in (scripts / "sweeps").glob("*.toml")} == set(SWEEPS)
    assert {p.stem for p in (scripts / "tables").glob("*.toml")} == set(TABLES)
    assert len(PARTS) == len(set(PARTS)) == 1 + len(SWEEPS) + len(TABLES)
    assert set(COLOURS) == set(MARKERS)
    for name in SWEEPS:
        about, measurements = measurements_of(scripts / "sweeps" / f"{name}.toml")
        assert [getattr(m.work, about["axis"]) for m in measurements] == about["values"]
        assert about["axis"] == name


def test_share_of_time_that_the_host_took_is_said(found: dict[str, Any]) -> None:
    from report import figures

    found["people"]["works"][0]["stolen"] = 0.125
    assert "the host gave 12.5% of the CPUs' time to others" in figures(found)


def test_stolen_share_is_that_of_the_time_between(monkeypatch: pytest.MonkeyPatch) -> None:
    from typing import NamedTuple

    import machine

    class Times(NamedTuple):
        user: float
        nice: float
        system: float
        idle: float
        iowait: float
        irq: float
        softirq: float
        steal: float
        guest: float  # counted in user, too

    told = iter([Times(100, 0, 0, 100, 0, 0, 0, 50, 7), Times(110, 0, 0, 128, 0, 0, 0, 52, 17)])
    monkeypatch.setattr(machine.psutil, "cpu_times", lambda: next(told))
    assert machine.Stolen().share == pytest.approx(2 / 40)
