"""Replayed uploads are those that the server received, to the last bit, and cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from audited_runs import CASES, RARE_CASES, ROUNDS, Ran

from fedaffect.auditing.finished import FinishedRun
from fedaffect.auditing.replay import FIRST, uploads_of
from fedaffect.build import build
from fedaffect.home import state_home
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.strategies.fedavg import FedAvg

RunOf = Callable[[str], Ran]


def quiet(stage: str) -> None:
    """Ignore progress."""


def state() -> dict[Path, bytes]:
    """Return every file of the state folder but caches."""
    files = [path for path in state_home().rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if "cache" not in path.parts}


def assert_replays(run: Ran) -> None:
    finished, before = run.finished(), state()
    uploads, why = uploads_of(finished, quiet)
    assert why == ""
    folds = len(finished.experiment.folds)
    rounds = [*range(1, FIRST + 1), *([ROUNDS] if folds == 1 else [])]
    drawn = [r for r in rounds if run.received[r - 1][0]]  # secret draws may draw nobody
    assert [u.server_round for u in uploads] == drawn
    for u in uploads:
        clients, rows = run.received[u.server_round - 1]
        assert u.clients == clients
        assert u.rows.dtype == np.float64
        assert np.array_equal(u.rows, rows)
    assert state() == before  # neither ledger nor anyone's layers were touched


@pytest.mark.parametrize("case", CASES)
def test_what_the_server_received(case: str, run_of: RunOf) -> None:
    assert_replays(run_of(case))


@pytest.mark.slow
@pytest.mark.parametrize("case", RARE_CASES)
def test_what_the_server_received_rarely(case: str, run_of: RunOf) -> None:
    assert_replays(run_of(case))


def test_uploads_lead_from_one_model_to_the_next(run_of: RunOf) -> None:
    run = run_of("client").finished()
    uploads, _ = uploads_of(run, quiet)
    for one, following in pairwise(uploads):
        moved = one.params + one.rows.sum(axis=0) / len(one.clients)
        np.testing.assert_allclose(following.params, moved, rtol=0, atol=1e-12)
    last = uploads[-1]
    released = FedAvg().server_step(last.params, last.rows.sum(axis=0) / len(last.clients))
    assert np.array_equal(released.astype(np.float32), run.params.astype(np.float32))


def with_seed(run: FinishedRun, seed: int) -> FinishedRun:
    """Return ``run`` as if it had been trained from another seed."""
    return replace(run, experiment=build(run.experiment.config.replace({"run.seed": seed})))


@pytest.mark.parametrize("case", ["server", "client"])
def test_no_noise_is_drawn_for_inputs_that_were_not_paid(
    case: str, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    really = SecretNoiseKey.stream

    def listen(self: SecretNoiseKey, **names: object) -> object:
        drawn.append(1)
        return really(self, **names)  # type: ignore[arg-type]

    monkeypatch.setattr(SecretNoiseKey, "stream", listen)
    before = state()
    uploads, why = uploads_of(with_seed(run_of(case).finished(), 1), quiet)
    assert uploads == ()
    assert "other inputs" in why
    assert drawn == []
    assert state() == before
    uploads_of(run_of(case).finished(), quiet)
    assert drawn != []  # the listener hears


def test_another_training_without_noise_is_noticed(run_of: RunOf) -> None:
    uploads, why = uploads_of(with_seed(run_of("none").finished(), 1), quiet)
    assert uploads == ()
    assert why.startswith("The uploads cannot be recomputed: round 1 ends otherwise")


def test_another_model_is_noticed(run_of: RunOf) -> None:
    run = run_of("none").finished()
    other = run.params.copy()
    other[7] = np.nextafter(other[7], 1)
    uploads, why = uploads_of(replace(run, params=other), quiet)
    assert uploads == ()
    assert f"round {ROUNDS} ends otherwise" in why


def test_a_site_without_the_key_cannot_replay(
    run_of: RunOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("server").finished()
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    uploads, why = uploads_of(run, quiet)
    assert uploads == ()
    assert "not on this site" in why
    assert not (tmp_path / "noise.key").exists()  # none was made


def test_a_site_with_another_key_cannot_replay(
    run_of: RunOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, ledger = run_of("server").finished(), state_home() / "ledger" / "synthetic.jsonl"
    copy = tmp_path / "ledger" / "synthetic.jsonl"
    copy.parent.mkdir(mode=0o700)
    copy.write_bytes(ledger.read_bytes())
    copy.chmod(0o600)
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    SecretNoiseKey.load(tmp_path)
    uploads, why = uploads_of(run, quiet)
    assert uploads == ()
    assert "other inputs" in why
    assert copy.read_bytes() == ledger.read_bytes()


@pytest.mark.slow
def test_local_steps_of_other_code_are_not_repeated(
    run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("window").finished()
    monkeypatch.setattr("fedaffect.auditing.replay.code_digest", lambda: "other")
    uploads, why = uploads_of(run, quiet)
    assert uploads == ()
    assert "code, libraries or machine" in why
