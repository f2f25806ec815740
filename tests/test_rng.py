from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.rng import generator, stream_key, torch_seed

NAME = st.one_of(
    st.integers(-(2**40), 2**40), st.text(st.characters(codec="utf-8", exclude_characters="\x1f"))
)


def test_key_is_the_digest_of_seed_and_typed_names() -> None:
    text = b"7\x1fstr:batch\x1fint:3\x1fint:12"
    expected = int.from_bytes(hashlib.sha256(text).digest()[:16], "little")
    assert stream_key(7, "batch", 3, 12) == expected


def test_streams_never_change() -> None:
    # Written down once: published figures rest on these numbers staying what they are.
    assert generator(0, "batch", 0, 3, 1).permutation(8).tolist() == [6, 1, 2, 0, 5, 4, 7, 3]
    assert generator(0, "batch", 0, 3, 1).integers(0, 1000, 3).tolist() == [164, 783, 497]
    assert torch_seed(0, "initial") == 9175681106279327232


@given(st.integers(0, 2**63 - 1), st.lists(NAME, max_size=3), st.lists(NAME, max_size=3))
def test_other_names_are_other_streams(seed: int, one: list[str], other: list[str]) -> None:
    assert (stream_key(seed, *one) == stream_key(seed, *other)) == (one == other)
    assert stream_key(seed, *one) != stream_key(seed + 1, *one)


def test_numbers_are_not_their_digits_and_order_matters() -> None:
    names: list[list[str | int]] = [[1], ["1"], [1, 2], [2, 1], ["1", 2], [12], [1, "2"]]
    keys = {stream_key(0, *n) for n in names}
    assert len(keys) == 7


def test_a_stream_does_not_depend_on_what_was_drawn_before() -> None:
    alone = generator(3, "a").random(5)
    generator(3, "b").random(1000)
    np.random.default_rng(0).random(10)
    np.testing.assert_array_equal(generator(3, "a").random(5), alone)


def test_global_generators_are_untouched() -> None:
    before = torch.random.get_rng_state()
    generator(1, "x").random(3)
    torch_seed(1, "x")
    assert torch.equal(torch.random.get_rng_state(), before)


@given(st.integers(0, 2**63 - 1))
def test_torch_takes_every_seed(seed: int) -> None:
    value = torch_seed(seed, "initial")
    assert 0 <= value < 2**63
    torch.Generator().manual_seed(value)


def test_streams_of_neighbours_do_not_correlate() -> None:
    draws = np.stack([generator(0, "client", i).standard_normal(4000) for i in range(20)])
    off = np.asarray(np.corrcoef(draws))[np.triu_indices(20, 1)]
    assert np.abs(off).max() == pytest.approx(0, abs=5 / np.sqrt(4000))
