"""kill -9 at any point of a private run: it goes on to the same model, and no release is unpaid."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from killed_runs import AT_CLIENTS, CENTRAL, ROUNDS, Site, kill_group

WORDS = {"server": CENTRAL, "client": AT_CLIENTS}
POINTS = {  # in the order of a round
    place: (
        *("ledger.before_charge", "ledger.charged", drawn, "ledger.released"),
        *("checkpoint.before", "checkpoint.written", "round.done"),
    )
    for place, drawn in (("server", "noise.drawn"), ("client", "client.noised"))
}


@pytest.fixture(scope="module", params=["server", "client"])
def place(request: pytest.FixtureRequest) -> str:
    """Who draws the noise."""
    return str(request.param)


@pytest.fixture(scope="module")
def whole(place: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A run that nothing interrupted."""
    site = Site(tmp_path_factory.mktemp("whole"))
    site.home.mkdir(mode=0o700)
    key = site.home / "noise.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    assert site.begin(WORDS[place]) == 0, site.said
    assert (site.spent(), site.released) == (ROUNDS, ROUNDS)
    return site


@pytest.fixture
def site(whole: Site, tmp_path: Path) -> Site:
    """The same noise key, and nothing spent yet."""
    other = Site(tmp_path)
    shutil.copytree(whole.home, other.home, ignore=shutil.ignore_patterns("ledger", "personal"))
    assert other.spent() == 0
    return other


def check_end(site: Site, whole: Site) -> None:
    """Assert that ``site`` has the bits of a run that was never killed."""
    assert np.array_equal(site.params, whole.params)
    assert site.bytes_of("metrics.json") == whole.bytes_of("metrics.json")
    assert site.rounds() == list(range(1, ROUNDS + 1))
    assert site.spent() == ROUNDS  # a release done again with the same inputs is the same release
    left = [p.name for p in site.folder.rglob("*") if p.name.endswith(".tmp")]
    assert left == []


def test_killed_at_every_point_one_after_another(site: Site, whole: Site, place: str) -> None:
    assert site.begin(WORDS[place], f"{POINTS[place][0]}:2") == -signal.SIGKILL
    for point in POINTS[place][1:]:
        before = site.spent()
        assert site.resume(failpoint=f"{point}:1") == -signal.SIGKILL, site.said
        assert before <= site.spent() <= before + 1
        assert site.spent() >= site.released
    assert site.resume() == 0, site.said
    check_end(site, whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(7))
def test_killed_once_at_each_point(site: Site, whole: Site, place: str, number: int) -> None:
    assert site.begin(WORDS[place], f"{POINTS[place][number]}:2") == -signal.SIGKILL
    assert site.released <= site.spent() <= site.released + 1
    assert site.resume() == 0, site.said
    check_end(site, whole)


def kill_at_random(site: Site, whole: Site, words: tuple[str, ...], kills: int, seed: int) -> None:
    """Kill ``kills`` processes of runs at ``site`` at random times; every run must end well."""
    times, killed, runs = random.Random(seed), 0, 0
    longest = 3.0
    while killed < kills:
        runs += 1
        shutil.rmtree(site.folder, ignore_errors=True)
        shutil.rmtree(site.home / "ledger", ignore_errors=True)
        code: int | None = None
        while code != 0:
            begun = (site.folder / "config.toml").exists()
            given = ("--resume", str(site.folder)) if begun else (*words, "--out", str(site.folder))
            process, started = site.start(*given), time.monotonic()
            if killed < kills:
                process.join(times.uniform(0.0, longest))
                if process.exitcode is None:
                    kill_group(process)
                    killed += 1
            process.join(120)
            code = process.exitcode
            assert code in (0, -signal.SIGKILL), site.said
            assert site.spent() >= site.released
            longest = max(longest, time.monotonic() - started) if code == 0 else longest
        check_end(site, whole)


def test_killed_at_random(site: Site, whole: Site, place: str) -> None:
    kill_at_random(site, whole, WORDS[place], kills=3, seed=0)


@pytest.mark.slow
def test_killed_at_random_for_long(site: Site, whole: Site, place: str) -> None:
    kill_at_random(site, whole, WORDS[place], kills=25, seed=1)
