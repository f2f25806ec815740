"""Many short trainings: mu of a known mechanism is recovered, a broken one shows."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from evidence import evidence, people

from fedaffect.privacy.attacks.evidence import Claim, Evidence
from fedaffect.privacy.audits.multi_run import MultiRunAudit

Z_ONCE = 0.8918683  # golden multiplier of eps 5 at delta 1e-5


def handed(factor: float = 1.0, **dp: Any) -> Evidence:
    asked = {"name": "gaussian", "eps": 5.0} | dp
    made = evidence(people(4, 0), rounds=2, params=np.zeros(1), dp=asked)
    mechanism: Any = made.mechanism
    groups = tuple(dataclasses.replace(g, noise=factor * g.noise) for g in mechanism.groups)
    if groups:
        mechanism = dataclasses.replace(mechanism, groups=groups)
    claims = (Claim("FORMAL", "participants", "client", "zero_out", 5.0, 1e-5),)
    return dataclasses.replace(made, mechanism=mechanism, claims=claims)


def test_mu_of_a_known_mechanism_is_recovered() -> None:
    found = MultiRunAudit(repetitions=40).run(handed()).bound
    assert found is not None and found.mu is not None and found.mu_low is not None
    mu = 1 / Z_ONCE
    # A standardised difference of means has a deviation of sqrt(2 / n + mu^2 / 4n).
    assert abs(found.mu - mu) < 3 * math.sqrt(2 / 40 + mu**2 / 160)
    assert found.mu_low < found.mu
    assert found.lower is not None and found.lower <= 5.0 and found.claimed == 5.0


def test_a_broken_mechanism_shows() -> None:
    sound = MultiRunAudit(repetitions=20).run(handed()).bound
    broken = MultiRunAudit(repetitions=20).run(handed(1 / 10)).bound
    assert sound is not None and sound.lower is not None
    assert broken is not None and broken.mu is not None and broken.lower is not None
    assert broken.mu == pytest.approx(10 / Z_ONCE, rel=0.5)
    assert broken.lower == broken.best_possible > sound.lower


@pytest.mark.slow
def test_noise_of_clients_adds_up_in_the_model() -> None:
    found = MultiRunAudit(repetitions=40).run(handed(where="client")).bound
    assert found is not None and found.mu is not None
    mu = 1 / Z_ONCE / math.sqrt(3)  # two real clients and the one that is looked for
    assert abs(found.mu - mu) < 3 * math.sqrt(2 / 40 + mu**2 / 160)


def test_laplace_noise_has_no_mu() -> None:
    found = MultiRunAudit(repetitions=4).run(handed(name="laplace")).bound
    assert found is not None and found.mu is None and found.estimate is None


@pytest.mark.parametrize(
    ("dp", "why"),
    [
        ({"name": "none", "eps": None}, "no noise"),
        ({"unit": "window", "where": "client"}, "local steps"),
    ],
)
def test_not_run_where_it_would_say_nothing(dp: dict[str, Any], why: str) -> None:
    found = MultiRunAudit().run(handed(**dp))
    assert found.status == "not_run" and why in found.reason
