"""WESAD: the loader against the standard library's reading of the same files; cache; bad input."""

import hashlib
import importlib.util
import io
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from fedaffect.data.recording_cache import cached_arrays
from fedaffect.data.schema import CHEST_CHANNELS, WRIST_CHANNELS
from fedaffect.data.wesad import SUBJECTS, Wesad
from fedaffect.data.wesad_file import RATES_HZ, read_subject
from fedaffect.data.wesad_sample import write_pickle, write_sample
from fedaffect.errors import DataError

HERE = Path(__file__).parent
KEYS = {  # channel -> (device, key, column) in the file
    **{f"wrist.acc_{a}": ("wrist", "ACC", i) for i, a in enumerate("xyz")},
    **{f"chest.acc_{a}": ("chest", "ACC", i) for i, a in enumerate("xyz")},
    "wrist.bvp": ("wrist", "BVP", 0),
    "wrist.eda": ("wrist", "EDA", 0),
    "wrist.temp": ("wrist", "TEMP", 0),
    "chest.ecg": ("chest", "ECG", 0),
    "chest.emg": ("chest", "EMG", 0),
    "chest.eda": ("chest", "EDA", 0),
    "chest.temp": ("chest", "Temp", 0),
    "chest.resp": ("chest", "Resp", 0),
}


def python2_writer():
    path = HERE.parents[1] / "benchmarks" / "wesad_protocol0.py"
    spec = importlib.util.spec_from_file_location("wesad_protocol0", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_standard_library(path: Path):
    with open(path, "rb") as stream:
        return pickle.load(stream, encoding="latin1")


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("wesad")
    write_sample(root, seed=3, modality="wrist")
    return root


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def copy(sample, tmp_path):
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(sample, tmp_path / "copy"))


def rewrite(root: Path, subject: str, change) -> Path:
    path = root / subject / f"{subject}.pkl"
    tree = by_standard_library(path)
    tree = change(tree) or tree
    with open(path, "wb") as stream:
        write_pickle(tree, stream)
    return path


def error_of(root: Path | None, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        Wesad(**options).load(root)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return caught.value


def test_channels_are_the_columns_that_the_standard_library_reads(sample):
    data = Wesad().load(sample)
    assert [r.subject for r in data.recordings] == [f"S{i}" for i in range(2, 18) if i != 12]
    assert data.synthetic
    for recording in data.recordings:
        tree = by_standard_library(sample / recording.subject / f"{recording.subject}.pkl")
        assert tuple(recording.signals) == WRIST_CHANNELS
        for name, signal in recording.signals.items():
            device, key, column = KEYS[name]
            assert signal.values.dtype == np.float32
            assert np.array_equal(signal.values, tree["signal"][device][key][:, column])
        expected = [code if code in (1, 2, 3, 4) else -1 for code in tree["label"].tolist()]
        assert recording.condition.values.tolist() == expected
        ends = {s.end_s for s in (*recording.signals.values(), recording.condition)}
        assert max(ends) - min(ends) < 1.0


def test_rates_are_those_of_the_readme():
    assert {c: RATES_HZ[c] for c in WRIST_CHANNELS} == dict(
        zip(WRIST_CHANNELS, (32.0, 32.0, 32.0, 64.0, 4.0, 4.0), strict=True)
    )
    assert {RATES_HZ[c] for c in CHEST_CHANNELS} == {700.0}


def test_meaning_of_labels(sample):
    data = Wesad().load(sample)
    assert data.conditions == {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
    assert data.stress_of == {1: 0, 2: 1, 3: 0, 4: 0}
    labels = [by_standard_library(sample / f.path)["label"] for f in data.files]
    assert {int(code) for code in np.unique(labels)} == set(range(8))
    share = sum(code not in (1, 2, 3, 4) for code in labels[0].tolist()) / len(labels[0])
    assert data.notes == (f"labels 0, 5, 6 and 7 are not used: {share:.0%} of the recorded time",)


def test_files_are_listed_with_size_and_hash(sample):
    data = Wesad().load(sample)
    assert [f.path for f in data.files] == [f"{s}/{s}.pkl" for s in SUBJECTS]
    for entry in data.files:
        content = (sample / entry.path).read_bytes()
        assert entry.size == len(content)
        assert entry.sha256 == hashlib.sha256(content).hexdigest()


def test_root_may_hold_the_folder_named_wesad(sample, tmp_path):
    shutil.copytree(sample, tmp_path / "data" / "WESAD")
    assert len(Wesad().load(tmp_path / "data").recordings) == 15
    assert Wesad().subjects(tmp_path / "data") == SUBJECTS


def test_sample_depends_on_the_seed_only(sample, tmp_path):
    for folder, seed in (("again", 3), ("other", 4)):
        write_sample(tmp_path / folder, seed=seed, modality="wrist")
    first = (sample / "S9" / "S9.pkl").read_bytes()
    assert (tmp_path / "again" / "S9" / "S9.pkl").read_bytes() == first
    assert (tmp_path / "other" / "S9" / "S9.pkl").read_bytes() != first


def test_sample_shows_stress_and_who_it_is(sample):
    """Stress raises skin conductance in most people; people differ more than within baseline."""
    raised, between, within = 0, [], []
    for recording in Wesad().load(sample).recordings:
        codes = recording.condition.values[::175]  # 700 Hz to the 4 Hz of EDA
        eda = recording.signals["wrist.eda"].values
        temp = recording.signals["wrist.temp"].values[codes == 1]
        raised += eda[codes == 2].mean() > eda[codes == 1].mean()
        between.append(temp.mean())
        within.append(temp.std())
    assert raised >= 12
    assert np.std(between) > 3 * np.mean(within)


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


def test_keys_in_any_case_and_one_dimensional_columns(copy):
    before = Wesad().load(copy)

    def change(tree):
        wrist = {k.lower(): v for k, v in tree["signal"]["wrist"].items()}
        wrist["bvp"] = wrist["bvp"][:, 0].astype(">f8")
        label = tree["label"].astype(float)[:, None]
        return {"Signal": {"WRIST": wrist}, "LABEL": label, "subject": "S2"}

    rewrite(copy, "S2", change)
    after = Wesad().load(copy)
    for name in WRIST_CHANNELS:
        a, b = (d.recordings[0].signals[name].values for d in (before, after))
        assert np.array_equal(a, b)
    assert np.array_equal(
        before.recordings[0].condition.values, after.recordings[0].condition.values
    )


def test_sample_with_the_chest(tmp_path):
    write_sample(tmp_path, seed=1)
    data = Wesad(modality="both").load(tmp_path)
    recording = data.recordings[14]
    assert tuple(recording.signals) == WRIST_CHANNELS + CHEST_CHANNELS
    assert all(np.isfinite(s.values).all() for s in recording.signals.values())
    assert len(recording.signals["chest.ecg"].values) == len(recording.condition.values)


# What a user may bring.


def test_missing_people_are_listed_at_once(copy):
    shutil.rmtree(copy / "S5")
    (copy / "S17" / "S17.pkl").unlink()
    error = error_of(copy)
    assert error.code == "E321"
    assert "2 of 15 files are missing" in error.message
    assert "S5/S5.pkl, S17/S17.pkl" in error.message
    data = Wesad(allow_missing=True).load(copy)
    assert len(data.recordings) == 13
    assert data.notes[-1] == "missing people: S5, S17"
    assert "S5" not in Wesad(allow_missing=True).subjects(copy)


def test_folder_that_cannot_be_read(copy):
    shutil.rmtree(copy / "S5")
    (copy / "S5").symlink_to("S5")
    error = error_of(copy, allow_missing=True)
    assert error.code == "E310"
    assert "S5/S5.pkl: Too many levels of symbolic links" in error.message


def test_root_that_is_no_wesad_folder(tmp_path):
    assert "none was given" in error_of(None).message
    assert error_of(tmp_path / "gone").message.endswith("gone is not a folder")
    error = error_of(tmp_path, allow_missing=True)
    assert (error.code, "holds no S2/S2.pkl" in error.message) == ("E320", True)


def test_every_broken_file_is_found_and_the_others_are_kept(copy, home):
    path = copy / "S5" / "S5.pkl"
    os.truncate(path, 5000)
    (copy / "S6" / "S6.pkl").write_text("<html>not found</html>")
    error = error_of(copy)
    assert error.code == "E313"
    assert error.message.startswith("S5.pkl ends at byte 5000 of at least ")
    assert error.message.endswith("(and 1 more problem)")
    assert [e.code for e in error.__cause__.exceptions] == ["E313", "E312"]
    assert len(list((home / "cache" / "recordings").iterdir())) == 13


def short_wrist(tree):
    tree["signal"]["wrist"]["BVP"] = tree["signal"]["wrist"]["BVP"][:-128]


def slow_labels(tree):
    tree["label"] = tree["label"][:: round(700 / 64)]


def no_values(tree):
    tree["signal"]["wrist"]["EDA"][:] = np.nan


def codes_9_and_12(tree):
    tree["label"][:3] = 9
    tree["label"][10] = 12


def fraction(tree):
    return tree | {"label": tree["label"] + 0.5}


BROKEN = {
    "other subject": (lambda t: t | {"subject": "S6"}, "E326", "folder S5 states subject 'S6'"),
    "path as subject": (lambda t: t | {"subject": "../../x\0"}, "E326", r"'../../x\x00'"),
    "array as subject": (lambda t: t | {"subject": t["label"]}, "E326", "type LazyArray"),
    "no label": (lambda t: {"signal": t["signal"]}, "E322", "has no 'subject'; it has signal"),
    "signal is text": (lambda t: t | {"signal": "x"}, "E322", "signal is a value of type str"),
    "no wrist": (lambda t: t | {"signal": {}}, "E322", "signal has no 'wrist'; it has nothing"),
    "no BVP": (lambda t: t["signal"]["wrist"].pop("BVP") is None or t, "E322", "no 'BVP'; it has"),
    "label is text": (lambda t: t | {"label": "x"}, "E322", "label is a value of type str"),
    "label is 2-D": (lambda t: t | {"label": np.zeros((5, 2))}, "E322", "shape (5, 2)"),
    "empty": (lambda t: t | {"label": t["label"][:0]}, "E324", "0.0 s of labels"),
    "short wrist": (short_wrist, "E324", "wrist/BVP"),
    "slow labels": (slow_labels, "E324", "expected ~32 Hz, got 352 Hz"),
    "no values": (no_values, "E325", "wrist/EDA holds no value at all"),
    "codes": (codes_9_and_12, "E323", "outside 0 to 7: 9 (3 samples), 12 (1 samples)"),
    "fractions": (fraction, "E323", "0.5 ("),
}


@pytest.mark.parametrize("case", BROKEN)
def test_structure_that_does_not_fit(copy, case):
    change, code, words = BROKEN[case]
    rewrite(copy, "S5", change)
    error = error_of(copy)
    assert (error.code, words in error.message) == (code, True), error
    assert "S5.pkl" in error.message


def test_one_person_under_two_ids(copy):
    shutil.copy(copy / "S2" / "S2.pkl", copy / "S3" / "S3.pkl")
    assert error_of(copy).code == "E326"
    rewrite(copy, "S3", lambda t: t | {"subject": "S3"})
    assert error_of(copy).code == "E350"


def test_wrist_shows_wrong_rate_of_the_chest(tmp_path):
    writer = python2_writer()
    tree = writer.official_size_tree(rows=70_000)
    tree["signal"]["chest"] = {k: v[::11].copy() for k, v in tree["signal"]["chest"].items()}
    tree["label"] = tree["label"][::11].copy()
    path = tmp_path / "S2.pkl"
    with open(path, "wb") as stream:
        writer.Python2Writer(stream).write(tree)
    with pytest.raises(DataError, match="expected ~32 Hz, got 352 Hz"):
        read_subject(path, "S2", ["chest"])


# The cache.


def test_second_load_does_not_touch_the_files(copy):
    messages = []
    loader = Wesad(progress=messages.append)
    first = loader.load(copy)
    assert len(messages) == 15
    path = copy / "S2" / "S2.pkl"
    stat = path.stat()
    path.write_bytes(b"\0" * stat.st_size)  # no pickle any more, but size and time stamp say so
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = loader.load(copy)
    assert len(messages) == 15
    assert first.files == second.files
    for a, b in zip(first.recordings, second.recordings, strict=True):
        for name in WRIST_CHANNELS:
            assert np.array_equal(a.signals[name].values, b.signals[name].values)
        assert np.array_equal(a.condition.values, b.condition.values)
    os.utime(path)
    assert error_of(copy).code == "E315"


def test_changed_file_is_read_again(copy):
    before = Wesad().load(copy)

    def warmer(tree):
        tree["signal"]["wrist"]["TEMP"] += 1

    rewrite(copy, "S4", warmer)
    after = Wesad().load(copy)
    a, b = (d.recordings[2].signals["wrist.temp"].values for d in (before, after))
    assert np.array_equal(a + 1, b)
    assert before.files[2].sha256 != after.files[2].sha256
    assert before.files[3] == after.files[3]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "header"])
def test_damaged_cache_is_made_again(tmp_path, home, damage):
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
    (file,) = (home / "cache" / "recordings").iterdir()
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


@pytest.mark.parametrize("protocol", range(6))
def test_python3_resave_with_bytes_keys(copy, protocol):
    """``pickle.load(encoding="bytes")`` and a plain dump turn every key into bytes."""
    path = copy / "S2" / "S2.pkl"
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
