"""WESAD's files as Python 2 and 3 write them, in every protocol, whole and with changed bytes."""

import io
import pickle
import random

import numpy as np
import pytest
from wesad_files import HERE, KEYS, by_standard_library, python2_writer

from fedaffect.data.schema import CHEST_CHANNELS, WRIST_CHANNELS
from fedaffect.data.wesad import Wesad
from fedaffect.data.wesad_file import read_subject
from fedaffect.errors import DataError

pytestmark = pytest.mark.usefixtures("wesad_home")


def test_protocol_0_of_python_2_byte_by_byte():
    """The benchmark's writer gives the very bytes that Python 2.7.18 gave."""
    fixture = HERE / "py2_pickles" / "py2_p0.pkl"
    stream = io.BytesIO()
    python2_writer().Python2Writer(stream).write(by_standard_library(fixture))
    assert stream.getvalue() == fixture.read_bytes()


@pytest.mark.parametrize("modality", ["wrist", "chest", "both"])
def test_protocol_0_file_of_official_structure(tmp_path, modality):
    writer = python2_writer()
    path = tmp_path / "S2" / "S2.pkl"
    path.parent.mkdir()
    with open(path, "wb") as stream:
        writer.Python2Writer(stream).write(writer.official_size_tree(rows=7000))
    tree = by_standard_library(path)
    (recording,) = Wesad(modality=modality, allow_missing=True).load(tmp_path).recordings
    names = (WRIST_CHANNELS if modality != "chest" else ()) + (
        CHEST_CHANNELS if modality != "wrist" else ()
    )
    assert tuple(recording.signals) == names
    for name in names:
        device, key, column = KEYS[name]
        expected = tree["signal"][device][key][:, column].astype(np.float32)
        assert np.array_equal(recording.signals[name].values, expected)


@pytest.mark.parametrize("name", ["p0", "p1", "p2", "c0", "c1", "c2"])
def test_files_that_python_2_wrote(name):
    path = HERE / "py2_pickles" / f"py2_{name}.pkl"
    tree = by_standard_library(path)
    arrays = read_subject(path, "S2", ["wrist"])
    assert arrays.pop("label").tolist() == tree["label"].tolist()
    assert sorted(arrays) == sorted(WRIST_CHANNELS)
    for channel, values in arrays.items():
        device, key, column = KEYS[channel]
        expected = tree["signal"][device][key][:, column].astype(np.float32)
        assert np.array_equal(values, expected)


@pytest.mark.parametrize("protocol", range(6))
def test_python3_resave_with_bytes_keys(wesad_copy, protocol):
    """``pickle.load(encoding="bytes")`` and a plain dump turn every key into bytes."""
    path = wesad_copy / "S2" / "S2.pkl"
    expected = read_subject(path, "S2", ["wrist"])
    with open(path, "rb") as stream:
        tree = pickle.load(stream, encoding="bytes")
    assert b"signal" in tree
    with open(path, "wb") as stream:
        pickle.dump(tree, stream, protocol=protocol)
    again = read_subject(path, "S2", ["wrist"])
    assert expected.keys() == again.keys()
    for channel, values in expected.items():
        np.testing.assert_array_equal(again[channel], values)


def test_mutated_files_give_data_errors_or_channels(tmp_path):
    """Bytes are changed at random, also inside array data, where most changes stay unseen."""
    rng = random.Random(7)
    originals = [p.read_bytes() for p in sorted((HERE / "py2_pickles").glob("py2_*.pkl"))]
    path = tmp_path / "S2.pkl"
    outcomes = {"channels": 0, "error": 0}
    for i in range(900):
        data = bytearray(originals[i % 6])
        for _ in range(rng.choice([1, 3])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read_subject(path, "S2", ["wrist"])
            outcomes["channels"] += 1
        except DataError as error:
            assert "\n" not in str(error)
            outcomes["error"] += 1
    assert min(outcomes.values()) > 100, outcomes


def test_wrist_work_does_not_decode_the_chest(tmp_path):
    writer = python2_writer()
    path = tmp_path / "S2.pkl"
    with open(path, "wb") as stream:
        writer.Python2Writer(stream).write(writer.official_size_tree(rows=7000))
    data = path.read_bytes()
    at = data.index(b"S'chest'")
    path.write_bytes(data[:at] + data[at:].replace(b"\\xc0", b"\\xzz", 1))
    assert len(read_subject(path, "S2", ["wrist"])["wrist.bvp"]) == 640
    with pytest.raises(DataError, match="not valid escape text"):
        read_subject(path, "S2", ["chest"])
