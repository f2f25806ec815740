"""The data-only pickle reader against the standard library's, on files of Python 2 and 3."""

import gzip
import os
import pickle
import pickletools
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.data import pickle_values
from fedaffect.data.pickle_reader import load_pickle
from fedaffect.data.pickle_values import LazyArray
from fedaffect.errors import DataError

FUZZ_CASES = int(os.environ.get("FEDAFFECT_FUZZ_CASES", "4000"))
FIXTURES = sorted((Path(__file__).parent / "py2_pickles").glob("*.pkl"))


def read_all(value):
    if isinstance(value, LazyArray):
        return value.read()
    if isinstance(value, dict):
        return {key: read_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(read_all(item) for item in value)
    return value


def assert_equal(ours, theirs):
    if isinstance(theirs, np.generic):
        theirs = theirs.item()
    if isinstance(theirs, bytes):
        theirs = theirs.decode("latin-1")
    assert type(ours) is type(theirs)
    if isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()
        if theirs.size and (theirs.flags.c_contiguous or theirs.flags.f_contiguous):
            assert ours.strides == theirs.strides
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_equal(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_equal(a, b)
    elif isinstance(theirs, float) and theirs != theirs:
        assert ours != ours
    else:
        assert ours == theirs


def load_bytes(tmp_path, data: bytes):
    path = tmp_path / "S5.pkl"
    path.write_bytes(data)
    return read_all(load_pickle(path))


def data_part(path: Path) -> bytes:
    """The bytes of a fixture; Python 3's are cut before the sets that close their dict."""
    data = path.read_bytes()
    if path.stem.startswith("py2"):
        return data
    cut = next(at for op, value, at in pickletools.genops(data) if value == "s")
    body = data[11:cut] + b"u."  # SETITEMS, STOP; the frame's length stands in bytes 3 to 11
    return data[:3] + struct.pack("<Q", len(body)) + body


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_fixture_loads_as_the_standard_library_loads_it(tmp_path, path):
    data = data_part(path)
    assert_equal(load_bytes(tmp_path, data), pickle.loads(data, encoding="latin1"))


@pytest.mark.parametrize("path", FIXTURES[-2:], ids=lambda p: p.stem)
def test_fixture_with_a_set_is_refused(path):
    with pytest.raises(DataError, match="EMPTY_SET is not for data; refused"):
        load_pickle(path)


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


def python2_array(array) -> bytes:
    """Protocol 0 as Python 2.7 writes a one-dimensional array; the repr of bytes is the same."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I%d\ntcnumpy\n"
        b"dtype\n(S'%s'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS%s\ntb."
        % (len(array), array.dtype.str[1:].encode(), repr(array.tobytes())[1:].encode())
    )


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


def error_of(tmp_path, data: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        load_bytes(tmp_path, data)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return caught.value


class Command:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_command_is_refused_and_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"signal": Command()}, protocol=protocol)
    error = error_of(tmp_path, data)
    assert error.code == "E314"
    assert "system; refused" in error.message
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)  # the same bytes do run it under the standard library
    assert (tmp_path / "ran").exists()


ARRAY = pickle.dumps(np.arange(600.0), protocol=2)
HEAD = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
F8 = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
BODY = F8 + b"I00\nS''\ntb."
REFUSED = {
    "inst": (b"(S'touch ran'\nios\nsystem\n.", "E314", "asks for os.system; refused"),
    "eval": (b"c__builtin__\neval\n(S'1'\ntR.", "E314", "asks for __builtin__.eval; refused"),
    "dotted": (b"\x8c\x05numpy\x8c\x10core.os.system()\x93.", "E314", "numpy.core.os.system"),
    "other numpy": (b"cnumpy\nload\n.", "E314", "asks for numpy.load"),
    "hostile name": (b"c\x1b[31m" + b"a" * 200 + b"\nb\n.", "E314", "\\x1b[31maaaa"),
    "class left": (b"cnumpy\nndarray\n.", "E316", "no data"),
    "called wrongly": (b"cnumpy\nndarray\n(I1000\ntR.", "E316", "unknown way"),
    "build a class": (b"cnumpy\nndarray\n}b.", "E316", "type Global is given a state"),
    "unknown opcode": (b"\x80\x02\xff.", "E315", "opcode 0xff is not for data; refused (byte 2)"),
    "ext": (b"\x80\x02\x82\x01.", "E315", "EXT1"),
    "persistent": (b"Pabc\n.", "E315", "PERSID"),
    "newobj": (b"\x80\x02cnumpy\nndarray\n)\x81.", "E315", "NEWOBJ"),
    "set": (b"\x80\x04\x8f.", "E315", "EMPTY_SET"),
    "long4": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "E315", "LONG4"),
    "protocol 6": (b"\x80\x06N.", "E315", "protocol 6"),
    "huge integer": (b"L" + b"9" * 200 + b"L\n.", "E316", "is not a number"),
    "arabic digits": ("I\u0661\n.".encode(), "E316", "is not a number"),
    "empty stack": (b".", "E316", "stack is empty"),
    "no mark": (b"t.", "E316", "no mark"),
    "no memo": (b"g5\n.", "E316", "memo entry 5"),
    "list as key": (b"}]Ns.", "E316", "a value of type list as a key"),
    "odd items": (b"}(NNNu.", "E316", "without a value"),
    "no quotes": (b"Sabc\n.", "E316", "quotes"),
    "deep": (b"(" * 10_000 + b".", "E318", "nested deeper"),
    "deep tuples": (b")" + b"\x85" * 50_000 + b".", "E318", "nested deeper"),
    "in itself": (b"]q\x00h\x00a.", "E318", "in itself"),
    "many objects": (b"]" * 1_100_000 + b".", "E318", "instructions"),
    "long text": (b"T\xff\xff\x1f\x00" + b"a" * 0x1FFFFF + b".", "E318", "is not data"),
    "negative length": (b"T\xff\xff\xff\xff.", "E316", "negative length"),
    "huge length": (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "E313", "ends at byte 12 of at least"),
    "huge frame": (b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.", "E316", "stack is empty"),
    "header too large": (ARRAY.replace(b"MX\x02\x85", b"J\xff\xff\xff\x7f\x85"), "E317", "bytes"),
    "overflow": (
        HEAD + b"(I1\n(I9223372036854775807\nI9\nt" + BODY,
        "E317",
        "elements",
    ),
    "endless shape": (
        HEAD
        + b"(I1\n(I9223372036854775807\np1\n"
        + b"g1\n" * 300_000
        + b"t"
        + F8
        + b"I00\nS''\ntb.",
        "E317",
        "shape",
    ),
    "negative shape": (HEAD + b"(I1\n(I-1\nt" + BODY, "E317", "shape"),
    "objects": (
        pickle.dumps(np.array([None, {}]), protocol=2),
        "E317",
        "contents are a value of type list",
    ),
    "complex": (pickle.dumps(np.zeros(3, complex), protocol=4), "E317", "dtype c16"),
    "dates": (pickle.dumps(np.zeros(3, "M8[s]"), protocol=4), "E317", "dtype"),
    "records": (pickle.dumps(np.zeros(3, "i4,f4"), protocol=4), "E317", "dtype"),
    "scalar object": (b"cnumpy.core.multiarray\nscalar\n(N]tR.", "E317", "type list"),
    "wide text": (
        HEAD + b"(I1\n(I1\nt" + F8 + b"I00\nV" + b"\\u2603" * 8 + b"\ntb.",
        "E317",
        "not bytes",
    ),
    "whole object": (pickle.dumps(np.random.default_rng, protocol=2), "E314", "numpy.random"),
    "never filled": (HEAD + b".", "E316", "no data"),
    "html": (b"\n<!DOCTYPE html><html>", "E312", "looks like HTML"),
    "gzip": (gzip.compress(ARRAY), "E312", "gzip"),
    "empty": (b"", "E312", "is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_or_broken_stream_is_refused(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    data, code, words = REFUSED[case]
    error = error_of(tmp_path, data)
    assert (error.code, words in error.message) == (code, True), error
    assert [p.name for p in tmp_path.iterdir()] == ["S5.pkl"]


def test_truncated_file_says_where_it_ends(tmp_path):
    error = error_of(tmp_path, ARRAY[:100])
    assert error.code == "E313"
    assert error.message.startswith("S5.pkl ends at byte 100 of at least ")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_every_truncation_is_an_error(tmp_path, path):
    data = data_part(path)
    for size in [*range(1, 400), len(data) // 2, len(data) - 2, len(data) - 1]:
        if size < len(data):
            assert error_of(tmp_path, data[:size]).code == "E313", size


def test_unreadable_and_too_large_files(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*gone\.pkl: No such file") as caught:
        load_pickle(tmp_path / "gone.pkl")
    assert caught.value.code == "E310"
    with pytest.raises(DataError, match="Is a directory"):
        load_pickle(tmp_path)
    with open(tmp_path / "big.pkl", "wb") as stream:
        stream.truncate(50 << 30)  # sparse: takes no disk
    with pytest.raises(DataError, match="53687091200 bytes") as caught:
        load_pickle(tmp_path / "big.pkl")
    assert caught.value.code == "E311"


def test_shared_containers_do_not_multiply(tmp_path):
    doubled = b"]" + b"q\x00](h\x00h\x00e" * 50 + b"."  # 2**50 leaves if it were copied
    path = tmp_path / "laughs.pkl"
    path.write_bytes(doubled)
    assert len(load_pickle(path)) == 2


def mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(min(len(out), rng.choice([60, 400, len(out)])))
        match rng.randrange(5):
            case 0:
                out[at] = rng.randrange(256)
            case 1:
                del out[at : at + rng.choice([1, 2, 9])]
            case 2:
                out[at:at] = bytes(
                    rng.choices(b"()tRbcds.SIVNLgpq0\n'\\x\x80\x85\x93\x8e\xff", k=2)
                )
            case 3:
                out[at] = rng.choice(b"(.0123456789tRbusaelNdi]})jhqr\x81\x87\x92\x94\x95\x96")
            case _:
                end = at + rng.randrange(30)
                out[at:at] = out[at:end]
    return bytes(out)


def test_mutated_files_give_data_errors_or_data(tmp_path):
    rng = random.Random(20)
    small = [data_part(p) for p in FIXTURES]
    small += [pickle.dumps({"a": np.arange(6.0), "b": [1, "x"]}, protocol=p) for p in range(6)]
    outcomes = {"data": 0, "error": 0}
    for i in range(FUZZ_CASES):
        try:
            load_bytes(tmp_path, mutated(small[i % len(small)], rng))
            outcomes["data"] += 1
        except DataError as error:
            assert "\n" not in str(error)
            outcomes["error"] += 1
    assert min(outcomes.values()) > 100, outcomes


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
