"""The ledger: charged before noise, kept through crashes, and an edit shows."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from fedaffect.errors import PrivacyError
from fedaffect.params import Layout
from fedaffect.privacy.base import PrivacySpec, ReleasePlan
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.mechanisms.gaussian import Gaussian
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey

LAYOUT = Layout(("a", "b"), ((2,), (3,)), {"shared": ("a",), "task:stress": ("b",)})
PLAN = ReleasePlan(3, 4, 1.0, "full", 4, 1, 1)
KEY = SecretNoiseKey(bytes(32))
MECHANISM = Gaussian(PrivacySpec("gaussian", 5.0, None, "all", 1.0)).calibrate(PLAN, LAYOUT)


def opened(home: Path, head: str | None = None) -> Ledger:
    return Ledger.open(home, "wesad-0123abcd", KEY, expected_head=head)


def charge(ledger: Ledger, release: int, inputs: bytes = b"sum", run: str = "run-a") -> None:
    ledger.charge(run, release, MECHANISM, PLAN, inputs)


def file_of(home: Path) -> Path:
    return home / "ledger" / "wesad-0123abcd.jsonl"


def code_of(caught: pytest.ExceptionInfo[PrivacyError]) -> tuple[str, int]:
    return caught.value.code, caught.value.exit_code


def test_entries(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1, b"secret sum")
        ledger.released("run-a", 1, b"secret sum")
        lines = file_of(tmp_path).read_text().splitlines()
    intent, released = (json.loads(line) for line in lines)
    assert intent["counter"] == 0 and released["counter"] == 1
    assert (intent["state"], released["state"]) == ("intent", "released")
    assert intent["unit"] == "client" and intent["blocks"] == ["shared", "task:stress"]
    assert (intent["z"], intent["q"], intent["eps"], intent["delta"]) == (
        MECHANISM.scale,
        1.0,
        5.0,
        1e-5,
    )
    # The inputs appear only under the secret key.
    assert intent["inputs"] == KEY.seal(b"secret sum") == released["inputs"]
    assert b"secret sum".hex() not in lines[0]
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700


def test_the_charge_is_on_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really = os.fsync

    def spy(handle: int) -> None:
        really(handle)
        synced.append(file_of(tmp_path).read_text())

    with opened(tmp_path) as ledger:
        monkeypatch.setattr(os, "fsync", spy)
        charge(ledger, 1)
    assert json.loads(synced[-1])["state"] == "intent"


def test_spent_survives_a_crash_and_a_replay_is_free(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1)
        charge(ledger, 2, b"second")  # and the process dies before `released`
        head = ledger.head
    with opened(tmp_path, head) as ledger:
        assert ledger.spent("run-a") == 2
        charge(ledger, 2, b"second")
        assert ledger.spent("run-a") == 2 and ledger.head == head
        charge(ledger, 2, b"other inputs")  # other noise: paid again
        assert ledger.spent("run-a") == 3


def test_the_budget_ends(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for release in (1, 2):
            charge(ledger, release)
        with pytest.raises(PrivacyError) as caught:
            charge(ledger, 4)
        assert code_of(caught) == ("E401", 4)
        charge(ledger, 3)
        size = file_of(tmp_path).stat().st_size
        for release, inputs in ((4, b"sum"), (3, b"other inputs"), (1, b"third")):
            with pytest.raises(PrivacyError) as caught:
                charge(ledger, release, inputs)
            assert code_of(caught) == ("E401", 4)
        assert file_of(tmp_path).stat().st_size == size
        charge(ledger, 1, run="run-b")  # another run has a budget of its own, and shows
        assert ledger.runs() == {"run-a": 3, "run-b": 1}
        assert len(ledger.excerpt("run-a")) == 3 and len(ledger.excerpt("run-b")) == 1


def test_what_was_not_charged_is_not_released(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1)
        for run, release, inputs in (
            ("run-a", 2, b"sum"),
            ("run-a", 1, b"other"),
            ("run-b", 1, b"sum"),
        ):
            with pytest.raises(PrivacyError) as caught:
                ledger.released(run, release, inputs)
            assert code_of(caught) == ("E401", 4)
        ledger.released("run-a", 1, b"sum")
        ledger.released("run-a", 1, b"sum")
        assert len(ledger.excerpt("run-a")) == 2


def broken_at_open(home: Path, head: str | None = None) -> bool:
    with pytest.raises(PrivacyError) as caught:
        opened(home, head)
    return code_of(caught) == ("E402", 4)


def filled(home: Path) -> tuple[list[str], str]:
    with opened(home) as ledger:
        for release in (1, 2, 3):
            charge(ledger, release)
        return file_of(home).read_text().splitlines(), ledger.head


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_edit_shows(tmp_path: Path, at: int) -> None:
    lines, head = filled(tmp_path)
    edited = list(lines)
    edited[at] = edited[at].replace('"release": ', '"release":  ')
    assert edited != lines
    file_of(tmp_path).write_text("\n".join(edited) + "\n")
    assert broken_at_open(tmp_path, head)  # without the head an edit of the last line is unseen


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, "{}"],
        lambda lines: [*lines, "[]"],
        lambda lines: [*lines, "not json"],
        lambda lines: [*lines, ""],
    ],
)
def test_lines_dropped_moved_or_added_show(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    lines, _ = filled(tmp_path)
    file_of(tmp_path).write_text("\n".join(change(lines)) + "\n")
    assert broken_at_open(tmp_path)


def test_a_cut_tail_shows_against_the_kept_head(tmp_path: Path) -> None:
    lines, head = filled(tmp_path)
    file_of(tmp_path).write_text("\n".join(lines[:2]) + "\n")
    assert broken_at_open(tmp_path, head)
    file_of(tmp_path).unlink()
    assert broken_at_open(tmp_path, head)


def test_a_ledger_of_other_data_shows(tmp_path: Path) -> None:
    filled(tmp_path)
    file_of(tmp_path).rename(tmp_path / "ledger" / "other.jsonl")
    with pytest.raises(PrivacyError) as caught:
        Ledger.open(tmp_path, "other", KEY)
    assert code_of(caught) == ("E402", 4)


def test_a_file_changed_under_an_open_ledger_shows(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1)
        os.truncate(file_of(tmp_path), 0)
        with pytest.raises(PrivacyError) as caught:
            charge(ledger, 2)
        assert code_of(caught) == ("E402", 4)
    with opened(tmp_path) as ledger:
        file_of(tmp_path).unlink()
        with pytest.raises(PrivacyError) as caught:
            charge(ledger, 1)
        assert code_of(caught) == ("E402", 4)


def test_a_write_cut_by_power_loss_is_dropped(tmp_path: Path) -> None:
    lines, head = filled(tmp_path)
    with file_of(tmp_path).open("a") as file:
        file.write('{"counter": 3, "state": "int')
    with opened(tmp_path, head) as ledger:
        assert ledger.spent("run-a") == 3
        charge(ledger, 1, run="run-b")
    with opened(tmp_path) as ledger:
        assert ledger.runs() == {"run-a": 3, "run-b": 1}
    assert file_of(tmp_path).read_text().splitlines()[:3] == lines


def test_a_ledger_that_others_may_read_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    file_of(tmp_path).chmod(0o644)
    assert broken_at_open(tmp_path)


def test_test_noise_has_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(PrivacyError) as caught:
        Ledger.open(tmp_path, "wesad", TestNoiseKey("x"))
    assert code_of(caught) == ("E404", 4)
    assert not (tmp_path / "ledger").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\nb", "x" * 300])
def test_a_fingerprint_is_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        Ledger.open(tmp_path, name, KEY)


def write_many(home: str, run: str, releases: int) -> None:
    plan = ReleasePlan(releases, 4, 1.0, "full", 4, 1, 1)
    with Ledger.open(Path(home), "shared-data", KEY) as ledger:
        for release in range(1, releases + 1):
            ledger.charge(run, release, MECHANISM, plan, b"sum %d" % release)
            ledger.released(run, release, b"sum %d" % release)


def test_two_processes_write_one_sound_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=write_many, args=(str(tmp_path), name, 25)) for name in ("a", "b")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    with Ledger.open(tmp_path, "shared-data", KEY) as ledger:
        assert ledger.runs() == {"a": 25, "b": 25} or ledger.runs() == {"b": 25, "a": 25}
        lines = (tmp_path / "ledger" / "shared-data.jsonl").read_text().splitlines()
        assert [json.loads(line)["counter"] for line in lines] == list(range(100))
