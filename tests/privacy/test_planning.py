"""Planning: noise for a budget, budget for a noise, and when noise drowns the signal."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.errors import UsageError
from fedaffect.privacy.accountants import accountant
from fedaffect.privacy.block_sizes import cached_block_sizes
from fedaffect.privacy.planning import MODELS_SEEN, OUTSIDE, SERVER_SEES, Setting, plan_noise

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())
TABLE_II = {"shared": 61_980, "task:stress": 202, "task:identity": 34_815}
SETTING = Setting("gaussian", "tight", "server", "client", 1e-5, 40, 20, 1.0, False, 1.0, TABLE_II)
WINDOWS = replace(
    SETTING, unit="window", where="client", local_rate=0.2, local_steps=5, batch_size=4
)


def gaussian_delta(eps: float, mu: float) -> float:
    """Balle & Wang 2018, theorem 8, in the plain form."""

    def phi(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    return phi(mu / 2 - eps / mu) - math.exp(eps) * phi(-mu / 2 - eps / mu)


def test_the_figures_of_a_total_of_5_over_40_rounds() -> None:
    plan = plan_noise(SETTING, eps=5.0)
    z = VECTORS["calibration_total_budget"][1]["z"]
    assert plan.total.noise_multiplier == pytest.approx(z, rel=1e-9)
    assert plan.second.noise_multiplier == pytest.approx(6.0332, rel=3e-3)
    golden = VECTORS["breakeven_clients_per_round"]
    for name, row in (("all", "full"), ("shared", "shared"), ("task:identity", "id")):
        exact = golden[f"breakeven_{row}"]["n_clients_per_round"]
        assert plan.break_even_clients[name] == pytest.approx(exact, rel=1e-9)
    assert plan.noise_to_signal == pytest.approx(1756.7496 / 20, rel=1e-6)
    assert plan.noise_on_average == pytest.approx({20: z / 20, 100: z / 100, 1000: z / 1000})
    assert plan.alone is not None
    assert plan.every_round is not None
    assert plan.alone.noise_multiplier == pytest.approx(0.8918683, rel=1e-6)  # analytic z(5)
    assert plan.alone.horizon == "one round"
    mu = math.sqrt(40) / plan.alone.noise_multiplier
    assert gaussian_delta(plan.every_round.eps, mu) == pytest.approx(1e-5, rel=1e-6)
    assert plan.participants is plan.pure is None


def test_eps_for_a_noise_is_the_inverse() -> None:
    z = plan_noise(SETTING, eps=5.0).total.noise_multiplier
    plan = plan_noise(SETTING, multiplier=z, table=False)
    assert plan.total.eps == pytest.approx(5.0, rel=1e-9)
    assert plan.second.eps > 5.0
    assert plan.second.noise_multiplier == plan.total.noise_multiplier == z
    assert plan.table == ()


def test_one_of_the_two_is_asked() -> None:
    for wrong in ({}, {"eps": 1.0, "multiplier": 1.0}):
        with pytest.raises(ValueError, match="either"):
            plan_noise(SETTING, **wrong)


def test_out_of_reach() -> None:
    with pytest.raises(UsageError) as caught:
        plan_noise(SETTING, eps=1e12)
    assert caught.value.code == "E222"
    weak = plan_noise(replace(SETTING, rounds=100_000), multiplier=0.01, table=False)
    assert weak.total.eps > 1e8  # one round alone may not spend so much
    assert weak.alone is weak.every_round is None
    strict = plan_noise(replace(SETTING, delta=1e-300, noise="laplace"), multiplier=1e-3)
    assert strict.total.eps == pytest.approx(40_000, rel=1e-6)


def test_every_cell_of_the_table_keeps_its_budget() -> None:
    plan = plan_noise(replace(SETTING, rounds=7), eps=3.0)
    asked = {(cell.asked_eps, cell.rounds, cell.where) for cell in plan.table}
    budgets, rounds = (1, 2, 3, 5, 8, 15), (1, 7, 10, 40)
    assert asked == {(e, r, w) for e in budgets for r in rounds for w in ("server", "client")}
    for cell in plan.table:
        assert cell.claim is not None
        z = cell.claim.noise_multiplier
        mu = math.sqrt(cell.rounds) / z
        assert gaussian_delta(cell.asked_eps, mu) == pytest.approx(1e-5, rel=1e-6)
        assert cell.claim.eps == pytest.approx(cell.asked_eps, rel=1e-9)
        d = sum(TABLE_II.values())
        needed = z * math.sqrt(d) if cell.where == "server" else z**2 * d
        assert cell.break_even_clients == pytest.approx(needed)
        assert cell.claim.observer == (MODELS_SEEN if cell.where == "server" else SERVER_SEES)
        assert cell.claim.horizon.startswith(f"the whole run, {cell.rounds} round")


def test_secret_draws_are_counted_only_where_asked_for_and_only_at_the_server() -> None:
    drawn = replace(SETTING, fraction=0.25, poisson=True, rounds=10)
    plan = plan_noise(drawn, eps=5.0, table=False)
    assert plan.total.observer == OUTSIDE
    assert plan.total.eps == pytest.approx(5.0, rel=2e-4)
    assert plan.participants is not None
    z = plan.total.noise_multiplier
    assert gaussian_delta(plan.participants.eps, math.sqrt(10) / z) == pytest.approx(1e-5, rel=1e-6)
    assert plan.participants.observer == MODELS_SEEN
    assert plan.noise_on_average[5.0] == pytest.approx(z / 5)  # 0.25 of 20 clients
    everyone = plan_noise(replace(SETTING, rounds=10), eps=5.0, table=False)
    assert z < everyone.total.noise_multiplier
    for unamplified in (
        replace(drawn, poisson=False),
        replace(drawn, where="client"),
        replace(drawn, fraction=1.0),
    ):
        other = plan_noise(unamplified, eps=5.0, table=False)
        assert other.total.noise_multiplier == everyone.total.noise_multiplier
        assert other.participants is None


def test_sampled_cells_of_the_table_and_progress() -> None:
    told: list[tuple[int, int]] = []
    drawn = replace(SETTING, fraction=0.5, poisson=True, rounds=1, method="rdp")
    plan = plan_noise(drawn, eps=5.0, tell=lambda *done: told.append(done))
    assert told == [(i, len(plan.table)) for i in range(len(plan.table))]
    cells = {(c.asked_eps, c.rounds, c.sampling, c.where): c for c in plan.table}
    assert {key[2:] for key in cells} == {
        ("full", "server"),
        ("full", "client"),
        ("bernoulli 0.1", "server"),
        ("bernoulli 0.5", "server"),
    }
    for (budget, rounds, sampling, where), cell in cells.items():
        assert cell.claim is not None
        rate = 1.0 if sampling == "full" else float(sampling.split()[1])
        event = replace(SETTING, fraction=rate, poisson=rate < 1, where=where).event(
            cell.claim.noise_multiplier, rounds
        )
        assert event.rate == rate
        eps = accountant("rdp", event).epsilon(event, 1e-5)
        assert budget * (1 - 2e-4) <= eps <= budget


@pytest.mark.parametrize("setting", [SETTING, replace(SETTING, noise="laplace", rounds=4)])
def test_replacing_instead_of_zeroing_is_half_the_multiplier(setting: Setting) -> None:
    plan = plan_noise(setting, eps=5.0, table=False)
    assert plan.replaced is not None
    assert plan.replaced.adjacency == "replace_one"
    halved = plan_noise(setting, multiplier=plan.total.noise_multiplier / 2, table=False)
    assert plan.replaced.eps == halved.total.eps >= 2 * plan.total.eps * (1 - 1e-9)
    assert plan.replaced.noise_multiplier == plan.total.noise_multiplier


def test_laplace_noise_has_a_claim_at_delta_0() -> None:
    plan = plan_noise(replace(SETTING, noise="laplace"), eps=5.0, table=False)
    assert plan.total.noise_multiplier == pytest.approx(1 / 0.19055, rel=1e-3)
    assert plan.pure is not None
    assert plan.pure.delta == 0
    assert plan.pure.eps == pytest.approx(40 / plan.total.noise_multiplier)
    d = sum(TABLE_II.values())
    assert plan.break_even_clients["all"] == pytest.approx(d * plan.total.noise_multiplier)


def test_moments_sizes_by_renyi_accounting() -> None:
    plan = plan_noise(replace(SETTING, method="rdp"), eps=5.0, table=False)
    assert (plan.total.accountant, plan.second.accountant) == ("RDP", "closed-form Gaussian")
    assert plan.total.noise_multiplier > plan.second.noise_multiplier


def test_windows_are_drawn_in_every_local_step() -> None:
    plan = plan_noise(WINDOWS, eps=5.0, table=False)
    event = WINDOWS.event(plan.total.noise_multiplier, 40)
    assert (event.rate, event.releases) == (0.2, 200)
    assert plan.total.unit == "window"
    assert plan.total.observer == SERVER_SEES
    eps = accountant("tight", event).epsilon(event, 1e-5)
    assert 5 * (1 - 2e-4) <= eps <= 5


CASES: list[tuple[str, Any]] = [
    ("server", SETTING),
    ("client", replace(SETTING, where="client")),
    ("laplace", replace(SETTING, noise="laplace")),
    ("laplace at client", replace(SETTING, noise="laplace", where="client")),
    ("steps", WINDOWS),
]


@pytest.mark.parametrize("setting", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_at_break_even_noise_is_as_long_as_the_signal(setting: Setting) -> None:
    """Draw the noise on the average of n clients; the signal is 1 long in the clip's norm."""
    rng = np.random.default_rng(7)
    d, scale = 3000, 1.0 if setting.noise == "gaussian" else 0.015
    n = round(setting.break_even(scale, d))
    draw = rng.normal if setting.noise == "gaussian" else rng.laplace
    if setting.where == "server":
        noise = draw(0, scale, d) / n
    else:
        noise = np.zeros(d)
        for _ in range(n):
            noise += draw(0, scale, d) / n
        noise /= setting.batch_size
    length = np.abs(noise).sum() if setting.noise == "laplace" else np.linalg.norm(noise)
    assert length == pytest.approx(1.0, rel=0.05)
    sd = setting.on_average(scale, n)
    assert noise.std() == pytest.approx(sd, rel=0.06)
    there = replace(setting, clients=n, blocks={"all": d})
    assert there.noise_to_signal(scale) == pytest.approx(1.0, rel=0.05)
    far = replace(there, clients=4 * n)
    signal = 4 if setting.where == "server" else 2  # noise falls with n, or with its root
    assert far.noise_to_signal(scale) == pytest.approx(1 / signal, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(eps=st.floats(0.1, 50), rounds=st.integers(1, 400), more=st.floats(1.1, 3))
def test_less_budget_or_more_rounds_need_more_noise(eps: float, rounds: int, more: float) -> None:
    def z(eps: float, rounds: int) -> float:
        setting = replace(SETTING, rounds=rounds)
        return plan_noise(setting, eps=eps, table=False).total.noise_multiplier

    assert z(eps, rounds) > z(eps * more, rounds)
    assert z(eps, 4 * rounds) == pytest.approx(2 * z(eps, rounds), rel=1e-9)


def test_block_sizes_are_made_once_and_again_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"shared": 3, "a": 2}

    for _ in range(2):
        sizes = cached_block_sizes({"model": "m", "people": 4}, make)
        assert list(sizes.items()) == [("shared", 3), ("a", 2)]
    assert len(made) == 1
    cached_block_sizes({"model": "m", "people": 5}, make)
    assert len(made) == 2
    for path in (tmp_path / "cache" / "blocks").iterdir():
        for damaged in (b"", b"[]", b'[["a", "3"]]', b'[["a", -1]]', b"7", b'[["a"]]', b"\xff"):
            path.write_bytes(damaged)
            before = len(made)
            cached_block_sizes({"model": "m", "people": 4}, make)
            cached_block_sizes({"model": "m", "people": 5}, make)
            assert len(made) == before + 1


def test_a_state_folder_that_cannot_be_used_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "file"))
    assert cached_block_sizes({"model": "m"}, lambda: {"a": 1}) == {"a": 1}
