"""What happens to every block: who is named, what is noised, what leaves a client."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mechanism_cases import SMALL, TABLE_II, calibrated, planned

from fedaffect.errors import UsageError
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.params import Layout
from fedaffect.privacy.blocks import BlockPlan, block_plan, by_block
from fedaffect.privacy.spec import ClipSpec, PrivacySpec

MODEL = StressIdentityCNN()
NET = Layout.of(MODEL, MODEL.blocks())


def plan(layout: Layout = TABLE_II, *, noise: bool = True, **spec: Any) -> BlockPlan:
    return block_plan(PrivacySpec("gaussian", **spec), layout, noise=noise)


@pytest.mark.parametrize(
    ("words", "blocks"),
    [
        ("all", ("shared", "task:stress", "task:identity")),
        ("shared", ("shared",)),
        ("task", ("task:stress", "task:identity")),
        ("task:identity", ("task:identity",)),
        ("task:identity, shared", ("shared", "task:identity")),
        ("task,shared", ("shared", "task:stress", "task:identity")),
    ],
)
def test_noise_layers_name_blocks_and_the_rest_is_in_the_clear(
    words: str, blocks: tuple[str, ...]
) -> None:
    made = plan(noise_layers=words)
    assert made.named("noise") == blocks
    assert set(made.named("clear")) == set(TABLE_II.blocks) - set(blocks)
    assert made.mask("noise").sum() == sum(TABLE_II.block_sizes[b] for b in blocks)
    assert len(made.released) == TABLE_II.size


@pytest.mark.parametrize("words", ["task:identiy", "", "shared,", "Shared", "none", "shared task"])
def test_an_unknown_block_is_refused_with_a_hint(words: str) -> None:
    for asked in ({"noise_layers": words}, {"policies": {words: "freeze"}}):
        with pytest.raises(UsageError) as caught:
            plan(**asked)
        assert caught.value.code == "E225"
        assert "known: all, shared, task, task:identity, task:stress" in caught.value.do
        if words == "task:identiy":
            assert "did you mean task:identity?" in caught.value.do


def test_names_of_layers_are_known_and_hinted_at() -> None:
    with pytest.raises(UsageError) as caught:
        plan(NET, noise_layers="conv_2")
    assert "did you mean conv_" in caught.value.do
    for name in ("conv_1", "fc_1", "task:identity"):
        assert name in caught.value.do


def test_a_model_without_heads_has_no_task_blocks() -> None:
    with pytest.raises(UsageError):
        plan(Layout(("a",), ((3,),), {"shared": ("a",)}), noise_layers="task")


def test_a_single_layer_becomes_a_block_of_its_own() -> None:
    made = plan(NET, noise_layers="conv_1", policies={"shared": "freeze"})
    assert made.layout.blocks["conv_1"] == ("conv_1.weight", "conv_1.bias")
    assert made.layout.block_sizes["conv_1"] == 20 * 8 + 20
    assert "conv_1.weight" not in made.layout.blocks["shared"]
    assert made.named("noise") == ("conv_1",) and made.named("freeze") == ("shared",)
    assert made.layout.size == NET.size and made.layout.names == NET.names
    assert sorted(n for names in made.layout.blocks.values() for n in names) == sorted(NET.names)
    whole = plan(NET)
    assert whole.layout == NET  # nothing is split that nobody named


@pytest.mark.parametrize("turn", [1, -1])
def test_the_more_specific_of_two_words_wins_in_any_order(turn: int) -> None:
    words = [("all", "freeze"), ("fc_1", "clear"), ("conv_1", "keep_local")]
    words += [("conv_1.bias", "noise"), ("task", "clear"), ("task:stress", "noise")]
    made = dict(plan(NET, policies=dict(words[::turn])).policies)
    assert (made["shared"], made["fc_1"], made["conv_1"]) == ("freeze", "clear", "keep_local")
    assert (made["conv_1.bias"], made["task:stress"], made["task:identity"]) == (
        "noise",
        "noise",
        "clear",
    )
    clips = dict([("task", 1.0), ("task:stress", 0.5), ("all", 2.0)][::turn])
    assert by_block(clips, TABLE_II) == {
        "shared": 2.0,
        "task:stress": 0.5,
        "task:identity": 1.0,
    }


def test_a_word_is_a_beginning_only_up_to_a_colon_or_a_dot() -> None:
    layout = Layout(("a", "b"), ((1,), (1,)), {"task:x": ("a",), "tasks": ("b",)})
    assert plan(layout, noise_layers="task").named("noise") == ("task:x",)
    with pytest.raises(UsageError):
        plan(layout, noise_layers="tas")


@pytest.mark.parametrize("policy", ["freeze", "keep_local"])
def test_what_is_frozen_or_kept_never_leaves(policy: str) -> None:
    made = plan(SMALL, policies={"task:stress": policy})
    assert made.released.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(made.expand(np.arange(1.0, 5.0)), [1, 2, 3, 4, 0, 0])
    assert made.kept.tolist() == ([4, 5] if policy == "keep_local" else [])
    frozen = made.frozen.tolist() if made.frozen is not None else None
    assert frozen == ([False] * 4 + [True] * 2 if policy == "freeze" else None)
    ready = calibrated("gaussian", planned(releases=2), SMALL, policies={"task:stress": policy})
    # Neither does its length: the clip sees released coordinates alone.
    update = np.array([0.3, 0, 0, 0.4, 1e9, 1e9])
    np.testing.assert_allclose(ready.on_client(update, np.zeros(6)), [0.3, 0, 0, 0.4])


def test_places_are_within_what_is_released() -> None:
    made = plan(SMALL, policies={"shared": "keep_local"})
    assert made.released.tolist() == [4, 5] and made.place("task:stress").tolist() == [0, 1]
    # Blocks whose parameters are not neighbours.
    layout = Layout(("a", "b", "c"), ((2,), (1,), (1,)), {"x": ("a", "c"), "y": ("b",)})
    split = plan(layout)
    assert split.place("x").tolist() == [0, 1, 3] and split.place("y").tolist() == [2]
    assert plan(layout, policies={"y": "freeze"}).place("x").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "asked",
    [
        {"noise_layers": "task", "policies": {"task:stress": "clear"}},
        {"policies": {"all": "freeze"}},
        {"policies": {"all": "clear"}},
        {"policies": {"shared": "noise"}, "noise": False},
        {"policies": {"all": "keep_local"}, "noise": False},
    ],
)
def test_plans_that_contradict_themselves(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        plan(**asked)
    assert caught.value.code == "E225"


def test_policy_noise_adds_to_the_noised_blocks() -> None:
    made = plan(noise_layers="task:identity", policies={"shared": "noise"})
    assert made.named("noise") == ("shared", "task:identity")
    assert made.named("clear") == ("task:stress",)


def test_without_a_mechanism_blocks_may_still_stay_behind() -> None:
    made = plan(noise=False, policies={"task:identity": "keep_local"})
    assert made.named("clear") == ("shared", "task:stress") and not made.named("noise")


def test_the_digest_tells_policies_and_layouts_apart() -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"noise_layers": "shared"},
        {"policies": {"shared": "freeze"}},
        {"policies": {"shared": "keep_local"}},
        {"policies": {"shared": "clear"}},
        {"clip": ClipSpec(per_block={"cnn": 1.0})},
    ]
    digests = [plan(**one).digest for one in asked]
    assert len(set(digests)) == len(asked) and plan(SMALL).digest not in digests
    pair = [plan(noise_layers=w).digest for w in ("shared,task:stress", "task:stress, shared")]
    assert pair[0] == pair[1]
