"""The ledger: charged before noise by any party, in batches, all or none."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ledger_cases import KEY, TERMS, charge, code_of, file_of, of, opened

from fedaffect.errors import PrivacyError
from fedaffect.privacy.ledger import Ledger, Terms
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.privacy.run_budget import RunBudget


def test_entries(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1, b"secret sum")
        ledger.released("run-a", [of(1, b"secret sum")])
        lines = file_of(tmp_path).read_text().splitlines()
    terms, intent, released = (json.loads(line) for line in lines)
    assert [e["counter"] for e in (terms, intent, released)] == [0, 1, 2]
    assert [e["state"] for e in (terms, intent, released)] == ["terms", "intent", "released"]
    assert terms["terms"] == {
        "mechanism": "gaussian",
        "noise": "gaussian",
        "z": 1.5,
        "rate": 1.0,
        "adjacency": "zero_out",
        "unit": "client",
        "where": "server",
        "blocks": ["shared", "task:stress"],
        "clear": False,
        "eps": 5.0,
        "delta": 1e-5,
        "steps": 1,
    }
    assert (intent["party"], intent["release"], intent["clients"]) == ("server", 1, [0, 1])
    # The inputs appear only under the secret key.
    assert intent["inputs"] == KEY.seal(b"secret sum") == released["inputs"]
    assert b"secret sum".hex() not in "".join(lines)
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700


def test_a_batch_is_on_disk_after_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[list[str]] = []
    really = os.fsync

    def spy(handle: int) -> None:
        really(handle)
        synced.append([json.loads(e)["state"] for e in file_of(tmp_path).read_text().splitlines()])

    batch = [of(1, party=f"client {i}") for i in range(3)]
    with opened(tmp_path) as ledger:
        monkeypatch.setattr(os, "fsync", spy)
        ledger.charge("run-a", batch, 1)
        ledger.released("run-a", batch)
        ledger.charge("run-a", batch, 1)  # free: nothing to write
        ledger.released("run-a", batch)
    charged = ["terms", "intent", "intent", "intent"]
    assert synced == [charged, [*charged, "released", "released", "released"]]


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
        for release in (1, 2, 3):
            charge(ledger, release)
        size = file_of(tmp_path).stat().st_size
        for release, inputs in ((4, b"sum"), (3, b"other inputs"), (1, b"third")):
            with pytest.raises(PrivacyError, match="3 of 3 affordable") as caught:
                charge(ledger, release, inputs)
            assert code_of(caught) == ("E401", 4)
        assert file_of(tmp_path).stat().st_size == size
        charge(ledger, 1, run="run-b")  # another run has a budget of its own, and shows
        assert ledger.runs() == {"run-a": 3, "run-b": 1}
        assert len(ledger.excerpt("run-a")) == 4 and len(ledger.excerpt("run-b")) == 2
        lines = file_of(tmp_path).read_text().splitlines()
        assert ledger.excerpt("run-a") + ledger.excerpt("run-b") == lines


def test_every_party_has_its_own_count_and_a_batch_is_all_or_none(tmp_path: Path) -> None:
    parties = [f"client {i}" for i in range(4)]
    with opened(tmp_path) as ledger:
        ledger.charge("run-a", [of(1, party=p) for p in parties], 2)
        ledger.charge("run-a", [of(2, party=parties[2])], 2)
        before = file_of(tmp_path).read_bytes()
        with pytest.raises(PrivacyError, match="client 2, would exceed") as caught:
            ledger.charge("run-a", [of(3, party=p) for p in parties], 2)
        assert code_of(caught) == ("E401", 4)
        with pytest.raises(PrivacyError, match="client 0, would exceed"):  # within one batch
            ledger.charge("run-a", [of(n, party=parties[0]) for n in (2, 3)], 2)
        assert file_of(tmp_path).read_bytes() == before
        assert [ledger.spent("run-a", p) for p in (*parties, "server")] == [1, 1, 2, 1, 0]
        assert ledger.spent("run-a") == 2  # the largest
        ledger.charge("run-a", [of(2, party=parties[0])] * 3, 2)  # once, however often it is named
        assert ledger.spent("run-a", parties[0]) == 2


def test_who_took_part(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert ledger.participations("central") == {}
        ledger.charge("central", [of(1, clients=(0, 1, 2))], 9)
        ledger.charge("central", [of(2, clients=(2, np.int64(7)))], 9)  # type: ignore[arg-type]
        ledger.charge("central", [of(2, b"again", clients=(7,))], 9)
        assert ledger.participations("central") == {0: 1, 1: 1, 2: 2, 7: 2}
        ledger.charge("local", [of(1, party="client 3"), of(1, party="client 12")], 9)
        ledger.charge("local", [of(2, party="client 3", clients=None)], 9)
        assert ledger.participations("local") == {3: 2, 12: 1}
        ledger.charge("secret", [of(1, clients=(0,))], 9)
        ledger.charge("secret", [of(2, clients=None)], 9)
        assert ledger.participations("secret") is None
    with opened(tmp_path) as ledger:  # and from the file
        assert ledger.participations("central") == {0: 1, 1: 1, 2: 2, 7: 2}
        assert ledger.participations("local") == {3: 2, 12: 1}
        assert ledger.participations("secret") is None


def test_the_terms_of_a_run_never_change(tmp_path: Path) -> None:
    changes = [{"z": 1.6}, {"rate": 0.5}, {"eps": None}, {"delta": 1e-6}, {"clear": True}]
    with opened(tmp_path) as ledger:
        charge(ledger, 1)
        for change in changes:
            with pytest.raises(PrivacyError, match="other terms") as caught:
                ledger.charge("run-a", [of(2, terms=replace(TERMS, **change))], 3)  # type: ignore[arg-type]
            assert code_of(caught) == ("E401", 4)
        with pytest.raises(PrivacyError, match="other terms"):  # nor within a batch
            ledger.charge("run-b", [of(1), of(2, terms=replace(TERMS, z=2.0))], 3)
        assert ledger.runs() == {"run-a": 1}
        ledger.charge("run-b", [of(1, terms=replace(TERMS, steps=7, blocks=()))], 3)
    with opened(tmp_path) as ledger:
        assert ledger.terms("run-a") == TERMS
        assert ledger.terms("run-b") == replace(TERMS, steps=7, blocks=())
        with pytest.raises(PrivacyError, match="never charged") as caught:
            ledger.terms("run-c")
        assert code_of(caught) == ("E401", 4)


@pytest.mark.parametrize(
    "change",
    [
        {"z": -1.0},
        {"z": float("nan")},
        {"z": float("inf")},
        {"rate": 0.0},
        {"rate": 1.1},
        {"delta": 0.0},
        {"delta": 1.0},
        {"eps": 0.0},
        {"eps": float("inf")},
        {"steps": 0},
        {"noise": "uniform"},
        {"unit": "person"},
        {"where": "cloud"},
        {"adjacency": "add_one"},
    ],
)
def test_terms_that_no_release_has(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no release has these terms"):
        Terms(**{**TERMS.to_dict(), **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("party", ["", "Server", "client", "client x", "client -1", "client 1\n"])
def test_a_party_is_the_server_or_a_numbered_client(party: str) -> None:
    with pytest.raises(ValueError, match="neither the server nor a client"):
        of(1, party=party)


def test_what_was_not_charged_is_not_released(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        charge(ledger, 1)
        for run, wrong in (
            ("run-a", of(2)),
            ("run-a", of(1, b"other")),
            ("run-a", of(1, party="client 1")),
            ("run-b", of(1)),
        ):
            with pytest.raises(PrivacyError, match="never charged") as caught:
                ledger.released(run, [of(1), wrong])
            assert code_of(caught) == ("E401", 4)
        assert len(ledger.excerpt("run-a")) == 2
        ledger.released("run-a", [of(1), of(1)])
        ledger.released("run-a", [of(1)])
        assert len(ledger.excerpt("run-a")) == 3


def test_the_budget_of_the_server(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        budget = RunBudget(ledger, "run-a", TERMS, 1)
        budget.charge(1, b"digest", (4, 5))
        budget.released(1, b"digest")
        assert ledger.participations("run-a") == {4: 1, 5: 1}
        with pytest.raises(PrivacyError) as caught:
            budget.charge(2, b"digest", None)
        assert code_of(caught) == ("E401", 4)
        with pytest.raises(PrivacyError):
            budget.released(2, b"digest")


def test_two_open_ledgers_know_what_the_other_wrote(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        charge(one, 1)
        assert (other.spent("run-a"), other.head) == (1, one.head)
        charge(other, 2)
        assert one.participations("run-a") == {0: 2, 1: 2}
        assert one.excerpt("run-a") == other.excerpt("run-a")


def test_test_noise_has_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(PrivacyError) as caught:
        Ledger.open(tmp_path, "wesad", TestNoiseKey("x"))
    assert code_of(caught) == ("E404", 4)
    assert not (tmp_path / "ledger").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\nb", "x" * 300])
def test_a_fingerprint_is_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        Ledger.open(tmp_path, name, KEY)


def test_an_amplified_release_is_never_made_of_other_inputs(tmp_path: Path) -> None:
    sampled = replace(TERMS, rate=0.25)
    with opened(tmp_path) as ledger:
        first = of(1, b"sum", clients=None, terms=sampled)
        ledger.charge("run-a", [first], 3)
        ledger.charge("run-a", [first], 3)  # the same release again is free
        with pytest.raises(PrivacyError, match="charged for other inputs") as caught:
            ledger.charge("run-a", [of(1, b"other", clients=None, terms=sampled)], 3)
        assert caught.value.code == "E401" and ledger.spent("run-a") == 1
        ledger.charge("run-a", [of(2, b"other", clients=None, terms=sampled)], 3)
        assert ledger.spent("run-a") == 2


def test_what_was_paid_is_one_release_of_one_input_by_one_party(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert not ledger.paid("run-a", of(1, b"sum"))
        charge(ledger, 1, b"sum")
        assert ledger.paid("run-a", of(1, b"sum"))
        assert not ledger.paid("run-b", of(1, b"sum"))
        assert not ledger.paid("run-a", of(2, b"sum"))
        assert not ledger.paid("run-a", of(1, b"another sum"))
        assert not ledger.paid("run-a", of(1, b"sum", party="client 0"))
        assert not ledger.paid("run-a", of(1, b"sum", terms=replace(TERMS, z=1.0)))
        assert ledger.spent("run-a") == 1
