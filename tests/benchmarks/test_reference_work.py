import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DRIVER = Path(__file__).parents[2] / "benchmarks" / "reference_work.py"
SMALL = ("--clients", "3", "--samples", "40", "--batch-size", "16", "--rounds", "3")


def measure(tmp_path: Path, *flags: str, small: tuple[str, ...] = SMALL) -> tuple[dict, str]:
    out = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(DRIVER), *small, *flags, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text()), done.stdout


def rows_of(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (work,) = figures["works"]
    assert not work["failed"] and not work["missing"]
    return {row["engine"]: row for row in work["engines"]}


@pytest.mark.parametrize("bound", [None, "0.05"])
def test_local_engine_does_the_work_of_the_plain_loop(tmp_path: Path, bound: str | None) -> None:
    # A bound of 0.05 shortens every gradient of this network: torch's own clipping in the loop
    # is the oracle of ours.
    flags = ["--engines", "loop", "local", *(["--max-grad-norm", bound] if bound else [])]
    figures, text = measure(tmp_path, *flags)
    rows = rows_of(figures)
    loop, local = rows["loop"], rows["local"]
    assert loop["distances"] == pytest.approx(local["distances"], rel=1e-5)
    assert sorted(loop["distances"]) == loop["distances"] and len(loop["distances"]) == 3
    # a round has 3 steps of lr 0.01, each no longer than the bound
    limit = np.array([1, 2, 3]) * 3 * 0.01 * 0.05
    assert all((loop["distances"] <= limit) == bool(bound))
    for row in (loop, local):
        assert [len(r) for r in row["rounds_wall_s"]] == [3]
        assert 0 < row["wall_min_s"] <= row["wall_s"]
        assert row["memory_mb"] > 50 and row["first_s"] > row["startup_s"] > 0
    assert loop["wall_ratio"] == loop["cpu_ratio"] == loop["wall_ratio_same"] == 1
    wall = zip(local["rounds_wall_s"][0][1:], loop["rounds_wall_s"][0][1:], strict=True)
    ratios = sorted(m / f for m, f in wall)
    assert ratios[0] * 0.9 <= local["wall_ratio"] <= ratios[1] * 1.1  # rounds are kept to 0.1 ms
    assert figures["works"][0]["same_work"] is True
    assert "distances differ by" in text and "local" in text
    assert {"cpu", "cores", "gpu", "python", "torch", "flwr", "ray"} <= set(figures["machine"])
    told = json.dumps(figures) + text  # versions, but neither the host nor its folders
    assert platform.node() not in figures["machine"].values()
    assert str(Path.home()) not in told and str(tmp_path) not in told


@pytest.mark.slow
def test_clients_of_unequal_sizes_are_weighted_alike(tmp_path: Path) -> None:
    ragged = ("--clients", "7", "--samples", "30", "--spread", "0.8", "--batch-size", "8")
    figures, _ = measure(
        tmp_path,
        *("--engines", "loop", "loop-2", "local", "local-2-stack"),
        small=(*ragged, "--rounds", "2"),
    )
    rows = rows_of(figures)
    for name in ("loop-2", "local", "local-2-stack"):
        assert rows[name]["distances"] == pytest.approx(rows["loop"]["distances"], rel=1e-5)
    assert rows["loop-2"]["wall_ratio_same"] == 1 and rows["local-2-stack"]["workers"] == 2
    assert rows["loop-2"]["processes"] >= 3 and rows["loop"]["processes"] == 1
    assert figures["works"][0]["windows"] != 7 * 30


def test_sizes_are_log_normal_about_their_mean() -> None:
    from engines.work import Work

    ragged = Work(clients=4000, samples=50, spread=0.8)
    assert np.mean(ragged.sizes) == pytest.approx(50, rel=0.06)
    assert np.std(np.log(ragged.sizes)) == pytest.approx(0.8, rel=0.05)
    assert ragged.sizes == Work(clients=4000, samples=50, spread=0.8).sizes
    assert ragged.sizes != Work(clients=4000, samples=50, spread=0.8, seed=1).sizes
    assert min(Work(clients=4000, samples=1, spread=2.0).sizes) == 1
    assert set(Work(clients=5, samples=50).sizes) == {50}
    assert Work.read(ragged.text) == ragged


def test_every_engine_begins_at_the_network_of_the_package() -> None:
    from engines.package import factory
    from engines.work import PARAMETERS, Work, network

    from fedaffect.params import read_flat

    for work in (Work(seed=3), Work(seed=3, parameters=300_000)):
        initial = read_flat(network(work)).double().numpy()
        assert np.array_equal(initial, factory(work).initial(3))
        assert len(initial) == pytest.approx(work.parameters, abs=301)
    assert len(read_flat(network(Work()))) == PARAMETERS


@pytest.mark.slow
def test_window_privacy_is_measured_without_comparing_models(tmp_path: Path) -> None:
    figures, text = measure(tmp_path, "--noise", "1", "--engines", "opacus", "local")
    rows, (work,) = rows_of(figures), figures["works"]
    assert work["same_work"] is None and work["floor"] == "opacus" and "noise" in text
    # Noise of 97,000 coordinates: sd 1 / batch 16, 3 clients x 2 or 3 steps, lr 0.01.
    for row in rows.values():
        steps = 3 * round(40 / 16)
        expected = 0.01 * (1 / 16) * (96_997 * steps / 3) ** 0.5
        assert row["distances"][-1] == pytest.approx(expected, rel=0.1)


def test_engines_that_end_apart_are_told() -> None:
    from figures import SAME_WORK, largest_difference

    def ends(*distances: float) -> list[dict[str, Any]]:
        return [{"distances": [0.1, d]} for d in distances]

    assert largest_difference(ends(0.5, 0.5000001)) <= SAME_WORK
    assert largest_difference(ends(0.5, 0.5, 0.501)) == pytest.approx(0.001 / 0.501)
    assert not largest_difference(ends(0.5, float("nan"))) <= SAME_WORK  # an engine that diverged
    # who does fewer rounds is compared after those
    assert largest_difference([*ends(0.5, 0.5), {"distances": [0.11]}]) == pytest.approx(1 / 11)
    # rounding has had time to grow
    late = [{"distances": [0.1, 0.2, 0.3, end]} for end in (0.4, 0.41)]
    assert largest_difference(late) == 0


def test_another_order_of_the_batches_is_another_work() -> None:
    import torch
    from engines.plain_loop import share_of
    from engines.work import Work, network
    from figures import SAME_WORK

    from fedaffect.params import read_flat

    threads = torch.get_num_threads()
    work = Work(clients=3, samples=40, batch_size=16)
    start, train = read_flat(network(work)), share_of(work, range(3), own=False)
    first, again, other = (float(train(start, number).norm()) for number in (1, 1, 2))
    assert first == again
    assert abs(other / first - 1) > 10 * SAME_WORK
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_engine_that_fails_loses_its_own_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import turns
    from engines.work import Work
    from figures import rows_of as rows
    from reference_engines import EngineName

    command = EngineName.command

    def broken(self: EngineName, work: Work) -> list[str]:
        if self.kind == "local":  # dies in its second round
            work = Work(**{**json.loads(work.text), "rounds": 1})
        return command(self, work)

    monkeypatch.setattr(EngineName, "command", broken)
    work = Work(clients=2, samples=16, batch_size=8, rounds=3)
    done = turns.take_turns(work, ["local", "loop", "loop-2"], {"loop-2": 2})
    assert set(done.failed) == {"local"} and "ended" in done.failed["local"]
    loop, two = rows([done], "loop")
    assert len(loop["distances"]) == 3 and len(two["distances"]) == 2
    assert two["wall_ratio"] is not None


def test_engine_ends_when_nobody_gives_the_word(tmp_path: Path) -> None:
    from engines.work import Work
    from reference_engines import EngineName

    loop = EngineName.read("loop")
    done = subprocess.run(
        loop.command(Work(clients=1, samples=8, batch_size=8)),
        env=loop.environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1 and "driver is gone" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"ready": True}]


def test_tables_are_read_whole() -> None:
    from reference_work import measurements_of

    tables = sorted((DRIVER.parent / "tables").glob("*.toml"))
    works = [what for table in tables for what in measurements_of(table)]
    done = {(w.work.clients, w.work.samples, w.work.batch_size) for w in works}
    assert {(20, 1000, 32), (100, 100, 8), (1000, 50, 8), (10_000, 20, 8)} <= done
    assert any(w.work.spread for w in works) and any(w.work.noise for w in works)
    for what in works:
        assert what.floor in what.engines
        assert not set(what.left_out) & set(what.engines)


def test_unknown_engines_and_too_few_rounds_are_refused() -> None:
    from reference_engines import ENGINES, PRIVATE_ENGINES, EngineName
    from reference_work import Measurement

    names = [EngineName.read(name) for name in (*ENGINES, *PRIVATE_ENGINES)]
    assert EngineName("local", 2, True, False) in names
    assert EngineName("flower", 1, False, False) in names
    assert EngineName("loop", 1, False, True) in names
    for name in ("lokal", "loop-stack", "pfl-0", "ray-2-heap", "local-2-2"):
        with pytest.raises(ValueError, match="no engine"):
            Measurement.of({"name": "x", "engines": [name]})
    with pytest.raises(ValueError, match="two rounds"):
        Measurement.of({"name": "x", "rounds": 1})
    with pytest.raises(ValueError, match="two rounds"):
        Measurement.of({"name": "x", "fewer": {"loop": 1}})
    with pytest.raises(TypeError, match="window"):
        Measurement.of({"name": "x", "windows": 3})


@pytest.mark.slow
def test_ray_engines_do_the_work_of_the_plain_loop(tmp_path: Path) -> None:
    names = ("loop", "local", "local-2", "local-stack", "ray-1", "ray-2", "ray-2-stack")
    figures, _ = measure(tmp_path, "--engines", *names)
    rows = rows_of(figures)
    last = {name: row["distances"][-1] for name, row in rows.items()}
    assert last["ray-1"] == last["local"] == last["local-2"] == last["ray-2"]
    assert last["local-stack"] == last["ray-2-stack"]
    assert last["loop"] == pytest.approx(last["local"], rel=1e-5)
    assert last["local-stack"] == pytest.approx(last["local"], rel=1e-5)
    assert rows["ray-2"]["processes"] > rows["local"]["processes"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["flower", "pfl"])
@pytest.mark.parametrize("spread", ["0", "0.5"])
def test_peer_does_the_work_of_the_plain_loop(tmp_path: Path, peer: str, spread: str) -> None:
    from peers import why_missing

    if why := why_missing(peer):
        pytest.skip(why)
    names = ("loop", f"{peer}-1", f"{peer}-2")
    figures, _ = measure(tmp_path, "--spread", spread, "--engines", *names)
    rows = rows_of(figures)
    for name in names[1:]:
        assert rows[name]["distances"] == pytest.approx(rows["loop"]["distances"], rel=1e-5)
        assert rows[name]["cpu_s"] > 0
    assert rows[f"{peer}-2"]["processes"] > rows["loop"]["processes"]
    assert figures["peers"][peer]["torch"].startswith("2.13.0")


def test_missing_peer_is_told_in_one_line_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peers
    from reference_work import Measurement
    from reference_work import measure as measured

    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    told: list[str] = []
    small = {"clients": 2, "samples": 16, "batch_size": 8, "rounds": 2}
    what = Measurement.of({"name": "x", "engines": ["loop", "pfl-1", "pfl-2"], **small})
    figures = measured(what, told.append)
    assert [row["engine"] for row in figures["engines"]] == ["loop"]
    assert set(figures["missing"]) == {"pfl-1", "pfl-2"}
    (line,) = [text for text in told if "install" in text]
    assert line == "pfl is not installed: python benchmarks/peers.py install"
