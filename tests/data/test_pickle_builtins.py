"""Sets, complex numbers, bytes and NumPy numbers: equal to the standard library's, or refused."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pickle_trees import assert_equal, error_of, load_bytes

from fedaffect.data.pickle_builtins import MAX_SET_VALUES

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20)
)
MEMBERS = SCALARS | st.tuples(SCALARS, st.tuples(SCALARS))
LONG = b"\x80\xff\x00\\u'\n" * 300  # longer than the strings that are decoded at once
VALUES = st.recursive(
    SCALARS
    | st.sets(MEMBERS, max_size=5)
    | st.frozensets(MEMBERS, max_size=5)
    | st.complex_numbers()
    | st.binary(max_size=9).map(bytearray)
    | st.sampled_from([LONG, bytearray(LONG)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES, protocol=st.integers(0, 5))
def test_what_python3_writes_is_read_as_the_standard_library_reads_it(
    tmp_path_factory, value, protocol
):
    data = pickle.dumps(value, protocol)
    ours = load_bytes(tmp_path_factory.mktemp("values"), data)
    assert_equal(ours, pickle.loads(data, encoding="latin1"))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("code", ["?", "i1", "u8", ">i4", "f2", "f4", ">f8"])
def test_numpy_numbers_keep_their_type(tmp_path, code, protocol):
    value = np.array([1.5]).astype(code)[0]
    data = pickle.dumps([value, {value}], protocol)
    ours = load_bytes(tmp_path, data)
    assert_equal(ours, pickle.loads(data))
    assert ours[0].dtype == np.dtype(code).newbyteorder("=")


def test_an_integer_of_numpy_may_be_a_key(tmp_path):
    value = {np.int32(3): "a", np.bool_(False): "b", b"c": "d"}
    assert_equal(load_bytes(tmp_path, pickle.dumps(value)), value)


# As Python 2.7 writes them: set([1, 'a']), frozenset([(1, None)]), 1-2j, bytearray(b'a\xe9').
PYTHON2 = {
    "set": b"c__builtin__\nset\np0\n((lp1\nI1\naS'a'\np2\natp3\nRp4\n.",
    "frozenset": b"\x80\x02c__builtin__\nfrozenset\nq\x01]q\x02K\x01N\x86q\x03a\x85q\x04Rq\x05.",
    "complex": b"c__builtin__\ncomplex\np0\n(F1.0\nF-2.0\ntp1\nRp2\n.",
    "bytearray": b"c__builtin__\nbytearray\np0\n(Va\xe9\np1\nS'latin-1'\np2\ntp3\nRp4\n.",
}


@pytest.mark.parametrize("kind", PYTHON2)
def test_what_python2_writes_is_read_as_the_standard_library_reads_it(tmp_path, kind):
    theirs = pickle.loads(PYTHON2[kind], encoding="latin1")
    assert type(theirs).__name__ == kind
    assert_equal(load_bytes(tmp_path, PYTHON2[kind]), theirs)


def called(name: bytes, arguments: bytes) -> bytes:
    return b"c__builtin__\n" + name + b"\n(" + arguments + b"tR."


# Two tuples of equal hash, for hash(-1) == hash(-2), and all pairs of them: again equal hashes.
COLLIDING = b"J\xff\xff\xff\xff\x85q\x00J\xfe\xff\xff\xff\x85q\x01"
DEEP = b")" + b"\x85" * 9
REFUSED = {
    "list in a set": (b"\x80\x04\x8f(]\x90.", "E316", "a value of type list in a set"),
    "dict in a frozenset": (b"\x80\x04(}\x91.", "E316", "a value of type dict in a set"),
    "set in a set": (b"\x80\x04\x8f(\x8f\x90.", "E316", "a value of type set in a set"),
    "list in a tuple": (b"\x80\x04\x8f(]\x85\x90.", "E316", "a value of type list in a set"),
    "class in a set": (b"\x8f(cnumpy\nndarray\n\x90.", "E316", "type Global in a set"),
    "bytearray in a set": (
        b"\x8f(\x96" + bytes([1, *[0] * 7]) + b"a\x90.",
        "E316",
        "type bytearray in a set",
    ),
    "long text in a set": (
        b"\x8f(X\x00\x10\x00\x00" + b"a" * 4096 + b"\x90.",
        "E316",
        "type LocatedText in a set",
    ),
    "added to a frozenset": (b"((\x91(\x90.", "E316", "a set belongs"),
    "added to nothing": (b"(K\x01\x90.", "E316", "nothing where a set belongs"),
    "appended to a set": (b"\x8fK\x01a.", "E316", "a list belongs"),
    "set as a key": (b"}\x8fNs.", "E316", "a value of type set as a key"),
    "frozenset as a key": (b"}((\x91Nu.", "E316", "as a key of a dict"),
    "deep tuple": (b"\x8f(" + DEEP + b"\x90.", "E318", "tuples over 8 deep"),
    "2**64 in a tuple": (
        b"\x8f()" + b"q\x00h\x00\x86" * 64 + b"\x90.",
        "E318",
        "tuples over 8 deep",
    ),
    "wide tuples": (
        b"\x8f((" + b"N" * 1000 + b"tq\x00" + b"h\x00" * 10_000 + b"\x90.",
        "E318",
        f"more than {MAX_SET_VALUES} values in sets",
    ),
    "equal hashes": (
        b"\x80\x04" + COLLIDING + b"\x8f(" + b"h\x00h\x01\x86h\x01h\x00\x86" * 10_000 + b"\x90.",
        "E318",
        "values in sets",
    ),
    "one list, many sets": (
        b"](" + b"K\x01" * 1000 + b"eq\x00" + b"0c__builtin__\nset\n(h\x00tR" * 1000 + b".",
        "E318",
        "values in sets",
    ),
    "huge integer": (b"\x8f(\x8a\x0a" + b"\x7f" * 10 + b"\x90.", "E318", "integer of 10 bytes"),
    "set of text": (called(b"set", b"S'abc'\n"), "E316", "set is called in an unknown way"),
    "set of a dict": (called(b"frozenset", b"}"), "E316", "frozenset is called in an unknown"),
    "set of two": (called(b"set", b"]]"), "E316", "set is called in an unknown way"),
    "set of lists": (called(b"set", b"(]l"), "E316", "type list in a set"),
    "text of complex": (called(b"complex", b"S'1j'\n"), "E316", "complex is called in an"),
    "integer complex": (called(b"complex", b"I1\nI2\n"), "E316", "complex is called in an"),
    "bytes of a size": (called(b"bytes", b"I9\n"), "E316", "bytes is called in an unknown"),
    "bytearray of a size": (called(b"bytearray", b"L999999999999L\n"), "E316", "type int"),
    "bytearray of a list": (called(b"bytearray", b"]"), "E316", "made of a value of type list"),
    "bytearray of text": (called(b"bytearray", b"Va\n"), "E316", "made of a value of type str"),
    "bytearray in utf-8": (called(b"bytearray", b"Va\nS'utf-8'\n"), "E316", "in an unknown"),
    "snowman": (called(b"bytearray", b"V\\u2603\nS'latin-1'\n"), "E316", "that is not bytes"),
    "long snowman": (
        called(b"bytearray", b"V" + b"\\u2603" * 300 + b"\nS'latin-1'\n"),
        "E316",
        "not valid raw_unicode text",
    ),
    "other codec": (b"c_codecs\nencode\n(Va\nS'rot13'\ntR.", "E316", "encode is called in an"),
    "encoded list": (b"c_codecs\nencode\n(]S'latin1'\ntR.", "E316", "bytes are made of"),
    "set with a state": (b"\x80\x04\x8f}b.", "E316", "a value of type set is given a state"),
    "other builtin": (b"cbuiltins\nsetattr\n.", "E314", "asks for builtins.setattr; refused"),
    "set of another": (b"csets\nset\n.", "E314", "asks for sets.set; refused"),
    "buffer": (b"\x80\x05\x97.", "E315", "NEXT_BUFFER"),
    "read-only buffer": (b"\x80\x05\x98.", "E315", "READONLY_BUFFER"),
    "long bytearray": (
        b"\x96\x00\x00\x20" + b"\x00" * 5 + b"a" * 0x200000 + b".",
        "E318",
        "is not data",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_writer_of_data_produces_is_refused(tmp_path, case):
    data, code, words = REFUSED[case]
    error = error_of(tmp_path, data)
    assert (error.code, words in error.message) == (code, True), error


def test_a_set_of_equal_hashes_within_the_limit_is_made(tmp_path):
    members = set(itertools.product((-1, -2), repeat=8))
    assert (len(members), len({hash(member) for member in members})) == (256, 1)
    assert_equal(load_bytes(tmp_path, pickle.dumps(members)), members)


def test_bytes_made_often_of_one_string_are_decoded_once(tmp_path):
    text = b"B\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x00"
    made = b"cbuiltins\nbytearray\nq\x01(" + b"h\x01h\x00\x85R" * 5000 + b"l."
    arrays = load_bytes(tmp_path, text + made)  # 5 GB, were each its own
    assert len(arrays) == 5000
    assert arrays[0] == bytearray(b"a") * (1 << 20)
    assert len({id(array) for array in arrays}) == 1
