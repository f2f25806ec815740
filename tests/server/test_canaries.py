"""Canary clients in the round loop: a constant in every sum, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import tiny, train_experiment

from fedaffect.build import Experiment, build
from fedaffect.clients.side import client_side
from fedaffect.errors import UsageError
from fedaffect.outline import outline
from fedaffect.privacy.canaries import canaries_of, longest_along
from fedaffect.privacy.clipping import vector_norm
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.server.checkpoint import Progress
from fedaffect.server.training import Training
from fedaffect.simulation import simulate
from fedaffect.simulations.local import LocalGrid
from fedaffect.summary import promised

COUNT = 12
DP = {"dp.mechanism": "gaussian", "dp.eps": 8, "dp.clip": 0.2, "dp.unsafe_test_noise": "k"}
PER_BLOCK = {"dp.block_clips": {"shared": 0.2, "task:stress": 0.1, "task:identity": 0.3}}
PLAIN = {"dp.mechanism": "none", "dp.eps": None, "dp.unsafe_test_noise": None, "dp.clip": 1.0}
WITH = {"audit.canaries": COUNT}


def experiment_of(**changes: Any) -> Experiment:
    return build(tiny({"federation.rounds": 1} | DP | changes))


def trained(experiment: Experiment) -> Training:
    return train_experiment(LocalGrid("test"), experiment)


@pytest.mark.parametrize(
    "changes",
    [{}, PER_BLOCK, {"dp.mechanism": "laplace"}],
    ids=["gaussian", "per block", "laplace"],
)
def test_included_canaries_are_in_the_sum_and_in_the_denominator(changes: dict[str, Any]) -> None:
    plain, joined = experiment_of(**changes), experiment_of(**changes, **WITH)
    start = plain.factory.initial(0)
    clients = plain.plan.clients_per_round
    without = (trained(plain).params[0] - start) * clients
    with_canaries = (trained(joined).params[0] - start) * (clients + COUNT / 2)
    canaries = canaries_of(0, COUNT, joined.mechanism, 1)
    assert canaries is not None and 0 < canaries.included.sum() < COUNT
    expected = np.zeros_like(start)
    for number in np.flatnonzero(canaries.included):
        direction = canaries.direction(int(number))
        assert np.linalg.norm(direction) == pytest.approx(1)
        for group in joined.mechanism.groups:  # as long as the clip lets it be, in every group
            at = np.concatenate([joined.mechanism.blocks.place(b) for b in group.blocks])
            norm = np.linalg.norm(direction[at], 1 if changes.get("dp.mechanism") else 2)
            expected[at] += direction[at] * group.clip / norm
    np.testing.assert_allclose(with_canaries - without, expected, rtol=0, atol=1e-10)


def test_a_resumed_run_has_the_same_canaries() -> None:
    experiment = experiment_of(**WITH | {"federation.rounds": 3})
    kept: list[Progress] = []
    key = TestNoiseKey("k")

    def run(start: Progress | None) -> np.ndarray:
        grid = LocalGrid("test")
        grid.place(client_side(experiment))
        training = Training(
            experiment, key=key, evaluate_rounds=False, start=start, on_progress=kept.append
        )
        training.run(grid)
        return training.params[0]

    whole = run(None)
    assert kept[0].server_round == 1
    assert np.array_equal(run(kept[0]), whole)


@pytest.mark.parametrize("norm", ["l2", "l1", "linf"])
def test_the_clip_leaves_a_canary_unchanged(norm: str) -> None:
    name = "laplace" if norm == "l1" else "gaussian"
    mechanism: Any = experiment_of(**{"dp.clip_norm": norm, "dp.mechanism": name}).mechanism
    canaries = canaries_of(3, 5, mechanism, 1)
    assert canaries is not None
    for number in range(5):
        longest = longest_along(canaries.direction(number), mechanism)
        assert vector_norm(longest, norm) == pytest.approx(0.2, rel=1e-9)  # type: ignore[arg-type]
        again = mechanism.on_client(longest, np.zeros_like(longest))
        np.testing.assert_allclose(again, longest, rtol=1e-12)


def test_an_adaptive_clip_follows_the_real_clients_alone() -> None:
    adaptive = {"dp.clip": "adaptive", "dp.clip_start": 0.2, "federation.rounds": 3, "dp.eps": 1e6}
    adaptive |= {"dp.clip_rate": 0.5, "federation.lr": 0.001}
    plain = trained(experiment_of(**adaptive))
    joined = trained(experiment_of(**adaptive, **WITH))
    assert plain.rounds[0].clip == joined.rounds[0].clip
    assert plain.rounds[1].clip == joined.rounds[1].clip != plain.rounds[0].clip
    run = joined.experiment
    moved = (joined.params[0] - run.factory.initial(0)) * (run.plan.clients_per_round + COUNT / 2)
    canaries = canaries_of(0, COUNT, run.mechanism, 3)
    assert canaries is not None
    scale = sum(r.clip[0] for r in joined.rounds)  # each round's canaries are at its clip norm
    inside = [canaries.direction(i) @ moved / scale for i in range(COUNT) if canaries.included[i]]
    assert np.mean(inside) == pytest.approx(1, abs=0.1)


def test_coins_are_fair_and_directions_are_their_own() -> None:
    mechanism = experiment_of().mechanism
    canaries = canaries_of(1, 4000, mechanism, 1)
    assert canaries is not None and abs(canaries.included.mean() - 0.5) < 0.04
    first, other = canaries.direction(0), canaries.direction(1)
    assert abs(first @ other) < 6 / np.sqrt(len(first))
    same, fresh = canaries_of(1, 4000, mechanism, 1), canaries_of(2, 4000, mechanism, 1)
    assert same is not None and fresh is not None
    assert np.array_equal(same.direction(0), first) and np.array_equal(
        same.included, canaries.included
    )
    assert not np.allclose(fresh.direction(0), first)
    assert canaries_of(1, 0, mechanism, 1) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (PLAIN, "no epsilon"),
        ({"dp.where": "client"}, "no noise of its own"),
        ({"dp.unit": "window", "dp.clip": 1.0}, "the unit is a window"),
        ({"dp.clip_target": "weights"}, "clipped weights"),
        ({"federation.sampler": "bernoulli", "federation.fraction": 0.5}, "--sampler bernoulli"),
        ({"federation.fraction": 0.5, "dp.participation_cap": 1}, "dp.participation_cap"),
    ],
)
def test_refused_where_canaries_audit_nothing_that_is_promised(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        outline(tiny({"federation.rounds": 3} | DP | WITH | changes))
    assert caught.value.code == "E238" and caught.value.do


def test_the_statement_says_what_canaries_change() -> None:
    real = {"dp.unsafe_test_noise": None}
    plain, joined = (promised(outline(tiny(DP | real | more))) for more in ({}, WITH))
    assert joined.eps == plain.eps and joined.status == "FORMAL"
    (line,) = set(joined.details) - set(plain.details)
    assert "12 canary clients" in line and "divided by 10" in line  # 4 clients and 12 / 2


def test_a_run_with_canaries_is_labelled(tmp_path: Path) -> None:
    record = simulate(tiny(DP | WITH | {"run.out": tmp_path / "run"}))
    (said,) = (w for w in record.warnings if w.startswith("W125"))
    assert said == "W125 this run carries 12 canary clients: its utility is not a headline"
    assert any("12 canary clients" in line for line in record.privacy["details"])
