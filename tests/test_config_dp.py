"""The [dp] table: which budget goes with which mechanism, and tables of blocks."""

from __future__ import annotations

from typing import Any

import pytest

from fedaffect.config import RunConfig
from fedaffect.config_sources import resolve
from fedaffect.errors import UsageError
from fedaffect.privacy.spec import PrivacySpec
from fedaffect.privacy_plan import privacy_spec


def asked(overrides: tuple[str, ...] = (), **flags: Any) -> RunConfig:
    return resolve(flags, overrides, None, {})[0]


def spec(overrides: tuple[str, ...] = (), **flags: Any) -> PrivacySpec:
    return privacy_spec(asked(overrides, **flags))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"dp": "gaussian", "eps_per_round": "5"}, "takes a TOTAL budget"),
        ({"dp": "paper-gaussian1", "eps": "5"}, "--eps does not go with --dp paper-gaussian1"),
        ({"dp": "paper-laplace"}, "needs --eps-per-round"),
        ({"dp": "paper-noise"}, "needs --sigma"),
        ({"dp": "gaussian", "sigma": "0.1"}, "--sigma belongs to the paper's modes"),
        ({"sigma": "0.1", "eps": "5"}, "--eps does not go with --dp paper-noise"),
        ({"dp": "laplace"}, "needs a budget"),
        ({"eps_per_round": "5"}, "has no mechanism"),
        ({"unit": "window"}, "--unit window has no mechanism"),
        ({"dp_where": "client"}, "--dp-where client has no mechanism"),
        ({"clip": "2"}, "--clip 2.0 has no mechanism"),
        ({"delta": "1e-6"}, "--delta 1e-06 has no mechanism"),
    ],
)
def test_contradictory_budgets_are_refused(flags: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        asked(**flags)
    assert caught.value.code == "E220"


def test_sigma_alone_is_the_papers_plain_noise() -> None:
    assert asked(sigma="0.3").dp.mechanism == "paper-noise"
    assert asked(sigma="0.3", dp="none").dp.mechanism == "paper-noise"


def test_place_and_adjacency_follow_the_mechanism_unless_given() -> None:
    total, paper = spec(dp="gaussian", eps="5"), spec(dp="paper-laplace", eps_per_round="5")
    assert (total.where, total.adjacency) == ("server", "zero_out")
    assert (paper.where, paper.adjacency) == ("client", "replace_one")
    assert spec(dp="gaussian", eps="5", unit="window").where == "client"
    given = spec(("dp.adjacency=replace_one",), dp="gaussian", eps="5", dp_where="client")
    assert (given.where, given.adjacency, given.reach) == ("client", "replace_one", 2)


def test_entries_of_a_table_add_up() -> None:
    overrides = (
        'dp.blocks."task:identity"=keep_local',
        "dp.blocks.shared='freeze'",
        "dp.block_clips.task:stress=0.5",
    )
    dp = asked(overrides, dp="gaussian", eps="5").dp
    assert dp.blocks == {"task:identity": "keep_local", "shared": "freeze"}
    assert dp.block_clips == {"task:stress": 0.5}
    with pytest.raises(UsageError, match="'hide'"):
        asked(("dp.blocks.shared=hide",), dp="gaussian", eps="5")


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("dp.block_clips.shared=-1", "E203"),
        ("dp.block_clips.shared=nan", "E202"),
        ("dp.block_clips=3", "E212"),
        ("dp.participation_cap=0", "E203"),
        ("dp.clip_quantile=1", "E203"),
        ("dp.z=0", "E203"),
    ],
)
def test_numbers_of_the_table_are_checked(override: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked((override,), dp="gaussian", eps="5")
    assert caught.value.code == code


def test_adaptive_clip_takes_its_settings() -> None:
    clip = spec(
        ("dp.clip_start=3", "dp.clip_quantile=0.4"), dp="gaussian", eps="5", clip="adaptive"
    ).clip
    assert clip.adaptive is not None
    assert (clip.bound, clip.adaptive.quantile, clip.adaptive.rate) == (3.0, 0.4, 0.2)
    fixed = spec(dp="gaussian", eps="5", clip="2.5").clip
    assert (fixed.bound, fixed.adaptive) == (2.5, None)


def test_a_misspelt_clip_is_told_both_ways_to_give_one() -> None:
    with pytest.raises(UsageError, match="--clip 'fast'") as caught:
        asked(dp="gaussian", eps="5", clip="fast")
    assert (caught.value.code, caught.value.do) == (
        "E201",
        "give a number such as 1.0, or adaptive",
    )
