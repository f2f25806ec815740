"""Noise against signal before round 1, checked against noise that is really drawn."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statement_cases import FULL, LAYOUT, LOCAL, PER_WINDOW, WINDOWS, ready

from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.forecast import Forecast, plan_forecast
from fedaffect.privacy.spec import ClipSpec

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "dp_vectors.json").read_text())
BREAK_EVEN = VECTORS["breakeven_clients_per_round"]
RNG = np.random.default_rng(20240611)


def forecast(name: str = "gaussian", plan: ReleasePlan = FULL, **spec: Any) -> Forecast:
    return plan_forecast(ready(name, plan, **spec), plan, LAYOUT)


def drawn(mechanism: Mechanism, laplace: bool, contributions: int) -> float:
    """Return the length of real noise in a sum, in the norm of its clip."""
    total = np.zeros(LAYOUT.size)
    for group in mechanism.groups:
        at = np.concatenate([LAYOUT.indices(block) for block in group.blocks])
        for _ in range(contributions):
            draw = RNG.laplace if laplace else RNG.normal
            total[at] += draw(0.0, group.noise, len(at))
    return float(np.abs(total).sum() if laplace else np.linalg.norm(total))


def test_golden_break_even_clients() -> None:
    seen = forecast()
    names = {"shared": "shared", "id": "task:identity", "stress head": "task:stress"}
    assert seen.n_break_even == pytest.approx(
        BREAK_EVEN["breakeven_full"]["n_clients_per_round"], rel=1e-6
    )
    for row, block in names.items():
        wanted = BREAK_EVEN[f"breakeven_{row}"]["n_clients_per_round"]
        assert seen.n_break_even_of[block] == pytest.approx(wanted, rel=1e-6)


def test_central_laplace() -> None:
    # d b / C with b = 5.248 C (PLD, T = 40, eps = 5): 509,029 for all 96,997 parameters
    assert forecast("laplace").n_break_even == pytest.approx(509_029, rel=1e-3)


def test_local_gaussian() -> None:
    # z^2 d: 3.09 million; noise to signal falls with the root of n
    seen = forecast(where="client")
    assert seen.n_break_even == pytest.approx(5.6406701801385895**2 * 96_997, rel=1e-6)
    assert seen.noise_to_signal == pytest.approx(math.sqrt(seen.n_break_even / 20))
    assert forecast(**LOCAL).n_break_even == pytest.approx(4 * seen.n_break_even)
    assert "--dp-where server" in " ".join(seen.sentences)


@pytest.mark.parametrize("where", ["server", "client"])
@pytest.mark.parametrize("name", ["gaussian", "laplace"])
@pytest.mark.parametrize("clips", [{}, {"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6}])
def test_noise_to_signal_is_that_of_real_noise(
    name: str, where: str, clips: dict[str, float]
) -> None:
    laplace = name == "laplace"
    spec: dict[str, Any] = {"where": where, "clip": ClipSpec(per_block=clips)}
    spec |= {"allocation": "optimal"} if clips else {}
    mechanism = ready(name, **spec)
    noise = drawn(mechanism, laplace, 20 if where == "client" else 1)
    bounds = [g.clip for g in mechanism.groups]
    signal = 20 * (sum(bounds) if laplace else math.hypot(*bounds))
    told = plan_forecast(mechanism, FULL, LAYOUT)
    assert told.noise_to_signal == pytest.approx(noise / signal, rel=0.03)


def test_each_block_against_its_own_clip() -> None:
    clips = {"shared": 0.8, "task:stress": 0.1, "task:identity": 0.6}
    mechanism = ready(clip=ClipSpec(per_block=clips), allocation="equal-z", z=1.0, eps=None)
    told = plan_forecast(mechanism, FULL, LAYOUT).n_break_even_of
    for block, size in LAYOUT.block_sizes.items():  # z_b = sqrt(3) for each of three blocks
        assert told[block] == pytest.approx(math.sqrt(3 * size))


def test_a_cube_needs_the_root_of_d_more_noise_and_bounds_as_much_more_signal() -> None:
    cube = forecast(clip=ClipSpec(norm="linf"))
    assert cube.n_break_even == pytest.approx(forecast().n_break_even)
    assert cube.noise_sd == pytest.approx(forecast().noise_sd * math.sqrt(96_997))


def test_per_window_noise_gets_no_verdict() -> None:
    seen = forecast(plan=WINDOWS, **PER_WINDOW)
    step = seen.z * math.sqrt(96_997) / 16 / math.sqrt(20)
    assert seen.noise_to_signal == pytest.approx(step)
    assert seen.can_learn is None and len(seen.sentences) == 1
    assert "only a run tells" in seen.sentences[0] and "will not learn" not in seen.sentences[0]


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("gaussian", {}, "1,757 clients a round, at a noise multiplier of 5.641 over 40"),
        ("gaussian", {"z": 2.0, "eps": None}, "at a noise multiplier of 2 over 40 releases"),
        ("gaussian", {"noise_layers": "task"}, "the others leave in the clear"),
        ("paper-noise", {"sigma": 5.0}, "at a noise multiplier of 5 over 40 releases"),
        ("laplace", {}, "Use --dp gaussian"),
    ],
)
def test_advice_says_what_the_noise_was_sized_for(
    name: str, spec: dict[str, Any], words: str
) -> None:
    assert words in " ".join(forecast(name, **spec).sentences)
