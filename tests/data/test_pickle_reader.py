"""The data-only pickle reader against the standard library's, on files of Python 2 and 3."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pickle_trees import FIXTURES, assert_equal, load_bytes, python2_array, read_all

from fedaffect.data import pickle_values
from fedaffect.data.pickle_reader import load_pickle
from fedaffect.errors import DataError


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_fixture_loads_as_the_standard_library_loads_it(path):
    with open(path, "rb") as stream:
        assert_equal(read_all(load_pickle(path)), pickle.load(stream, encoding="latin1"))


def test_there_are_eight_fixtures():
    assert [p.stem[:3] for p in FIXTURES] == ["py2"] * 6 + ["py3"] * 2


@pytest.mark.parametrize("protocol", range(6))
def test_python3_files_of_every_protocol(tmp_path, protocol):
    rng = np.random.Generator(np.random.Philox(1))
    value = {
        "every byte": rng.integers(0, 256, 5000, dtype=np.uint8),
        "big endian": rng.standard_normal((40, 3)).astype(">f4"),
        "fortran": np.asfortranarray(rng.standard_normal((30, 20))),
        "bool": rng.random(3000) < 0.5,
        "half": np.arange(9, dtype=np.float16),
        "empty": np.zeros((0, 3)),
        "scalar": np.array(3.5),
        "strided": np.arange(100)[::3],
        "number": np.float32(0.1),
        "text": "caf\u00e9 \u2603 \\ ' \" \n \r \x00",
        "long text": "ab\u2603" * 2000,
        "bytes": bytes(range(256)),
        "numbers": [0, 1, -1, 255, 256, 65536, 2**31, -(2**63), 1.5, -0.0, float("inf"), True],
        "nested": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, None),
        7: "integer key",
    }
    shared = [1, 2]
    value["shared"] = (shared, shared)
    if protocol < 4:
        value["long text"] = value["long text"][:900]
    ours = load_bytes(tmp_path, pickle.dumps(value, protocol=protocol))
    assert_equal(ours, value)


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(min_size=1025, max_size=1500),
    chunk=st.integers(1, 40),
    protocol=st.sampled_from([0, 1, 2, 4]),
)
def test_long_strings_decode_equally_for_any_chunk_size(tmp_path_factory, data, chunk, protocol):
    array = np.frombuffer(data + b"\\\\\n\\x'\"" * 3, np.uint8)
    path = tmp_path_factory.mktemp("chunks") / "a.pkl"
    path.write_bytes(python2_array(array) if protocol == 0 else pickle.dumps(array, protocol))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickle_values, "CHUNK_BYTES", chunk)
        assert load_pickle(path).read().tobytes() == array.tobytes()


def test_arrays_are_not_decoded_until_read(tmp_path):
    good = python2_array(np.zeros(2000, np.uint8))
    bad = good.replace(b"\\x00" * 3, b"\\xzz" * 3, 1)
    path = tmp_path / "a.pkl"
    path.write_bytes(bad)
    lazy = load_pickle(path)  # located only: the broken escape is not met
    assert lazy.shape == (2000,)
    with pytest.raises(DataError, match="is not valid escape text"):
        lazy.read()


def test_plain_bytes_are_a_read_only_view_of_the_file(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(np.arange(1000.0), protocol=4))
    array = load_pickle(path).read()
    assert not array.flags.owndata
    assert not array.flags.writeable


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory as Linux tells it")
def test_a_skipped_array_costs_no_memory(tmp_path):
    """A child reads a small array beside one of 64 MB, which takes 128 MB as escapes."""
    path = tmp_path / "a.pkl"
    large = python2_array(np.full(64 << 20, 9, np.uint8))[:-1]  # a tab: two bytes as an escape
    small = python2_array(np.arange(9))[:-1]
    path.write_bytes(b"(dS'large'\n" + large + b"sS'small'\n" + small + b"s.")
    program = """
import re, sys
from pathlib import Path
from fedaffect.data.pickle_reader import load_pickle
def peak_kb():
    return int(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])
before_kb = peak_kb()
tree = load_pickle(Path(sys.argv[1]))
n = tree["small"].read().sum()
skipped_kb = peak_kb() - before_kb
m = tree["large"].read().sum(dtype="int64")
print(n, m, skipped_kb, peak_kb() - before_kb)
"""
    out = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    n, m, skipped_kb, asked_kb = map(int, out.stdout.split())
    assert (n, m) == (36, 9 * (64 << 20))
    assert skipped_kb < 30_000
    assert 60_000 < asked_kb < 128_000  # less than twice the array asked for
