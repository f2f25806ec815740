"""Hostile, broken and mutated pickles: errors that say where, or data, and nothing is run."""

import gzip
import os
import pickle
import random

import numpy as np
import pytest
from pickle_trees import FIXTURES, error_of, load_bytes

from fedaffect.data.pickle_reader import load_pickle
from fedaffect.errors import DataError

FUZZ_CASES = int(os.environ.get("FEDAFFECT_FUZZ_CASES", "4000"))


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
    data = path.read_bytes()
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
                    rng.choices(b"()tRbcds.SIVNLgpq0\n'\\x\x80\x85\x93\x8e\x8f\x90\x91\xff", k=2)
                )
            case 3:
                out[at] = rng.choice(b"(.0123456789tRbusaelNdi]})jhqr\x81\x87\x92\x94\x95\x96")
            case _:
                end = at + rng.randrange(30)
                out[at:at] = out[at:end]
    return bytes(out)


def test_mutated_files_give_data_errors_or_data(tmp_path):
    rng = random.Random(20)
    small = [p.read_bytes() for p in FIXTURES]
    small += [
        pickle.dumps(
            {"a": np.arange(6.0), "b": [1, "x"], "c": [{1, ("y", None)}, 1j, bytearray(b"z")]},
            protocol=p,
        )
        for p in range(6)
    ]
    outcomes = {"data": 0, "error": 0}
    for i in range(FUZZ_CASES):
        try:
            load_bytes(tmp_path, mutated(small[i % len(small)], rng))
            outcomes["data"] += 1
        except DataError as error:
            assert "\n" not in str(error)
            outcomes["error"] += 1
    assert min(outcomes.values()) > 100, outcomes
