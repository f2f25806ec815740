"""The budget is charged before noise is drawn: a refused charge draws none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import tiny

from fedaffect.build import build
from fedaffect.clients.side import client_side
from fedaffect.home import state_home
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import KeyedStream, SecretNoiseKey
from fedaffect.privacy.run_budget import RunBudget
from fedaffect.privacy.terms import terms_of
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid


class WatchedKey(SecretNoiseKey):
    """Remembers for which releases noise was drawn."""

    drawn: list[int]

    def stream(self, *, release: int, block: str, inputs: bytes) -> KeyedStream:
        self.drawn.append(release)
        return super().stream(release=release, block=block, inputs=inputs)


def test_no_noise_is_drawn_for_a_release_that_is_not_paid(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    experiment = build(tiny({"dp.mechanism": "gaussian", "dp.eps": 5.0, "federation.rounds": 3}))
    key, grid = WatchedKey(bytes(32)), LocalGrid("test")
    key.drawn = []
    grid.place(client_side(experiment, "run"))
    with Ledger.open(state_home(), "synthetic", key) as ledger:
        terms = terms_of(experiment.mechanism, experiment.plan)
        budget = RunBudget(ledger, "run", terms, limit=2)
        training = Training(experiment, "run", key, budget, evaluate_rounds=False)
        training.run(grid)
        assert ledger.spent("run") == 2
    assert training.stopped is not None and training.stopped.code == "E401"
    assert len(training.rounds) == 2
    assert set(key.drawn) == {1, 2}
