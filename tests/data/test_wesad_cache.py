"""The cache of recordings: when WESAD's files are read again, and damage to the cache."""

import os

import numpy as np
import pytest
from wesad_files import error_of, rewrite

from fedaffect.data.recording_cache import cached_arrays
from fedaffect.data.schema import WRIST_CHANNELS
from fedaffect.data.wesad import Wesad
from fedaffect.errors import DataError

pytestmark = pytest.mark.usefixtures("wesad_home")


def test_second_load_does_not_touch_the_files(wesad_copy):
    messages = []
    loader = Wesad(progress=messages.append)
    first = loader.load(wesad_copy)
    assert len(messages) == 15
    path = wesad_copy / "S2" / "S2.pkl"
    stat = path.stat()
    path.write_bytes(b"\0" * stat.st_size)  # no pickle any more, but size and time stamp say so
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = loader.load(wesad_copy)
    assert len(messages) == 15
    assert first.files == second.files
    for a, b in zip(first.recordings, second.recordings, strict=True):
        for name in WRIST_CHANNELS:
            assert np.array_equal(a.signals[name].values, b.signals[name].values)
        assert np.array_equal(a.condition.values, b.condition.values)
    os.utime(path)
    assert error_of(wesad_copy).code == "E315"


def test_changed_file_is_read_again(wesad_copy):
    before = Wesad().load(wesad_copy)

    def warmer(tree):
        tree["signal"]["wrist"]["TEMP"] += 1

    rewrite(wesad_copy, "S4", warmer)
    after = Wesad().load(wesad_copy)
    a, b = (d.recordings[2].signals["wrist.temp"].values for d in (before, after))
    assert np.array_equal(a + 1, b)
    assert before.files[2].sha256 != after.files[2].sha256
    assert before.files[3] == after.files[3]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "header"])
def test_damaged_cache_is_made_again(tmp_path, wesad_home, damage):
    (tmp_path / "source").write_bytes(b"abc")
    calls = []

    def read(path):
        calls.append(path)
        return {"x": np.arange(1000.0), "empty": np.zeros((0, 2), np.float32)}

    def get():
        arrays, entry = cached_arrays("test", tmp_path, "source", read)
        assert np.array_equal(arrays["x"], np.arange(1000.0))
        assert arrays["empty"].shape == (0, 2)
        # Source of the digest: FIPS 180-2, appendix B.1.
        assert entry.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        return len(calls)

    assert [get(), get()] == [1, 1]
    (file,) = (wesad_home / "cache" / "recordings").iterdir()
    data = bytearray(file.read_bytes())
    assert file.stat().st_mode & 0o077 == 0
    match damage:
        case "flip":
            data[-9] ^= 1
        case "cut":
            del data[-100:]
        case "empty":
            data.clear()
        case _:
            data[:8] = b"\xff" * 8
    file.write_bytes(data)
    assert [get(), get()] == [2, 2]
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_cache_keeps_readers_and_folders_apart(tmp_path):
    def read_of(value):
        return lambda path: {"x": np.full(3, value)}

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "source").write_bytes(b"same")
        os.utime(tmp_path / folder / "source", ns=(1, 1))
    places = [("r1", "a"), ("r2", "a"), ("r1", "b")]
    for _ in range(2):
        found = [
            cached_arrays(reader, tmp_path / folder, "source", read_of(i))[0]["x"][0]
            for i, (reader, folder) in enumerate(places)
        ]
        assert found == [0, 1, 2]


def test_file_that_changes_while_it_is_read(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"abc")

    def read(path):
        path.write_bytes(b"abcdef")
        return {"x": np.zeros(1)}

    with pytest.raises(DataError, match="changed while it was being read") as caught:
        cached_arrays("test", tmp_path, "source", read)
    assert caught.value.code == "E319"


def test_source_that_is_gone(tmp_path):
    with pytest.raises(DataError, match="No such file") as caught:
        cached_arrays("test", tmp_path, "gone", lambda path: {})
    assert caught.value.code == "E310"
