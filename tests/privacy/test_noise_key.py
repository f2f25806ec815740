"""The noise key: its file, and that nothing shows or pickles it."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import threading
from pathlib import Path

import pytest

from fedaffect.errors import PrivacyError
from fedaffect.privacy.noise import SecretNoiseKey


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
