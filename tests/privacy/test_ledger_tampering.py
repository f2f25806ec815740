"""An edit, a cut or a loss of the ledger shows, whatever it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from ledger_cases import KEY, NAME, TERMS, broken_at_open, charge, code_of, file_of, filled, opened

from fedaffect.errors import PrivacyError
from fedaffect.privacy.chain import Chain, digest
from fedaffect.privacy.ledger import Ledger


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_an_edit_shows(tmp_path: Path, at: int) -> None:
    lines, _ = filled(tmp_path)
    for old, new in (('"run": "run-a"', '"run":  "run-a"'), ("run-a", "run-b"), (": ", ":")):
        edited = list(lines)
        edited[at] = edited[at].replace(old, new, 1)
        assert edited != lines
        file_of(tmp_path).write_text("\n".join(edited) + "\n")
        assert broken_at_open(tmp_path)  # without any head, the last line included


@pytest.mark.parametrize("seed", range(50))
def test_a_flipped_bit_is_refused(tmp_path: Path, seed: int) -> None:
    filled(tmp_path)
    rng = np.random.default_rng(seed)
    whole = bytearray(file_of(tmp_path).read_bytes())
    at = len(whole) - 1 if seed < 8 else int(rng.integers(len(whole)))  # the last newline too
    whole[at] ^= 1 << (seed % 8)
    file_of(tmp_path).write_bytes(whole)
    assert broken_at_open(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [*lines[:2], lines[3]],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, "{}"],
        lambda lines: [*lines, "[]"],
        lambda lines: [*lines, "not json"],
        lambda lines: [*lines, "[" * 100_000],
        lambda lines: [*lines, ""],
        lambda lines: [*lines, "\x85"],
    ],
)
def test_lines_dropped_moved_or_added_show(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    lines, _ = filled(tmp_path)
    file_of(tmp_path).write_text("\n".join(change(lines)) + "\n")
    assert broken_at_open(tmp_path)


INTENT = {"state": "intent", "run": "run-a", "party": "server", "release": 9, "inputs": "00"}


@pytest.mark.parametrize(
    "entry",
    [
        {"state": "terms", "run": "run-a", "terms": TERMS.to_dict()},
        {"state": "terms", "run": "run-b", "terms": {**TERMS.to_dict(), "z": -1}},
        {"state": "terms", "run": "run-b", "terms": {"z": 1.0}},
        {"state": "terms", "run": "run-b"},
        INTENT,
        {**INTENT, "clients": None, "run": "run-b"},
        {**INTENT, "clients": None, "party": "nobody"},
        {**INTENT, "clients": ["x"]},
        {**INTENT, "clients": None, "release": "x"},
        {**INTENT, "state": "released"},
        {**INTENT, "state": "refund"},
        {"state": "intent"},
    ],
)
def test_a_well_chained_line_that_no_run_writes_is_refused(
    tmp_path: Path, entry: dict[str, object]
) -> None:
    lines, _ = filled(tmp_path)
    chain = Chain(NAME)
    for line in lines:
        chain.take(line)
    with file_of(tmp_path).open("a") as file:
        file.write(chain.next_lines([entry])[0] + "\n")
    assert broken_at_open(tmp_path)


def test_the_same_charge_twice_is_refused(tmp_path: Path) -> None:
    lines, _ = filled(tmp_path)
    chain = Chain(NAME)
    for line in lines:
        last = chain.take(line)
    again = {k: v for k, v in last.items() if k not in ("counter", "previous")}
    with file_of(tmp_path).open("a") as file:
        file.write(chain.next_lines([again])[0] + "\n")
    assert broken_at_open(tmp_path)


def test_a_cut_tail_shows_against_the_kept_head(tmp_path: Path) -> None:
    lines, head = filled(tmp_path)
    file_of(tmp_path).write_text("\n".join(lines[:3]) + "\n")
    assert broken_at_open(tmp_path, head)
    file_of(tmp_path).write_text("")
    assert broken_at_open(tmp_path, head)


def test_a_missing_ledger_is_not_begun_anew_by_a_run_that_goes_on(tmp_path: Path) -> None:
    _, head = filled(tmp_path)
    file_of(tmp_path).unlink()
    assert broken_at_open(tmp_path, head)
    assert broken_at_open(tmp_path, must_exist=True)
    assert not file_of(tmp_path).exists()
    filled(tmp_path)
    with opened(tmp_path, must_exist=True) as ledger:
        assert ledger.spent("run-a") == 3


def test_the_head_of_an_earlier_checkpoint_is_in_the_chain(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        heads = [ledger.head]
        for release in (1, 2, 3):
            charge(ledger, release)
            heads.append(ledger.head)
    assert heads[-1] == digest(file_of(tmp_path).read_text().splitlines()[-1])
    for head in heads:
        with opened(tmp_path, head) as ledger:
            assert ledger.spent("run-a") == 3  # more than the old checkpoint knows


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
        for use in (lambda: charge(ledger, 2), lambda: ledger.spent("run-a")):
            with pytest.raises(PrivacyError) as caught:
                use()
            assert code_of(caught) == ("E402", 4)
    with opened(tmp_path) as ledger:
        file_of(tmp_path).unlink()
        with pytest.raises(PrivacyError) as caught:
            charge(ledger, 1)
        assert code_of(caught) == ("E402", 4)


def test_a_ledger_that_others_may_read_or_that_is_a_link_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    file_of(tmp_path).chmod(0o644)
    assert broken_at_open(tmp_path)
    file_of(tmp_path).chmod(0o600)
    file_of(tmp_path).rename(tmp_path / "elsewhere")
    file_of(tmp_path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrivacyError) as caught:
        opened(tmp_path)
    assert code_of(caught) == ("E404", 4)


def test_a_write_that_power_loss_cut_anywhere_is_mended(tmp_path: Path) -> None:
    """Every prefix of a batch opens; what stands whole in it is spent, never less."""
    lines, _ = filled(tmp_path)
    before = file_of(tmp_path).read_bytes()
    with opened(tmp_path) as ledger:
        charge(ledger, 1, run="run-b")
    batch = file_of(tmp_path).read_bytes()[len(before) :]
    terms_end = batch.index(b"\n")
    for cut in [*range(0, len(batch), 37), terms_end, terms_end + 1, len(batch) - 1]:
        file_of(tmp_path).write_bytes(before + batch[:cut])
        with opened(tmp_path) as ledger:
            assert ledger.spent("run-a") == 3
            assert ledger.spent("run-b") == (cut == len(batch) - 1)
            charge(ledger, 1, run="run-b")
        assert file_of(tmp_path).read_bytes() == before + batch
    assert json.loads(batch.splitlines()[1])["counter"] == len(lines) + 1
