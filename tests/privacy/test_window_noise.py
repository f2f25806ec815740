"""Clip, noise, rate and steps of per-window training are those that were calibrated and accounted.

What the noise does in training is tested with the private trainer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedaffect import registry
from fedaffect.errors import PrivacyError
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.privacy.base import LocalSteps, Mechanism, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.mechanisms.window_noise import WindowNoise, local_steps, sampling_rate
from fedaffect.privacy.spec import Adjacency, BlockPolicy, ClipSpec, PrivacySpec

LAYOUT = ModelFactory(StressIdentityCNN, {"n_features": 20, "n_identities": 3}, "float64").layout


def calibrated(
    n: int = 320,
    batch_size: int = 32,
    epochs: int = 1,
    policies: dict[str, BlockPolicy] | None = None,
    adjacency: Adjacency = "zero_out",
    unit: str = "window",
) -> tuple[Mechanism, ReleasePlan]:
    spec = PrivacySpec(
        "gaussian",
        delta=1e-5,
        z=1.7,
        clip=ClipSpec(0.25),
        policies=policies or {},
        where="client",
        unit=unit,  # type: ignore[arg-type]
        adjacency=adjacency,
    )
    steps = LocalSteps(((n, n),), batch_size, epochs, windows_per_second=1)
    plan = ReleasePlan(6, 4.0, 1.0, "full", 4 * n, 1, 1, local=steps)
    mechanism = mechanism_of(spec, registry.resolve("dp", "gaussian"))
    return mechanism.calibrate(plan, LAYOUT), plan


@pytest.mark.parametrize(("adjacency", "reach"), [("zero_out", 1), ("replace_one", 2)])
def test_noise_is_what_was_calibrated(adjacency: Adjacency, reach: int) -> None:
    noise = WindowNoise.of(calibrated(adjacency=adjacency)[0])
    assert noise.clip == 0.25
    assert noise.z == pytest.approx(1.7 * reach, rel=1e-12)  # the sum moves by reach C
    noise.check_covers(np.ones(LAYOUT.size, dtype=bool))


def test_blocks_that_stay_on_the_client_are_noised_too() -> None:
    mechanism, _ = calibrated(policies={"task:identity": "keep_local"})
    WindowNoise.of(mechanism).check_covers(np.ones(LAYOUT.size, dtype=bool))


def test_frozen_blocks_are_not_noised() -> None:
    mechanism, _ = calibrated(policies={"task:identity": "freeze"})
    moving = np.ones(LAYOUT.size, dtype=bool)
    moving[LAYOUT.indices("task:identity")] = False
    WindowNoise.of(mechanism).check_covers(moving)


def test_coordinates_without_noise_are_refused_and_counted() -> None:
    whole = WindowNoise.of(calibrated()[0])
    names = [name for name, _ in whole.blocks]
    missing = replace(whole, blocks=tuple(b for b in whole.blocks if b[0] != "task:stress"))
    assert names == list(LAYOUT.blocks)
    with pytest.raises(PrivacyError, match="202 of") as caught:
        missing.check_covers(np.ones(LAYOUT.size, dtype=bool))
    assert caught.value.code == "E406"


def test_a_mechanism_without_noise_is_refused() -> None:
    spec = PrivacySpec("none")
    mechanism = mechanism_of(spec, registry.resolve("dp", "none"))
    plan = ReleasePlan(6, 4.0, 1.0, "full", 4, 1, 1)
    with pytest.raises(PrivacyError) as caught:
        WindowNoise.of(mechanism.calibrate(plan, LAYOUT))
    assert caught.value.code == "E406"


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs", "steps", "q"),
    [
        (320, 32, 1, 10, 0.1),
        (300, 32, 2, 18, 32 / 300),  # 9.4 rounds to 9
        (310, 32, 1, 10, 32 / 310),  # 9.7 rounds to 10
        (32, 32, 3, 3, 1.0),
    ],
)
def test_steps_and_rate_are_those_that_are_accounted(
    n: int, batch_size: int, epochs: int, steps: int, q: float
) -> None:
    assert local_steps(n, batch_size, epochs) == steps
    assert sampling_rate(n, batch_size) == q
    mechanism, plan = calibrated(n, batch_size, epochs)
    (event,) = mechanism.events(plan)
    assert (event.rate, event.releases) == (q, 6 * steps)
    assert event.scale == pytest.approx(1.7, rel=1e-12)


def test_a_client_smaller_than_a_batch_takes_all_its_windows() -> None:
    assert (local_steps(5, 32, 1), sampling_rate(5, 32)) == (1, 1.0)
