"""The noise: its distribution, and who can repeat it. KS gates at p < 1e-6."""

from __future__ import annotations

import math
import pickle
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from fedaffect.privacy.noise import CHUNK, KeyedStream, SecretNoiseKey, TestNoiseKey

KEY = SecretNoiseKey(bytes(range(32)))
GATE = 1e-6


def stream(release: int = 1, block: str = "shared", inputs: bytes = b"sum") -> KeyedStream:
    return KEY.stream(release=release, block=block, inputs=inputs)


@pytest.mark.parametrize("draw", ["gaussian", "laplace"])
@pytest.mark.parametrize(("factor", "fits"), [(1, True), (2 / 3, False), (3 / 2, False)])
def test_distribution_and_scale(draw: str, factor: float, fits: bool) -> None:
    unit = {"gaussian": stats.norm, "laplace": stats.laplace}[draw]
    values = getattr(stream(), draw)(4001) * factor
    assert bool(stats.kstest(values, unit.cdf).pvalue > GATE) is fits


@pytest.mark.parametrize(("draw", "sd"), [("gaussian", 1.0), ("laplace", np.sqrt(2))])
def test_moments_of_many_draws(draw: str, sd: float) -> None:
    values = getattr(stream(), draw)(200_001)
    kurtosis = {"gaussian": 3.0, "laplace": 6.0}[draw]
    error_of_sd = sd * np.sqrt((kurtosis - 1) / (4 * len(values)))
    assert abs(values.mean()) < 4 * sd / np.sqrt(len(values))
    assert abs(values.std() - sd) < 4 * error_of_sd
    assert abs(stats.kurtosis(values, fisher=False) - kurtosis) < 0.3
    halves = np.corrcoef(values[:100_000], values[100_001:])[0, 1]  # the two Box-Muller sides
    neighbours = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert max(abs(halves), abs(neighbours)) < 5 / np.sqrt(100_000)


def test_uniforms_are_open_and_even() -> None:
    values = stream().uniform(100_000)
    assert values.min() > 0 and values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > GATE
    np.testing.assert_array_equal(values * 2**53 % 2, np.ones(100_000))  # odd multiples of 2^-53


def keystream(key: bytes, words: int) -> list[int]:
    """AES-CTR from the block cipher: the encrypted counters 0, 1, 2, ..., as 64-bit words."""
    counters = b"".join(i.to_bytes(16, "big") for i in range((words + 1) // 2))
    stream = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(counters)
    return [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(words)]


@pytest.mark.parametrize("size", [1, 2, 7, 2 * CHUNK + 5])
def test_draws_are_those_of_a_loop_over_the_block_cipher(size: int) -> None:
    key, pairs = bytes(range(32, 64)), (size + 1) // 2
    u = [((word >> 12) + 0.5) * 2.0**-52 for word in keystream(key, 8 * pairs)]
    np.testing.assert_array_equal(KeyedStream(key).uniform(8 * pairs), u)
    cosines, sines = [], []
    for start in range(0, pairs, CHUNK):
        m = min(CHUNK, pairs - start)
        block = u[8 * start : 8 * (start + m)]
        for i in range(m):
            four = [
                (math.sqrt(-2 * math.log(block[k * m + i])), 2 * math.pi * block[(4 + k) * m + i])
                for k in range(4)
            ]
            cosines.append(sum(r * math.cos(a) for r, a in four) / 2)
            sines.append(sum(r * math.sin(a) for r, a in four) / 2)
    expected = (cosines + sines)[:size]
    np.testing.assert_allclose(KeyedStream(key).gaussian(size), expected, rtol=0, atol=1e-13)


def test_draws_do_not_depend_on_the_number_of_threads() -> None:
    before, seen = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            seen.append(stream().gaussian(60_001))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(seen[0], seen[1])


def test_tails_are_normal() -> None:
    values = stream().gaussian(1_000_000)
    for bound in (1.0, 2.0, 3.0, 4.0):
        share = 2 * stats.norm.sf(bound)
        error = np.sqrt(share * (1 - share) / len(values))
        assert abs((np.abs(values) > bound).mean() - share) < 5 * error
    assert 4.5 < np.abs(values).max() < 7


def test_cipher_chunks_are_independent() -> None:
    values = stream().gaussian(8 * CHUNK)  # cosines of four chunks, then their sines
    chunks = values.reshape(8, CHUNK)
    together = np.corrcoef(chunks)[np.triu_indices(8, 1)]
    assert np.abs(together).max() < 5.5 / np.sqrt(CHUNK)
    size = np.corrcoef(chunks**2)[np.triu_indices(8, 1)]  # neither do large values coincide
    assert np.abs(size).max() < 5.5 / np.sqrt(CHUNK)


@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_sizes(size: int) -> None:
    assert stream().gaussian(size).shape == stream().laplace(size).shape == (size,)


def test_equal_inputs_repeat_and_anything_else_is_independent() -> None:
    base = stream().gaussian(2000)
    np.testing.assert_array_equal(stream().gaussian(2000), base)
    others = [
        stream(release=2),
        stream(block="task:stress"),
        stream(inputs=b"other sum"),
        SecretNoiseKey(bytes(32)).stream(release=1, block="shared", inputs=b"sum"),
    ]
    for other in others:
        assert abs(np.corrcoef(other.gaussian(2000), base)[0, 1]) < 5 / np.sqrt(2000)


def test_test_noise_does_not_depend_on_the_inputs() -> None:
    key = TestNoiseKey("a")
    one = key.stream(release=1, block="shared", inputs=b"x").gaussian(100)
    two = key.stream(release=1, block="shared", inputs=b"y").gaussian(100)
    np.testing.assert_array_equal(one, two)
    for other in (
        key.stream(release=2, block="shared", inputs=b"x"),
        key.stream(release=1, block="task", inputs=b"x"),
        TestNoiseKey("b").stream(release=1, block="shared", inputs=b"x"),
    ):
        assert not np.isclose(other.gaussian(100), one).any()
    assert (key.kind, KEY.kind) == ("unsafe-test", "secret")


def test_secret_draws_have_the_rate_and_belong_to_one_run_and_release() -> None:
    ids, draws = list(range(400)), KEY.draws("run-a")
    rounds = [draws.bernoulli(r, ids, 0.3) for r in range(1, 26)]
    assert abs(sum(map(len, rounds)) / 10_000 - 0.3) < 5 * np.sqrt(0.21 / 10_000)
    assert rounds[0] == draws.bernoulli(1, ids, 0.3) == KEY.draws("run-a").bernoulli(1, ids, 0.3)
    # A client's flip does not depend on who else is asked, or in which order.
    assert draws.bernoulli(1, ids[::-1][:50], 0.3) == [i for i in ids[::-1][:50] if i in rounds[0]]
    again = [KEY.draws("run-b").bernoulli(r, ids, 0.3) for r in range(1, 26)]
    both = sum(len(set(a) & set(b)) for a, b in zip(rounds, again, strict=True)) / 10_000
    assert abs(both - 0.09) < 5 * np.sqrt(0.09 * 0.91 / 10_000)
    following = sum(len(set(a) & set(b)) for a, b in pairwise(rounds)) / 9600
    assert abs(following - 0.09) < 5 * np.sqrt(0.09 * 0.91 / 9600)
    assert draws.bernoulli(1, ids, 1.0) == ids
    assert draws.bernoulli(1, ids, 0.0) == []


@pytest.mark.parametrize("root", [KEY, TestNoiseKey("a")], ids=["secret", "test"])
def test_clients_have_keys_of_their_own(root: SecretNoiseKey | TestNoiseKey) -> None:
    def draws(key: SecretNoiseKey | TestNoiseKey) -> np.ndarray:
        return key.stream(release=1, block="shared", inputs=b"sum").gaussian(2000)

    one, two = root.client(1), root.client(2)
    assert type(one) is type(root) and one.kind == root.kind
    np.testing.assert_array_equal(draws(one), draws(root.client(1)))
    seen = np.corrcoef([draws(key) for key in (root, one, two, one.client(1), root.client(-1))])
    assert np.abs(seen[np.triu_indices(5, 1)]).max() < 5 / np.sqrt(2000)
    assert one.seal(b"x") != two.seal(b"x")
    if isinstance(root, SecretNoiseKey):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(one)


def test_check_compares_keys_without_showing_them() -> None:
    assert KEY.check() == SecretNoiseKey(bytes(range(32))).check()
    others = [SecretNoiseKey(bytes(32)), KEY.client(0), TestNoiseKey("a"), TestNoiseKey("b")]
    assert len({KEY.check(), *(key.check() for key in others)}) == 5
    assert bytes(range(32)).hex() not in KEY.check() and len(bytes.fromhex(KEY.check())) == 32


def test_windows_are_independent_draws_at_the_rate() -> None:
    draws, n, q = KEY.draws("run-a"), 60, 0.2
    steps = np.zeros((500, n), dtype=bool)
    for step, taken in enumerate(steps):
        taken[draws.windows(0, 1, 7, step, n, q)] = True
    sizes = steps.sum(axis=1)
    assert abs(sizes.mean() - n * q) < 5 * np.sqrt(n * q * (1 - q) / 500)
    # sizes are binomial, not fixed: their variance is n q (1 - q)
    assert abs(sizes.var() / (n * q * (1 - q)) - 1) < 5 * np.sqrt(2 / 500)
    both = np.corrcoef(steps.T)[np.triu_indices(n, 1)]
    assert np.abs(both).max() < 5.5 / np.sqrt(500)
    following = (steps[1:] & steps[:-1]).mean()
    assert abs(following - q * q) < 5 * np.sqrt(q * q * (1 - q * q) / steps[1:].size)


def test_windows_belong_to_a_run_fold_round_client_and_step() -> None:
    def windows(run: str = "a", **changes: int) -> list[int]:
        names = {"fold": 0, "server_round": 1, "client_id": 2, "step": 3} | changes
        taken = KEY.draws(run).windows(**names, n=200, q=0.5)
        assert list(taken) == sorted(set(taken)) and taken.dtype == np.int64
        return list(taken)

    assert windows() == windows()
    others = [windows("b"), *(windows(**{name: 9}) for name in ("fold", "server_round"))]
    others += [windows(**{name: 9}) for name in ("client_id", "step")]
    assert all(abs(len(set(windows()) & set(other)) - 50) < 35 for other in others)
    assert list(KEY.draws("a").windows(0, 1, 2, 3, 5, 1.0)) == [0, 1, 2, 3, 4]
    assert KEY.draws("a").salt != KEY.draws("b").salt
    assert TestNoiseKey("x").draws("a").salt == TestNoiseKey("x").draws("b").salt


def test_a_whole_model_is_noised_in_milliseconds() -> None:
    noise = stream()
    noise.gaussian(97_000)
    best = min(timed(noise) for _ in range(5))
    assert best < 0.015


def timed(noise: KeyedStream) -> float:
    start = time.process_time()
    noise.gaussian(97_000)
    return time.process_time() - start
