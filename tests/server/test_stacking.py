"""The rule that says how many clients train side by side, and the reasons against it."""

from __future__ import annotations

from typing import Any

import pytest
from tiny import tiny

from fedaffect.build import build
from fedaffect.config import RunConfig
from fedaffect.errors import UsageError
from fedaffect.server import stack_memory
from fedaffect.server.stack_memory import clients_that_fit
from fedaffect.server.stacking import Stacking, stacking_of

DEALT = {"data.partition": "iid", "federation.clients": 40}


def stacking(changes: dict[str, Any]) -> Stacking:
    return stacking_of(build(tiny({**DEALT, **changes})))


def test_small_steps_are_stacked_and_large_ones_are_not() -> None:
    assert stacking({"federation.batch_size": 4}) == Stacking(10)  # a quarter of the round
    many = {"model.name": "compact_encoder", "federation.clients": 100, "synthetic.people": 10}
    assert stacking(many) == Stacking(20)
    assert stacking({"federation.clients": 20, "synthetic.people": 10}) == Stacking(5)
    few = stacking({"federation.clients": 19})
    assert few == Stacking(1, "fewer than 20 clients a round")
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


THERE = {"run.device": "cuda", "run.engine": "ray", "run.ray_address": "10.0.0.1:6379"}


def test_on_a_gpu_whole_rounds_are_stacked_as_far_as_its_budget_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stacking(THERE) == Stacking(40)
    assert stacking({**THERE, "federation.clients": 3}) == Stacking(3)
    assert stacking({**THERE, "federation.fraction": 0.5}) == Stacking(40)  # the most there can be
    assert stacking({**THERE, "run.stack": "on"}) == Stacking(40)
    assert stacking({**THERE, "run.stack": 7}) == Stacking(7)
    assert stacking({**THERE, "run.stack": "off"}) == Stacking(1, "as asked")
    fit = clients_that_fit(build(tiny({**DEALT, **THERE})))
    monkeypatch.setattr(stack_memory, "BUDGET", int(stack_memory.BUDGET / fit * 17.5))
    assert stacking(THERE) == Stacking(17)
    monkeypatch.setattr(stack_memory, "BUDGET", stack_memory.BUDGET // 17)
    assert stacking(THERE).size == 1


def test_a_gpu_changes_nothing_of_what_forbids_stacks() -> None:
    drawn = {"federation.fraction": 0.5, "federation.sampler": "bernoulli", **THERE}
    private = {"dp.mechanism": "gaussian", "dp.eps": 5}
    assert "who takes part is secret" in stacking({**drawn, **private}).why
    assert stacking({**private, "dp.unit": "window", **THERE}).size == 1


def test_it_does_not_depend_on_the_workers() -> None:
    assert stacking({"run.workers": 1}) == stacking({"run.workers": 8})


@pytest.mark.parametrize("wrong", ["0", "-3", "some", "2.5"])
def test_wrong_stacks_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="--stack"):
        RunConfig().replace({"run.stack": wrong})
