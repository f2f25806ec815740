"""What leaves a node: released blocks only, noised with the client's own key, charged before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import tiny

from fedaffect.build import Experiment, build
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.exchange import TrainReply, TrainRequest
from fedaffect.clients.side import client_side
from fedaffect.clients.site import Site
from fedaffect.home import state_home
from fedaffect.privacy.ledger import Ledger
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.terms import terms_of

LOCAL = {"dp.mechanism": "gaussian", "dp.eps": 50.0, "dp.where": "client"}
KEPT = {"dp.blocks": {"task:identity": "keep_local"}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    return tmp_path


def account_of(experiment: Experiment, **changes: Any) -> AccountPlan:
    plan = AccountPlan(
        run="run",
        ledger="synthetic",
        terms=terms_of(experiment.mechanism, experiment.plan),
        limit=2,
        rounds=2,
        clip=1.0,
        eps=50.0,
        key_check=SecretNoiseKey.load(state_home()).check(),
    )
    return replace(plan, **changes)


def ask(site: Site, server_round: int = 1, clients: tuple[int, ...] = (0, 1)) -> TrainReply:
    params = site.side.factory.initial(0)
    return site.train(params, TrainRequest(0, server_round, server_round, clients))


def charged(run: str = "run") -> dict[int, int] | None:
    with Ledger.open(state_home(), "synthetic", SecretNoiseKey.load(state_home())) as ledger:
        return ledger.participations(run)


def test_every_contribution_has_noise_of_its_own_and_is_charged() -> None:
    experiment = build(tiny(LOCAL))
    clean = ask(Site(client_side(build(tiny({})))))
    noisy = ask(Site(client_side(experiment, "run", account_of(experiment))))
    assert noisy.client_ids == clean.client_ids == (0, 1)
    noise = noisy.updates - np.stack(
        [experiment.mechanism.on_client(u, np.zeros(len(u))) for u in clean.updates]
    )
    sd = experiment.mechanism.groups[0].noise
    n = noise.shape[1]
    for row in noise:  # 5 standard errors
        assert abs(row.std() / sd - 1) < 5 / np.sqrt(2 * n) and abs(row.mean()) < 5 * sd / n**0.5
    assert abs(np.corrcoef(noise)[0, 1]) < 5 / np.sqrt(n)
    assert charged() == {0: 1, 1: 1}


@pytest.mark.parametrize("unit", ["client", "window"])
def test_what_nobody_noised_stays_on_the_clients(unit: str) -> None:
    changes = {**LOCAL, "dp.unit": unit, "federation.batch_size": 8}
    experiment = build(tiny(changes))
    side = client_side(experiment, "run", account_of(experiment))
    spoilt = np.full_like(side.folds[0][1].features, np.nan)
    first, second, *others = side.folds[0]
    broken = (first, replace(second, features=spoilt), *others)
    reply = ask(Site(replace(side, folds=(broken,))), clients=(0, 1, 99))
    assert reply.losses == () and 0 in reply.client_ids
    assert set(reply.failed.values()) <= {"KeyError", "ValueError"} and 99 in reply.failed
    central = build(tiny({**LOCAL, "dp.where": "server"}))
    assert len(ask(Site(client_side(central, "run", account_of(central)))).losses) == 2


def test_the_same_round_again_repeats_the_release_at_no_cost() -> None:
    experiment = build(tiny(LOCAL))
    side = client_side(experiment, "run", account_of(experiment))
    first, again = ask(Site(side)), ask(Site(side))
    np.testing.assert_array_equal(first.updates, again.updates)
    assert charged() == {0: 1, 1: 1}
    other = ask(Site(side), server_round=2)
    assert np.isclose(first.updates, other.updates).mean() < 1e-3
    assert charged() == {0: 2, 1: 2}


def test_a_client_refuses_a_round_past_its_budget() -> None:
    experiment = build(tiny(LOCAL))
    site = Site(client_side(experiment, "run", account_of(experiment, limit=1)))
    assert not ask(site).refused
    reply = ask(site, server_round=2)
    assert reply.client_ids == () and set(reply.refused) == {0, 1}
    assert reply.refused[0].startswith("E401") and charged() == {0: 1, 1: 1}


def test_a_policy_that_forbids_the_run_is_kept(home: Path) -> None:
    experiment = build(tiny(LOCAL))
    (home / "policy.toml").write_text("max_eps = 1.0\n")
    reply = ask(Site(client_side(experiment, "run", account_of(experiment))))
    assert set(reply.refused) == {0, 1} and "max_eps" in reply.refused[0]
    assert charged() == {}


def test_a_policy_may_trust_no_server_with_clear_updates(home: Path) -> None:
    experiment = build(tiny({**LOCAL, "dp.where": "server"}))
    (home / "policy.toml").write_text('noise_at = "client"\n')
    reply = ask(Site(client_side(experiment, "run", account_of(experiment))))
    assert set(reply.refused) == {0, 1} and "noise_at" in reply.refused[0]


def test_a_node_with_another_key_is_refused() -> None:
    experiment = build(tiny(LOCAL))
    plan = account_of(experiment, key_check="0" * 64)
    reply = ask(Site(client_side(experiment, "run", plan)))
    assert set(reply.refused) == {0, 1} and reply.refused[0].startswith("E413")


def test_kept_layers_never_leave_and_frozen_ones_never_move() -> None:
    kept = build(tiny(KEPT))
    layout = kept.factory.layout
    side = client_side(kept, "run")
    reply = ask(Site(side))
    assert reply.updates.shape == (2, layout.size - layout.block_sizes["task:identity"])
    whole = ask(Site(client_side(build(tiny({})))))
    others = np.setdiff1d(np.arange(layout.size), layout.indices("task:identity"))
    np.testing.assert_allclose(reply.updates, whole.updates[:, others], rtol=1e-12, atol=1e-15)

    frozen = build(tiny({"dp.blocks": {"shared": "freeze"}}))
    moved = ask(Site(client_side(frozen, "run")))
    assert moved.updates.shape[1] == layout.size - layout.block_sizes["shared"]
    assert np.abs(moved.updates).max() > 0


def test_a_client_trains_on_with_its_own_layers() -> None:
    side = client_side(build(tiny(KEPT)), "run")
    site = Site(side)
    first = ask(site, 1)
    second = ask(Site(side), 2)  # a restarted worker
    fresh = ask(Site(replace(side, run="another")), 2)
    assert not np.allclose(second.updates, fresh.updates)
    assert first.client_ids == second.client_ids
