"""The rule that says how many clients train side by side, and the reasons against it."""

from __future__ import annotations

from typing import Any

import pytest
from tiny import tiny

from fedaffect.build import build
from fedaffect.config import RunConfig
from fedaffect.errors import UsageError
from fedaffect.server.stacking import Stacking, stacking_of

DEALT = {"data.partition": "iid", "federation.clients": 40}


def stacking(changes: dict[str, Any]) -> Stacking:
    return stacking_of(build(tiny({**DEALT, **changes})))


def test_small_steps_are_stacked_and_large_ones_are_not() -> None:
    assert stacking({"federation.batch_size": 4}) == Stacking(10)  # a quarter of the round
    many = {"model.name": "compact_encoder", "federation.clients": 100, "synthetic.people": 10}
    assert stacking(many) == Stacking(20)
    few = stacking({"federation.clients": 15})
    assert few == Stacking(1, "fewer than 32 clients a round")
    long = {"synthetic.people": 16, "synthetic.session_s": 1800, "federation.batch_size": 64}
    heavy = stacking(long)
    assert heavy.size == 1 and "a step is work enough" in heavy.why


def test_what_is_asked_for_is_done_where_it_can_be() -> None:
    assert stacking({"run.stack": "on", "federation.clients": 5}) == Stacking(2)
    assert stacking({"run.stack": 7}) == Stacking(7)
    assert stacking({"run.stack": "off"}) == Stacking(1, "as asked")
    windows = {"dp.mechanism": "gaussian", "dp.eps": 5, "dp.unit": "window", "run.stack": 7}
    assert stacking(windows) == Stacking(1, "noised steps are taken one client after another")


def test_secret_sampling_shows_in_nobody_else_s_rounding() -> None:
    drawn = {"federation.fraction": 0.5, "federation.sampler": "bernoulli", "run.stack": "on"}
    private = {"dp.mechanism": "gaussian", "dp.eps": 5}
    assert stacking({**drawn, **private}).size == 1
    assert "who takes part is secret" in stacking({**drawn, **private}).why
    assert stacking(drawn).size > 1  # nothing is promised
    assert stacking({**private, "federation.fraction": 0.5, "run.stack": "on"}).size > 1


def test_it_does_not_depend_on_the_workers() -> None:
    assert stacking({"run.workers": 1}) == stacking({"run.workers": 8})


@pytest.mark.parametrize("wrong", ["0", "-3", "some", "2.5"])
def test_wrong_stacks_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="--stack"):
        RunConfig().replace({"run.stack": wrong})
