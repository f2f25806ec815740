"""The noise: its distribution, its key, and who can repeat it. KS gates at p < 1e-6."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fedaffect.errors import PrivacyError
from fedaffect.privacy.noise import KeyedStream, SecretNoiseKey, TestNoiseKey

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


def test_the_key_file_is_private_random_and_kept(tmp_path: Path) -> None:
    first = SecretNoiseKey.load(tmp_path)
    path = tmp_path / "noise.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert os.listdir(tmp_path) == ["noise.key"]
    second = SecretNoiseKey.load(tmp_path)
    assert first.seal(b"x") == second.seal(b"x")
    (tmp_path / "other").mkdir()
    assert SecretNoiseKey.load(tmp_path / "other").seal(b"x") != first.seal(b"x")


def test_threads_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    seals: list[str] = []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        seals.append(SecretNoiseKey.load(tmp_path).seal(b"x"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seals) == 8 and len(set(seals)) == 1
    assert os.listdir(tmp_path) == ["noise.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    SecretNoiseKey.load(tmp_path)
    (tmp_path / "noise.key").chmod(mode)
    with pytest.raises(PrivacyError) as caught:
        SecretNoiseKey.load(tmp_path)
    assert caught.value.code == "E403"
    assert "chmod 600" in caught.value.do


def test_odd_key_files_are_refused_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "noise.key"
    for content in (b"", b"short", bytes(33)):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(PrivacyError, match="32 bytes"):
            SecretNoiseKey.load(tmp_path)
        assert path.read_bytes() == content
    path.unlink()
    real = tmp_path / "real"
    real.write_bytes(bytes(32))
    real.chmod(0o600)
    path.symlink_to(real)
    with pytest.raises(PrivacyError):
        SecretNoiseKey.load(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(PrivacyError):
        SecretNoiseKey.load(tmp_path)
    with pytest.raises(PrivacyError):
        SecretNoiseKey.load(tmp_path / "missing")


def test_key_bytes_are_never_shown_or_pickled(tmp_path: Path) -> None:
    secret = os.urandom(32)
    key = SecretNoiseKey(secret)
    noise, draws = key.stream(release=1, block="b", inputs=b""), key.draws("r")
    for thing in (key, noise, draws):
        text = repr(thing) + str(thing)
        assert secret.hex() not in text and repr(secret) not in text
    assert "key" not in repr(noise) and "key=" not in repr(draws)
    for thing in (key, draws):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="never pickled"):
            copy.deepcopy(thing)
    with pytest.raises(ValueError, match="32 bytes") as caught:
        SecretNoiseKey(secret[:31])
    assert repr(secret[:31]) not in str(caught.value)
    digest = b"\x01" * 32
    assert key.seal(digest) not in (digest.hex(), secret.hex())


def test_a_whole_model_is_noised_in_milliseconds() -> None:
    noise = stream()
    noise.gaussian(97_000)
    best = min(timed(noise) for _ in range(5))
    assert best < 0.03


def timed(noise: KeyedStream) -> float:
    start = time.process_time()
    noise.gaussian(97_000)
    return time.process_time() - start
