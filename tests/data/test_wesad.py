"""WESAD: the loader against the standard library's reading of the same files; the sample."""

import hashlib
import shutil

import numpy as np
import pytest
from wesad_files import KEYS, by_standard_library, rewrite

from fedaffect.data.schema import CHEST_CHANNELS, WRIST_CHANNELS
from fedaffect.data.wesad import SUBJECTS, Wesad
from fedaffect.data.wesad_file import RATES_HZ
from fedaffect.data.wesad_sample import write_sample

pytestmark = pytest.mark.usefixtures("wesad_home")


def test_channels_are_the_columns_that_the_standard_library_reads(wesad_sample):
    data = Wesad().load(wesad_sample)
    assert [r.subject for r in data.recordings] == [f"S{i}" for i in range(2, 18) if i != 12]
    assert data.synthetic
    for recording in data.recordings:
        tree = by_standard_library(wesad_sample / recording.subject / f"{recording.subject}.pkl")
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


def test_meaning_of_labels(wesad_sample):
    data = Wesad().load(wesad_sample)
    assert data.conditions == {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
    assert data.stress_of == {1: 0, 2: 1, 3: 0, 4: 0}
    labels = [by_standard_library(wesad_sample / f.path)["label"] for f in data.files]
    assert {int(code) for code in np.unique(labels)} == set(range(8))
    share = sum(code not in (1, 2, 3, 4) for code in labels[0].tolist()) / len(labels[0])
    assert data.notes == (f"labels 0, 5, 6 and 7 are not used: {share:.0%} of the recorded time",)


def test_files_are_listed_with_size_and_hash(wesad_sample):
    data = Wesad().load(wesad_sample)
    assert [f.path for f in data.files] == [f"{s}/{s}.pkl" for s in SUBJECTS]
    for entry in data.files:
        content = (wesad_sample / entry.path).read_bytes()
        assert entry.size == len(content)
        assert entry.sha256 == hashlib.sha256(content).hexdigest()


def test_root_may_hold_the_folder_named_wesad(wesad_sample, tmp_path):
    shutil.copytree(wesad_sample, tmp_path / "data" / "WESAD")
    assert len(Wesad().load(tmp_path / "data").recordings) == 15
    assert Wesad().subjects(tmp_path / "data") == SUBJECTS


def test_sample_depends_on_the_seed_only(wesad_sample, tmp_path):
    for folder, seed in (("again", 3), ("other", 4)):
        write_sample(tmp_path / folder, seed=seed, modality="wrist")
    first = (wesad_sample / "S9" / "S9.pkl").read_bytes()
    assert (tmp_path / "again" / "S9" / "S9.pkl").read_bytes() == first
    assert (tmp_path / "other" / "S9" / "S9.pkl").read_bytes() != first


def test_sample_shows_stress_and_who_it_is(wesad_sample):
    """Stress raises skin conductance in most people; people differ more than within baseline."""
    raised, between, within = 0, [], []
    for recording in Wesad().load(wesad_sample).recordings:
        codes = recording.condition.values[::175]  # 700 Hz to the 4 Hz of EDA
        eda = recording.signals["wrist.eda"].values
        temp = recording.signals["wrist.temp"].values[codes == 1]
        raised += eda[codes == 2].mean() > eda[codes == 1].mean()
        between.append(temp.mean())
        within.append(temp.std())
    assert raised >= 12
    assert np.std(between) > 3 * np.mean(within)


def test_keys_in_any_case_and_one_dimensional_columns(wesad_copy):
    before = Wesad().load(wesad_copy)

    def change(tree):
        wrist = {k.lower(): v for k, v in tree["signal"]["wrist"].items()}
        wrist["bvp"] = wrist["bvp"][:, 0].astype(">f8")
        label = tree["label"].astype(float)[:, None]
        return {"Signal": {"WRIST": wrist}, "LABEL": label, "subject": "S2"}

    rewrite(wesad_copy, "S2", change)
    after = Wesad().load(wesad_copy)
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
