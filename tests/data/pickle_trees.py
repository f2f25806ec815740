"""Fixtures of the pickle reader's tests, and equality that looks at every type on the way."""

from pathlib import Path

import numpy as np
import pytest

from fedaffect.data.pickle_reader import load_pickle
from fedaffect.data.pickle_values import LazyArray
from fedaffect.errors import DataError

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
    assert type(ours) is type(theirs)
    if isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()
        if theirs.size and (theirs.flags.c_contiguous or theirs.flags.f_contiguous):
            assert ours.strides == theirs.strides
    elif isinstance(theirs, dict):
        for (key, item), (their_key, their_item) in zip(ours.items(), theirs.items(), strict=True):
            assert_equal(key, their_key)
            assert_equal(item, their_item)
    elif isinstance(theirs, (list, tuple)):
        for a, b in zip(ours, theirs, strict=True):
            assert_equal(a, b)
    elif isinstance(theirs, (set, frozenset)):
        assert sorted(map(typed, ours)) == sorted(map(typed, theirs))
    else:  # repr tells -0.0 from 0.0 and takes NaN as equal to itself
        assert repr(ours) == repr(theirs)


def typed(member):
    inside = [typed(item) for item in member] if isinstance(member, tuple) else repr(member)
    return f"{type(member).__name__} {inside}"


def load_bytes(tmp_path, data: bytes):
    path = tmp_path / "S5.pkl"
    path.write_bytes(data)
    return read_all(load_pickle(path))


def error_of(tmp_path, data: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        load_bytes(tmp_path, data)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return caught.value


def python2_array(array) -> bytes:
    """Protocol 0 as Python 2.7 writes a one-dimensional array; the repr of bytes is the same."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I%d\ntcnumpy\n"
        b"dtype\n(S'%s'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS%s\ntb."
        % (len(array), array.dtype.str[1:].encode(), repr(array.tobytes())[1:].encode())
    )
