"""Runs with a defence, or with one task: what leaves a client, what is measured and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import TINY as COMMAND
from command_line import call, refused
from simulated import GAUSSIAN, simulated
from tiny import tiny, train_experiment, train_over

from fedaffect.build import build
from fedaffect.config import RunConfig
from fedaffect.errors import UsageError
from fedaffect.outline import outline
from fedaffect.reports.json_file import load_record
from fedaffect.server.evaluation import final_figures
from fedaffect.simulations.local import LocalGrid

NAMES = ("drop-identity", "head-local", "gradient-reversal", "bottleneck")
WINDOW = {"dp.mechanism": "gaussian", "dp.eps": 8.0, "dp.unit": "window"}
TEST_NOISE = {**GAUSSIAN, "dp.unsafe_test_noise": "k"}


def params_of(**changes: Any) -> np.ndarray:
    config = tiny({key.replace("__", "."): value for key, value in changes.items()})
    return train_over(LocalGrid("defences"), config).params[0]


@pytest.mark.parametrize("name", ["gradient-reversal", "bottleneck"])
@pytest.mark.parametrize("dp", [{}, TEST_NOISE], ids=["no DP", "gaussian"])
def test_strength_zero_is_no_defence_to_the_last_bit(name: str, dp: dict[str, Any]) -> None:
    off = train_over(
        LocalGrid("off"), tiny({**dp, "defence.name": name, "defence.strength": 0})
    ).params[0]
    on = train_over(LocalGrid("on"), tiny({**dp, "defence.name": name})).params[0]
    plain = train_over(LocalGrid("plain"), tiny(dp)).params[0]
    assert np.array_equal(off, plain)
    assert not np.array_equal(on, plain)


def test_identity_dropped_is_the_stress_task_alone() -> None:
    dropped = params_of(defence__name="drop-identity")
    assert np.array_equal(dropped, params_of(model__tasks="stress"))
    assert len(dropped) < len(params_of())


@pytest.mark.parametrize("name", ["head-local", "gradient-reversal"])
@pytest.mark.parametrize("dp", [{}, TEST_NOISE], ids=["no DP", "gaussian"])
def test_a_kept_head_never_leaves_its_client(name: str, dp: dict[str, Any]) -> None:
    experiment = build(tiny({**dp, "defence.name": name}))
    own = experiment.factory.layout.indices("task:identity")
    params = train_experiment(LocalGrid("kept"), experiment).params[0]
    moved = params != experiment.factory.initial(0)
    assert not moved[own].any()
    assert moved[experiment.factory.layout.indices("shared")].any()
    assert not np.isin(own, experiment.mechanism.blocks.released).any()


def test_the_user_may_upload_an_adversary_all_the_same() -> None:
    config = tiny({"defence.name": "gradient-reversal", "dp.blocks": {"task:identity": "clear"}})
    blocks = outline(config).mechanism.blocks
    assert (blocks.named("keep_local"), len(blocks.released)) == ((), blocks.layout.size)


def test_with_one_task_the_other_figures_say_why_they_are_missing() -> None:
    for task, other, names in (
        ("stress", "identity", ["identity_own_head"]),
        ("identity", "stress", ["stress_accuracy", "stress_balanced_accuracy", "stress_macro_f1"]),
    ):
        experiment = build(tiny({"model.tasks": task}))
        assert list(experiment.factory.layout.blocks) == ["shared", f"task:{task}"]
        params = train_experiment(LocalGrid(task), experiment).params
        figures = final_figures(experiment, params)
        for name in names:
            estimate = getattr(figures, name)
            assert (estimate.value, estimate.note) == (None, f"n/a (no {other} head)")
        assert set(figures.identity_attacks) == {"linear", "lda", "knn", "mlp"}
        assert all(e.value is not None for e in figures.identity_attacks.values())
        assert figures.identity_own_head.value is None or task == "identity"
        missing = [getattr(p, name) for p in figures.per_person for name in _person(other)]
        assert missing and not any(value is not None for value in missing)


def _person(task: str) -> tuple[str, ...]:
    return ("identity_own_head",) if task == "identity" else ("stress_balanced_accuracy",)


PLACES = {"server": GAUSSIAN, "client": {**GAUSSIAN, "dp.where": "client"}, "window": WINDOW}
TOGETHER = [(name, place) for name in NAMES for place in PLACES]
QUICK = [("gradient-reversal", "window")]


@pytest.mark.parametrize(
    ("name", "place"),
    [p if p in QUICK else pytest.param(*p, marks=pytest.mark.slow) for p in TOGETHER],
)
def test_every_defence_goes_with_dp(tmp_path: Path, name: str, place: str) -> None:
    changes = {**PLACES[place], "federation.rounds": 1, "defence.name": name}
    run = simulated(tmp_path / "run", changes)
    said = run.record.privacy
    assert said["status"] == "FORMAL"
    assert said["eps"] == pytest.approx(changes["dp.eps"], rel=2e-2)
    assert load_record(tmp_path / "run").figures == run.record.figures
    assert "<title>" in (tmp_path / "run" / "report.html").read_text()


def test_noise_of_a_bottleneck_earns_no_epsilon() -> None:
    with_it, without = (
        outline(tiny({**GAUSSIAN, "defence.name": name})).mechanism
        for name in ("bottleneck", "drop-identity")
    )
    assert with_it.groups == without.groups
    assert outline(tiny({"defence.name": "bottleneck"})).mechanism.groups == ()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"defence.name": "head-local", "defence.strength": 0.3}, "E239", "takes no strength"),
        ({"defence.name": "head-local", "model.tasks": "stress"}, "E239", "no task identity"),
        ({"defence.name": "gradient-reversal", "model.tasks": "stress"}, "E239", "to act on"),
        ({"defence.name": "drop-identity", "model.tasks": "identity"}, "E239", "is left"),
        ({"model.tasks": "sress"}, "E210", "'sress' is not known"),
        ({"model.tasks": "stress,stress"}, "E210", "twice"),
        ({"model.tasks": ""}, "E210", "''"),
    ],
)
def test_refused(changes: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        outline(tiny(changes))
    assert caught.value.code == code
    assert caught.value.do


def test_the_first_task_is_the_primary_one() -> None:
    for text, roles in (
        ("stress,identity", ("primary", "private")),
        ("identity, stress", ("primary", "auxiliary")),
    ):
        tasks = outline(tiny({"model.tasks": text})).factory.build().tasks
        assert tuple(t.role for t in tasks) == roles
        assert ",".join(t.name for t in tasks) == text.replace(" ", "")


def test_what_was_decided_is_recorded_and_stays_decided() -> None:
    first = outline(tiny({"defence.name": "drop-identity"})).config
    assert first.model.tasks == ("stress",)
    assert outline(first).config == first
    second = outline(tiny({"defence.name": "gradient-reversal"})).config
    assert second.defence.strength is not None
    assert RunConfig.model_validate_json(second.model_dump_json()) == second
    assert outline(second).config == second


def test_flags_and_plan() -> None:
    plan = [*(word for word in COMMAND if word != "--quiet"), "--dry-run"]
    said = call(*plan, "--defence", "gradient-reversal:0.5")
    assert said.code == 0
    assert "defence  gradient-reversal 0.5: the shared features are trained against" in said.out
    assert "kept on the clients, never uploaded: task:identity" in said.out
    said = call(*plan, "--defence", "bottleneck:0")
    assert "bottleneck at strength 0: switched off" in said.out
    assert "tasks stress(2)\n" in call(*plan, "--tasks", "stress").out
    refused("E210", *COMMAND, "--defence", "gradient-reversl")
    refused("E201", *COMMAND, "--defence", "bottleneck:much")
    refused("E239", *COMMAND, "--defence", "drop-identity:2")


def test_a_run_without_a_stress_head_ends_with_a_report(tmp_path: Path) -> None:
    said = call(*COMMAND, "--tasks", "identity", "--defence", "head-local", "--out", tmp_path)
    assert said.code == 0, said.err
    assert "defence head-local\n" in said.out
    assert "n/a (no stress head) " in said.out
    page = (tmp_path / "report.html").read_text()
    assert "n/a (no stress head)" in page and "n/a (n/a (" not in page


def test_without_an_identity_head_nothing_is_said_of_it(tmp_path: Path) -> None:
    said = call(*COMMAND, "--defence", "bottleneck:0.02", "--out", tmp_path)
    assert said.code == 0, said.err
    assert "defence bottleneck, strength 0.02\n" in said.out
    assert "n/a (no identity head) " in said.out
    assert "own identity head stays near chance" not in said.out
    page = (tmp_path / "report.html").read_text()
    assert "n/a (no identity head)" in page and "Why the own head says little" not in page
