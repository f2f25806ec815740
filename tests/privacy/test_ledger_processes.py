"""Real processes: two that charge at once, and one that is killed at each fail point."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_cases import charge, code_of, file_of, of, opened

import fedaffect
from fedaffect import failpoint
from fedaffect.errors import PrivacyError

CLIENTS = [f"client {i}" for i in range(3)]


def started(work: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def ended(process: multiprocessing.process.BaseProcess) -> int | None:
    process.join(60)
    return process.exitcode


def work(home: Path, point: str = "", run: str = "run-a", releases: int = 2) -> None:
    """Charge and release a batch of three parties, ``releases`` times."""
    os.environ["FEDAFFECT_FAILPOINT"] = point
    with opened(home) as ledger:
        for release in range(1, releases + 1):
            batch = [of(release, b"%d" % release, party) for party in CLIENTS]
            ledger.charge(run, batch, releases)
            ledger.released(run, batch)


@pytest.mark.parametrize(
    ("point", "spent", "lines"),
    [
        ("ledger.before_charge:1", 0, 0),
        ("ledger.charged:1", 1, 4),
        ("ledger.released:1", 1, 7),
        ("ledger.before_charge:2", 1, 7),
        ("ledger.charged:2", 2, 10),
        ("ledger.released:2", 2, 13),
    ],
)
def test_a_killed_run_has_paid_for_what_it_began(
    tmp_path: Path, point: str, spent: int, lines: int
) -> None:
    assert ended(started(work, tmp_path, point)) == -signal.SIGKILL
    with opened(tmp_path) as ledger:
        assert [ledger.spent("run-a", party) for party in CLIENTS] == [spent] * 3
        assert len(ledger.excerpt("run-a")) == lines
        again = [of(release, b"%d" % release, CLIENTS[1]) for release in range(1, spent + 1)]
        ledger.charge("run-a", again, spent)  # free, at a limit that affords nothing more
        with pytest.raises(PrivacyError) as caught:
            ledger.charge("run-a", [of(spent, b"other inputs", CLIENTS[1])], spent)
        assert code_of(caught) == ("E401", 4)
        ledger.charge("run-a", [of(spent, b"other inputs", CLIENTS[1])], spent + 1)
        assert ledger.spent("run-a", CLIENTS[1]) == spent + 1


def test_a_resumed_run_ends_with_the_ledger_of_one_that_was_never_killed(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "resumed").mkdir()
    assert ended(started(work, tmp_path / "whole", "ledger.charged:3")) == 0  # no third call
    for point in ("ledger.charged:1", "ledger.released:1", "ledger.charged:2"):
        assert ended(started(work, tmp_path / "resumed", point)) == -signal.SIGKILL
    assert ended(started(work, tmp_path / "resumed")) == 0
    resumed, whole = (file_of(tmp_path / name) for name in ("resumed", "whole"))
    assert resumed.read_bytes() == whole.read_bytes()


def test_every_fail_point_is_used_and_no_other() -> None:
    used = set()
    for path in Path(fedaffect.__file__).parent.rglob("*.py"):
        used |= set(re.findall(r'^\s*fail_here\("([\w.]+)"\)$', path.read_text(), re.MULTILINE))
    assert used == failpoint.NAMES


def test_two_processes_write_one_sound_chain(tmp_path: Path) -> None:
    writers = [started(work, tmp_path, "", run, 25) for run in ("a", "b")]
    assert [ended(writer) for writer in writers] == [0, 0]
    with opened(tmp_path) as ledger:
        assert dict(sorted(ledger.runs().items())) == {"a": 25, "b": 25}
        assert ledger.participations("a") == {0: 25, 1: 25, 2: 25}
    lines = file_of(tmp_path).read_text().splitlines()
    assert [json.loads(line)["counter"] for line in lines] == list(range(2 * (1 + 6 * 25)))


def spend_all(home: Path, name: str, limit: int) -> None:
    with opened(home) as ledger:
        for release in range(limit):
            try:
                ledger.charge("run-a", [of(release, name.encode(), p) for p in CLIENTS], limit)
            except PrivacyError as error:
                os._exit(int(error.code[1:]) - 400)


def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    workers = [started(spend_all, tmp_path, name, 30) for name in ("one", "two")]
    codes = [ended(worker) for worker in workers]
    assert 1 in codes and set(codes) <= {0, 1}  # E401 for whoever came too late
    with opened(tmp_path) as ledger:
        assert ledger.participations("run-a") == dict.fromkeys(range(3), 30)


def test_threads_of_one_process_share_a_ledger(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:

        def run(client: int) -> None:
            for release in range(1, 11):
                ledger.charge("run-a", [of(release, party=f"client {client}")], 10)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ledger.participations("run-a") == dict.fromkeys(range(4), 10)
    with opened(tmp_path) as ledger:
        assert ledger.spent("run-a") == 10


def test_a_forked_process_cannot_use_the_lock_of_its_parent(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1)

        def use_it() -> None:
            try:
                charge(ledger, 2)
            except PrivacyError as error:
                os._exit(44 if "another process" in error.message else 1)

        assert ended(started(use_it)) == 44
        assert ledger.spent("run-a") == 1
