"""What a statement promises is counted again from the ledger's lines alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finished_run import FORMAL, RUN, TERMS, Finished, counted, finished

from fedaffect.privacy.chain import Chain, digest
from fedaffect.privacy.ledger import Terms
from fedaffect.verification import verify


def code_of(run: Finished, name: str) -> str | None:
    """Return the code of a failed check, ``None`` where it holds."""
    [check] = [c for c in verify(run.folder, run.home) if c.name == name]
    return check.failure.code if check.failure else None


def stated(terms: Terms, first: tuple[str, float], second: tuple[str, float]) -> dict[str, Any]:
    """Return a statement of runs on ``terms`` with what two accountants say."""
    check = {"name": second[0], "eps": second[1]}
    return {
        **FORMAL,
        "mechanism": terms.mechanism,
        "z": terms.z,
        "adjacency": terms.adjacency,
        "eps": first[1],
        "accountant": {"name": first[0], "cross_check": check},
        "releases_done": 40,
    }


def test_the_numbers_of_the_hand_written_run_are_right() -> None:
    again = counted(TERMS, 3)
    assert again["eps"] == pytest.approx(FORMAL["eps"], rel=1e-9)
    rdp = FORMAL["accountant"]["cross_check"]["eps"]  # type: ignore[index]
    assert again["accountant"]["cross_check"]["eps"] == pytest.approx(rdp, rel=1e-5)


LAPLACE = replace(TERMS, mechanism="laplace", noise="laplace", z=1 / 0.19055)
POISSON = replace(TERMS, z=2.0, rate=1 / 3)


def rdp_of(terms: Terms) -> float:
    """Return eps of 40 releases by the Renyi accountant of dp-accounting, on fine orders."""
    import numpy as np
    from dp_accounting import GaussianDpEvent, LaplaceDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    noise = GaussianDpEvent if terms.noise == "gaussian" else LaplaceDpEvent
    orders = range(2, 200) if terms.rate < 1 else np.arange(1.5, 60, 0.01)
    accountant = RdpAccountant(list(orders))
    event = noise(terms.z)
    accountant.compose(PoissonSampledDpEvent(terms.rate, event) if terms.rate < 1 else event, 40)
    return float(accountant.get_epsilon(terms.delta))


@pytest.mark.parametrize(("terms", "eps"), [(LAPLACE, 5.0), (POISSON, 5.383656526)])
def test_laplace_and_poisson_runs_by_both_accountants(
    tmp_path: Path, terms: Terms, eps: float
) -> None:
    """Known values of 40 releases by PLD: eps0 = .19055 each, and z = 2 at q = 1/3."""
    tight, rdp = ("PLD", eps), ("RDP", rdp_of(terms))
    clients = [None] * 40
    run = finished(tmp_path / "tight", stated(terms, tight, rdp), terms, clients)
    assert code_of(run, "statement") is None
    moments = replace(terms, mechanism="moments")
    run = finished(tmp_path / "moments", stated(moments, rdp, tight), moments, clients)
    assert code_of(run, "statement") is None
    run.forge(eps=rdp[1] * 0.998)
    assert code_of(run, "statement") == "E408"
    run.forge(eps=rdp[1], accountant={"name": "PLD", "cross_check": {"name": "RDP", "eps": 9}})
    assert code_of(run, "statement") == "E408"


@pytest.mark.parametrize(
    "change",
    [
        {"eps": 5.0 * (1 - 2e-3)},
        {"eps": 5.0 * (1 + 2e-3)},
        {"eps": float("nan")},
        {"releases_done": 2},
        {"releases_done": 4},
        {"delta": 2e-5},
        {"z": 1.6},
        {"unit": "window"},
        {"adjacency": "replace_one"},
        {"where": "client"},
        {"mechanism": "moments"},
        {"noise_key_kind": "unsafe-test"},
        {"status": "NONE"},
        {"status": "CONDITIONAL"},
        {"accountant": {"name": "PLD", "cross_check": {"name": "RDP", "eps": 5.3956}}},
        {"accountant": {**FORMAL["accountant"], "cross_check": {"name": "RDP", "eps": 5.0}}},  # type: ignore[dict-item]
    ],
)
def test_another_promise_than_the_ledger_bears_out(tmp_path: Path, change: dict[str, Any]) -> None:
    run = finished(tmp_path)
    run.forge(**change)
    assert code_of(run, "files") is None  # the forger wrote the hashes anew
    assert code_of(run, "statement") == "E408"


@pytest.mark.parametrize(
    "change", [{"eps": None}, {"eps": "5"}, {"accountant": None}, {"accountant": {"name": "PLD"}}]
)
def test_fields_that_cannot_be_read(tmp_path: Path, change: dict[str, Any]) -> None:
    run = finished(tmp_path)
    run.forge(**change)
    assert code_of(run, "statement") in ("E407", "E408")


@pytest.mark.parametrize("text", ["", "[]", "[1]", "{}", "[" * 100_000])
def test_a_statement_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    run = finished(tmp_path)
    (run.folder / "privacy.json").write_text(text)
    assert code_of(run, "statement") == "E407"


def test_a_client_may_be_in_fewer_releases_than_there_are(tmp_path: Path) -> None:
    """A fixed sampler: eps of the client that was drawn most often, or anything above it."""
    clients = [(0, 1), (1, 2), (2, 0)]  # each twice, of three releases
    run = finished(tmp_path, clients=clients)
    assert code_of(run, "statement") is None
    run.forge(**counted(TERMS, 2))
    assert code_of(run, "statement") is None
    run.forge(**counted(TERMS, 1))
    assert code_of(run, "statement") == "E408"
    secret = finished(tmp_path / "secret", clients=[None, None, None])
    secret.forge(**counted(TERMS, 2))
    assert code_of(secret, "statement") == "E408"


def test_amplification_counts_every_release(tmp_path: Path) -> None:
    """A secret draw hides who was there: eps of half the releases is no promise."""
    clients = [(n % 2,) for n in range(40)]
    said = stated(POISSON, ("PLD", 5.383656526), ("RDP", rdp_of(POISSON)))
    run = finished(tmp_path, said, POISSON, clients)
    assert code_of(run, "statement") is None
    run.forge(eps=5.3)
    assert code_of(run, "statement") == "E408"


def test_local_steps_are_releases_too(tmp_path: Path) -> None:
    terms = replace(TERMS, unit="window", steps=4)
    said = {**FORMAL, **counted(TERMS, 12), "unit": "window"}
    assert code_of(finished(tmp_path, said, terms), "statement") is None
    wrong = {**FORMAL, "unit": "window"}  # as if a round were one sum
    assert code_of(finished(tmp_path / "b", wrong, terms), "statement") == "E408"


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0].replace("1.5", "9.5"), *lines[1:]],
        lambda lines: [
            line.replace(RUN, "b", 1) if i > 2 else line for i, line in enumerate(lines)
        ],
        lambda lines: [*lines, "{}"],
        lambda lines: [],
    ],
)
def test_an_excerpt_that_was_edited(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    run = finished(tmp_path)
    run.forge(excerpt=change(run.lines()))
    assert code_of(run, "files") is None
    assert code_of(run, "ledger") == "E402"


def test_an_excerpt_that_ends_within_a_line_or_goes_on_after_the_head(tmp_path: Path) -> None:
    run = finished(tmp_path)
    path = run.folder / "ledger_excerpt.jsonl"
    path.write_text(path.read_text()[:-1])
    assert code_of(run, "ledger") == "E402"
    run = finished(tmp_path / "b")
    run.forge(ledger_head=digest(run.lines()[0]))
    assert code_of(run, "ledger") == "E402"
    run.forge(ledger_head=None)
    assert code_of(run, "ledger") == "E402"


def test_an_excerpt_of_another_run(tmp_path: Path) -> None:
    run = finished(tmp_path)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    (run.folder / "manifest.json").write_text(json.dumps({**manifest, "run_id": "other"}))
    assert code_of(run, "ledger") == "E402"


def test_lines_forged_with_sound_hashes_are_not_those_of_the_site(tmp_path: Path) -> None:
    """A forger who knows the format can chain anew: only the ledger itself can show it."""
    run = finished(tmp_path, others=False)
    chain, forged = Chain("synthetic"), []
    for line in run.lines():
        entry = json.loads(line)
        for name in ("counter", "previous", "check"):
            del entry[name]
        if entry["state"] == "terms":
            entry["terms"]["z"] *= 10
        forged += chain.next_lines([entry])
        chain.take(forged[-1])
    smaller = replace(TERMS, z=TERMS.z * 10)
    run.forge(excerpt=forged, ledger_head=chain.head, z=smaller.z, **counted(smaller, 3))
    assert (code_of(run, "ledger"), code_of(run, "statement")) == (None, None)
    assert code_of(run, "site") == "E402"
