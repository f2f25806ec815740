import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fedaffect.data.problems import each_problem
from fedaffect.data.schema import UNLABELLED, WRIST_CHANNELS
from fedaffect.data.stress_predict import StressPredict
from fedaffect.data.stress_predict_labels import LABEL_FILE
from fedaffect.data.windows import cut_windows
from fedaffect.errors import DataError, UsageError


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    StressPredict().write_sample(root, seed=3, people=3)
    return root


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(sample, tmp_path / "stress_predict"))


def rows_of(root: Path, number: int) -> list[tuple[int, int]]:
    """Return (unix time, label) of one person, read the slow way."""
    with (root / LABEL_FILE).open(newline="") as file:
        return [
            (int(row["Time(sec)"]), int(row["Label"]))
            for row in csv.DictReader(file)
            if row["Participant"] == str(number)
        ]


def rewrite(root: Path, change) -> None:
    path = root / LABEL_FILE
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def test_sample_has_the_official_layout(sample: Path) -> None:
    found = sorted(p.relative_to(sample).as_posix() for p in sample.rglob("*") if p.is_file())
    names = ["ACC.csv", "BVP.csv", "EDA.csv", "HR.csv", "IBI.csv", "TEMP.csv", "info.txt"]
    people = ["S01", "S02", "S03", "S04"]
    assert found == sorted(
        ["README.md", "SIMULATED.txt", LABEL_FILE]
        + [f"Raw_data/{who}/{name}" for who in people for name in [*names, f"tags_{who}.csv"]]
    )
    raw = (sample / LABEL_FILE).read_bytes()
    assert raw.startswith(b"Participant,HR,respr,Time(sec),Label\r\n2,")
    assert {line.split(b",")[0] for line in raw.splitlines()[1:]} == {b"2", b"3", b"4"}


def test_label_clock_of_the_sample_is_the_official_one(sample: Path) -> None:
    # Official files: the HR column is HR.csv row by row, Time(sec) starts one second before it.
    for number in (2, 3, 4):
        heart = (sample / "Raw_data" / f"S{number:02d}" / "HR.csv").read_text().splitlines()
        with (sample / LABEL_FILE).open(newline="") as file:
            own = [r for r in csv.DictReader(file) if r["Participant"] == str(number)]
        assert int(own[0]["Time(sec)"]) == float(heart[0]) - 1
        assert [float(r["HR"]) for r in own] == [float(x) for x in heart[2:]]
        tags = (sample / "Raw_data" / f"S{number:02d}" / f"tags_S{number:02d}.csv").read_text()
        labels = rows_of(sample, number)
        edges = [t for (t, b), (_, a) in zip(labels[1:], labels[:-1], strict=True) if a != b]
        assert [int(x) for x in tags.split()] == edges
        assert len(edges) == 6  # three stress runs


@pytest.mark.parametrize("margin_s", [0.0, 10.0, 12.5])
def test_condition_is_the_label_of_the_same_unix_second(sample: Path, margin_s: float) -> None:
    data = StressPredict(margin_s=margin_s).load(sample)
    assert [r.subject for r in data.recordings] == ["S02", "S03", "S04"]
    for recording in data.recordings:
        number = int(recording.subject[1:])
        start = float((sample / f"Raw_data/S{number:02d}/BVP.csv").read_text().split()[0])
        rows = rows_of(sample, number)
        edges = [t for (t, b), (_, a) in zip(rows[1:], rows[:-1], strict=True) if a != b]
        expected = {}
        for t, label in rows:
            near = any(t + 1 > e - margin_s and t < e + margin_s for e in edges)
            expected[t] = UNLABELLED if near else label
        condition = recording.condition
        found = {
            round(start + condition.start_s + i / condition.rate_hz): code
            for i, code in enumerate(condition.values.tolist())
        }
        assert found == expected


def test_no_window_comes_closer_to_an_edge_than_the_margin(sample: Path) -> None:
    data = StressPredict(margin_s=15.0).load(sample)
    table = cut_windows(data, overlap=0.5)
    assert set(table.stress.tolist()) == {0, 1}
    for index, recording in enumerate(data.recordings):
        number = int(recording.subject[1:])
        start = float((sample / f"Raw_data/S{number:02d}/BVP.csv").read_text().split()[0])
        label_at = dict(rows_of(sample, number))
        own = table.recording == index
        assert own.sum() > 10
        for begin, stress in zip(table.start_s[own], table.stress[own], strict=True):
            a = int(np.floor(start + begin - 15.0 + 1e-6))
            b = int(np.ceil(start + begin + table.window_s + 15.0 - 1e-6))
            around = {label_at[t] for t in range(a, b) if t in label_at}
            assert around == {int(stress)}


def test_what_is_read_is_hashed_and_what_is_not_is_said(sample: Path) -> None:
    data = StressPredict().load(sample)
    assert data.synthetic
    assert data.conditions == {0: "rest", 1: "stress"}
    assert data.stress_of == {0: 0, 1: 1}
    assert data.licence.startswith("MIT")
    assert "left out, signals without labels: S01" in data.notes
    assert [f.path for f in data.files[:3]] == [
        LABEL_FILE,
        "Raw_data/S02/ACC.csv",
        "Raw_data/S02/BVP.csv",
    ]
    assert len(data.files) == 1 + 3 * 5
    assert all(set(r.signals) == set(WRIST_CHANNELS) for r in data.recordings)
    assert StressPredict().subjects(sample) == ("S02", "S03", "S04")


def test_root_may_be_the_folder_around_it(root: Path) -> None:
    inner = StressPredict().load(root)
    outer = StressPredict().load(root.parent)
    assert [f.path for f in inner.files] == [f.path for f in outer.files]


def test_an_edge_without_a_tag_gets_the_wide_margin(root: Path) -> None:
    path = root / "Raw_data" / "S03" / "tags_S03.csv"
    tags = path.read_text().split()
    path.write_text("\n".join([str(int(tags[0]) + 2), *tags[2:]]) + "\n")  # 2 s still confirm
    plain = StressPredict(untagged_margin_s=10.0).load(root).recordings[1].condition
    wide = StressPredict(untagged_margin_s=30.0).load(root)
    assert any("S03 1 of 6" in note for note in wide.notes)
    time = int((root / "Raw_data/S03/BVP.csv").read_text().split(".")[0]) + plain.start_s
    at = time + np.arange(len(plain.values))
    changed = at[wide.recordings[1].condition.values != plain.values]
    edge = int(tags[1])
    assert changed.tolist() == [*range(edge - 30, edge - 10), *range(edge + 10, edge + 30)]


def test_without_tag_files_no_edge_is_doubted(root: Path) -> None:
    before = StressPredict().load(root)
    for path in root.rglob("tags_*.csv"):
        path.unlink()
    after = StressPredict().load(root)
    assert before.notes == after.notes
    for a, b in zip(before.recordings, after.recordings, strict=True):
        assert np.array_equal(a.condition.values, b.condition.values)


def test_seconds_without_a_label_stay_unlabelled(root: Path) -> None:
    gone = rows_of(root, 2)[20:25]
    times = {str(t) for t, _ in gone}
    rewrite(root, lambda lines: [x for x in lines if x.split(",")[3] not in times])
    condition = StressPredict(margin_s=0).load(root).recordings[0].condition
    assert condition.values[20:25].tolist() == [UNLABELLED] * 5
    assert condition.values[[19, 25]].tolist() == [0, 0]


def test_missing_folders_are_named_together_or_allowed(root: Path) -> None:
    shutil.rmtree(root / "Raw_data" / "S02")
    shutil.rmtree(root / "Raw_data" / "S04")
    with pytest.raises(DataError, match="S02, S04") as caught:
        StressPredict().load(root)
    assert caught.value.code == "E341"
    data = StressPredict(allow_missing=True).load(root)
    assert [r.subject for r in data.recordings] == ["S03"]
    assert "left out, folder missing: S02, S04" in data.notes
    shutil.rmtree(root / "Raw_data" / "S03")
    with pytest.raises(DataError, match="S02, S03, S04"):
        StressPredict(allow_missing=True).load(root)


def test_every_damaged_person_is_reported(root: Path) -> None:
    (root / "Raw_data/S02/EDA.csv").write_text("1700000000\n4\n0.5\nx\n")
    (root / "Raw_data/S04/BVP.csv").unlink()
    (root / "Raw_data/S03/tags_S03.csv").write_text("1700000000\nlater\n")
    with pytest.raises(DataError, match="and 2 more problems") as caught:
        StressPredict().load(root)
    assert [e.code for e in each_problem(caught.value)] == ["E346", "E346", "E341"]


def test_one_person_under_two_ids_is_refused(root: Path) -> None:
    values = (root / "Raw_data/S02/BVP.csv").read_text().splitlines()[2:]
    path = root / "Raw_data/S04/BVP.csv"
    path.write_text("\n".join([*path.read_text().splitlines()[:2], *values]) + "\n")
    with pytest.raises(DataError, match="S02/01 = S04/01") as caught:
        StressPredict().load(root)
    assert caught.value.code == "E350"


def test_labels_of_another_day(root: Path) -> None:
    def shift(lines: list[str]) -> list[str]:
        return [
            ",".join([*x.split(",")[:3], str(int(x.split(",")[3]) + 10**6), x[-1]])
            if x.startswith("3,")
            else x
            for x in lines
        ]

    rewrite(root, shift)
    with pytest.raises(DataError, match="S03: labels from") as caught:
        StressPredict().load(root)
    assert caught.value.code == "E352"


def line(number: int, text: str):
    def change(lines: list[str]) -> list[str]:
        return [*lines[: number - 1], text, *lines[number:]]

    return change


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("no column Label", line(1, "Participant,HR,respr,Time(sec),Class")),
        ("line 5: found '2,70,14,1700172811'", line(5, "2,70,14,1700172811")),
        ("line 5: found", line(5, "2,70,14,soon,0")),
        ("line 5: found", line(5, "../x,70,14,1700172811,0")),
        ("labels 7 (1 times)", lambda x: [*x[:9], x[9][:-1] + "7", *x[10:]]),
        ("line 4: the time of S02 does not increase", lambda x: [*x[:3], x[2], *x[3:]]),
        ("more than a week", lambda x: [*x, "4,70,14,99999999999,0"]),
        ("no labels", lambda x: x[:1]),
    ],
)
def test_label_file_that_is_malformed(root: Path, words: str, change) -> None:
    rewrite(root, change)
    with pytest.raises(DataError) as caught:
        StressPredict().load(root)
    assert caught.value.code == "E349"
    assert words in caught.value.message


def test_columns_are_found_by_name_and_heart_rate_may_be_empty(root: Path) -> None:
    before = StressPredict().load(root)
    rewrite(
        root,
        lambda lines: [
            ",".join([f[4], f[3], "" if i else f[1], f[0]])
            for i, f in enumerate(x.split(",") for x in lines)
        ],
    )
    after = StressPredict().load(root)
    for a, b in zip(before.recordings, after.recordings, strict=True):
        assert np.array_equal(a.condition.values, b.condition.values)


@pytest.mark.parametrize("what", ["none", "absent", "empty", "no labels"])
def test_root_that_is_not_the_data_set(root: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (root / LABEL_FILE).unlink()
    given = {
        "none": None,
        "absent": tmp_path / "absent",
        "empty": tmp_path / "empty",
        "no labels": root,
    }
    with pytest.raises(DataError) as caught:
        StressPredict().load(given[what])
    assert caught.value.code == ("E348" if what == "no labels" else "E340")


@pytest.mark.parametrize("margin", [-1.0, float("nan"), 1e9])
def test_margin_out_of_range(margin: float) -> None:
    with pytest.raises(UsageError):
        StressPredict(margin_s=margin)


@pytest.mark.skipif(
    "FEDAFFECT_STRESS_PREDICT" not in os.environ,
    reason="set FEDAFFECT_STRESS_PREDICT to the folder of the official data set",
)
def test_official_files_have_the_published_counts() -> None:
    # Counted in the official label file: 112,516 rows, 75,701 with label 0, 36,815 with label 1.
    root = Path(os.environ["FEDAFFECT_STRESS_PREDICT"])
    data = StressPredict(margin_s=0, untagged_margin_s=0).load(root)
    codes = np.concatenate([r.condition.values for r in data.recordings])
    assert {c: int((codes == c).sum()) for c in (-1, 0, 1)} == {-1: 0, 0: 75701, 1: 36815}
    assert [r.subject for r in data.recordings] == [f"S{i:02d}" for i in range(2, 36)]
    assert not data.synthetic
    runs = [int((np.diff(r.condition.values) == 1).sum()) for r in data.recordings]
    assert runs == [3] * 34
