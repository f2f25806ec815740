import hashlib
import math
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.data.e4 import E4, read_session, write_e4_session
from fedaffect.data.labels import Label, paint, read_labels, write_labels
from fedaffect.data.people import check_id, duplicates
from fedaffect.data.problems import each_problem
from fedaffect.data.schema import UNLABELLED, WRIST_CHANNELS, Recording, Signal
from fedaffect.errors import DataError

START = 1_644_829_925
RATES_HZ = {"acc": 32.0, "bvp": 64.0, "eda": 4.0, "temp": 4.0}


def signals(seconds: int, seed: int = 0, start_s: float = 0.0) -> dict[str, Signal]:
    rng = np.random.default_rng(seed)
    level = {"acc_x": 0, "acc_y": 5, "acc_z": 64, "bvp": 0, "eda": 2, "temp": 33}
    out = {}
    for channel in WRIST_CHANNELS:
        word = channel.split(".")[1]
        rate_hz = RATES_HZ[word.split("_")[0]]
        noise = 0.3 * rng.standard_normal(int(seconds * rate_hz))
        out[channel] = Signal((level[word] + noise).astype(np.float32), rate_hz, start_s)
    return out


def text(rate: str, rows: list[str], start: str = f"{START}.000000") -> str:
    return "\n".join([start, rate, *rows]) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two seconds, typed by hand in the layout of the maker's export."""
    (tmp_path / "ACC.csv").write_text(
        text(
            "32.000000, 32.000000, 32.000000",
            [f"{i - 32},{i % 3},63" for i in range(64)],
            ", ".join([f"{START}.000000"] * 3),
        )
    )
    (tmp_path / "BVP.csv").write_text(text("64.000000", [f"{i / 4:.2f}" for i in range(128)]))
    (tmp_path / "EDA.csv").write_text(text("4.000000", [f"0.{i}" for i in range(1, 9)]))
    (tmp_path / "TEMP.csv").write_text(text("4.000000", [f"3{i}.13" for i in range(8)]))
    return tmp_path


def test_typed_session_is_read_to_the_digit(folder: Path) -> None:
    session = read_session(folder, "A", "01")
    assert session.start_unix == START
    assert session.dropped == {}
    assert session.end_s == 2.0
    assert {c: s.rate_hz for c, s in session.signals.items()} == {
        c: RATES_HZ[c.split(".")[1].split("_")[0]] for c in WRIST_CHANNELS
    }
    assert session.signals["wrist.acc_x"].values.tolist() == [i - 32 for i in range(64)]
    assert session.signals["wrist.acc_y"].values.tolist() == [i % 3 for i in range(64)]
    assert session.signals["wrist.bvp"].values.tolist() == [i / 4 for i in range(128)]
    assert session.signals["wrist.temp"].values[3] == np.float32(33.13)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.rstrip(b"\n"),
        lambda raw: raw + b"\n\n",
        lambda raw: raw.replace(b", ", b" ,  ").replace(b"000000\n", b"000000 \n"),
    ],
    ids=["crlf", "bom", "no last line end", "blank lines at the end", "spaces in the header"],
)
def test_harmless_spelling_changes_nothing(folder: Path, change) -> None:
    plain = read_session(folder, "A", "01")
    for name in ("ACC", "BVP", "EDA", "TEMP"):
        path = folder / f"{name}.csv"
        path.write_bytes(change(path.read_bytes()))
    spelled = read_session(folder, "A", "01")
    for channel, signal in plain.signals.items():
        assert np.array_equal(signal.values, spelled.signals[channel].values)


def test_files_are_hashed_relative_to_the_root(folder: Path) -> None:
    entries = read_session(folder, "A", "01", root=folder.parent).files
    assert [e.path for e in entries] == [
        f"{folder.name}/{n}.csv" for n in ("ACC", "BVP", "EDA", "TEMP")
    ]
    raw = (folder / "BVP.csv").read_bytes()
    assert (entries[1].size, entries[1].sha256) == (len(raw), hashlib.sha256(raw).hexdigest())


def test_start_up_values_are_dropped_and_the_rest_is_cut_to_what_is_left(folder: Path) -> None:
    (folder / "EDA.csv").write_text(text("4.000000", ["0.0", *["0.5"] * 7]))
    (folder / "TEMP.csv").write_text(
        text("4.000000", ["382.21", "382.21", "14.99", *["33"] * 3, "50.0", "33"])
    )
    session = read_session(folder, "A", "01")
    assert session.dropped == {"EDA": 1, "TEMP": 3}
    assert session.signals["wrist.temp"].values.tolist() == [33, 33, 33, 50, 33]  # only at first
    assert {s.start_s for s in session.signals.values()} == {0.75}
    assert {s.end_s for s in session.signals.values()} == {2.0}
    assert session.signals["wrist.bvp"].values[0] == 0.75 * 64 / 4


def test_values_that_are_not_finite_stay_for_the_windows_to_drop(folder: Path) -> None:
    (folder / "BVP.csv").write_text(text("64.000000", ["nan", "inf", "1e300", *["1.5"] * 125]))
    values = read_session(folder, "A", "01").signals["wrist.bvp"].values
    assert np.isfinite(values).tolist() == [False] * 3 + [True] * 125


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=4, max_size=4),
    st.lists(st.integers(0, 12), min_size=4, max_size=4),
)
def test_common_span_holds_exactly_the_samples_that_all_channels_cover(
    tmp_path_factory: pytest.TempPathFactory, late: list[int], short: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("span")
    names = ["ACC", "BVP", "EDA", "TEMP"]
    rates = [32, 64, 4, 4]
    times: list[list[float]] = []
    for name, rate, q, cut in zip(names, rates, late, short, strict=True):
        start, n = START + q / 4, (20 * 4 - cut) * rate // 4
        columns = 3 if name == "ACC" else 1
        value = "30" if name != "EDA" else "1"
        rows = [",".join([value] * columns)] * n
        head = ", ".join([f"{start:.6f}"] * columns)
        (folder / f"{name}.csv").write_text(
            text(", ".join([f"{rate}.000000"] * columns), rows, head)
        )
        times.append([start + i / rate for i in range(n)])
    first = max(t[0] for t in times)
    last = min(t[-1] + 1 / rate for t, rate in zip(times, rates, strict=True))
    session = read_session(folder, "A", "01")
    assert session.start_unix == max(t[0] for t in times)
    channels = ["wrist.acc_x", "wrist.bvp", "wrist.eda", "wrist.temp"]
    for channel, t, rate in zip(channels, times, rates, strict=True):
        kept = [x for x in t if first <= x and x + 1 / rate <= last]
        signal = session.signals[channel]
        assert len(signal.values) == len(kept)
        assert math.isclose(session.start_unix + signal.start_s, kept[0], abs_tol=1e-6)
    shutil.rmtree(folder)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(12, 40), st.sampled_from([0.0, 0.25, 7.5]))
def test_written_session_reads_back_to_the_precision_of_the_format(
    tmp_path_factory: pytest.TempPathFactory, seed: int, seconds: int, start_s: float
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    written = signals(seconds, seed, start_s)
    write_e4_session(folder, written, START, tags=[START + 3])
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["ACC.csv", "BVP.csv", "EDA.csv", "TEMP.csv", "HR.csv", "IBI.csv", "tags.csv", "info.txt"]
    )
    assert (folder / "tags.csv").read_text() == f"{START + 3}\n"
    back = read_session(folder, "A", "01")
    assert back.start_unix == START + start_s
    step = {"acc": 0.5, "bvp": 0.005, "eda": 5e-7, "temp": 0.005}
    for channel, signal in written.items():
        half = step[channel.split(".")[1].split("_")[0]]
        error = np.abs(back.signals[channel].values - signal.values.astype(np.float64))
        assert error.max() <= half + 4e-6
    shutil.rmtree(folder)


def test_heart_rate_of_a_pure_pulse_is_its_frequency(tmp_path: Path) -> None:
    pulse = signals(60)
    t = np.arange(60 * 64) / 64
    pulse["wrist.bvp"] = Signal(np.cos(2 * np.pi * 1.25 * t).astype(np.float32), 64.0)
    write_e4_session(tmp_path, pulse, START)
    rows = (tmp_path / "HR.csv").read_text().splitlines()
    assert float(rows[0]) == START + 10
    assert rows[1] == "1.000000"
    assert len(rows) == 2 + 50
    assert all(abs(float(row) - 75.0) < 0.5 for row in rows[2:])  # 1.25 Hz = 75 a minute
    head, *beats = (tmp_path / "IBI.csv").read_text().splitlines()
    assert head == f"{START}.000000, IBI"
    assert all(abs(float(row.split(",")[1]) - 0.8) <= 1 / 64 for row in beats)


def test_writer_refuses_another_rate(tmp_path: Path) -> None:
    wrong = signals(5)
    wrong["wrist.eda"] = Signal(np.ones(40), 8.0)
    with pytest.raises(ValueError, match=r"EDA needs wrist\.eda at 4 Hz"):
        write_e4_session(tmp_path, wrong, START)


GOOD_EDA = ["0.5"] * 8
DAMAGE = {
    "other rate": ("E345", "8 Hz, expected 4 Hz", text("8.000000", GOOD_EDA)),
    "rate is a word": ("E344", "line 2 is 'fast'", text("fast", GOOD_EDA)),
    "two starts": ("E344", "line 1", text("4", GOOD_EDA, "1, 2")),
    "negative start": ("E344", "line 1", text("4", GOOD_EDA, "-5")),
    "start not finite": ("E344", "line 1", text("4", GOOD_EDA, "inf")),
    "html": ("E344", "line 1 is '<!DOCTYPE html>'", "<!DOCTYPE html>\n<html>\n"),
    "empty file": ("E344", "line 1 is ''", ""),
    "no samples": ("E346", "no samples", text("4", [])),
    "word": ("E346", "line 5 is 'x'", text("4", ["0.5", "0.5", "x", "0.5"])),
    "underscore": ("E346", "line 4 is '1_0'", text("4", ["0.5", "1_0"])),
    "hole": ("E346", "line 4 is ''", text("4", ["0.5", "", "0.5"])),
    "one column more": ("E346", "line 4", text("4", ["0.5", "0.5,0.5", "0.5"])),
    "all rows wider": ("E346", "line 3", text("4", ["0.5,0.5"] * 8)),
    "nul": ("E346", "line 3", text("4", ["\0", "0.5"])),
    "comment": ("E346", "line 4", text("4", ["0.5", "# x"])),
    "kilo-ohm": ("E347", "microsiemens", text("4", ["450"] * 8)),
    "negative": ("E347", "microsiemens", text("4", ["-3"] * 8)),
    "never finite": ("E347", "median of nan", text("4", ["nan"] * 8)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_file_is_named_with_its_line(folder: Path, name: str) -> None:
    code, words, content = DAMAGE[name]
    (folder / "EDA.csv").write_text(content)
    with pytest.raises(DataError) as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert words in caught.value.message
    assert str(folder / "EDA.csv") in caught.value.message


def test_bytes_that_are_no_text(folder: Path) -> None:
    (folder / "EDA.csv").write_bytes(b"\x1f\x8b\x08\x00gzip")
    with pytest.raises(DataError, match="is not text: byte 1") as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E343"


def test_a_folder_in_place_of_a_file(folder: Path) -> None:
    (folder / "BVP.csv").unlink()
    (folder / "BVP.csv").mkdir()
    with pytest.raises(DataError, match="cannot read") as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E343"


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("TEMP.csv", ["306.3"] * 8, "deg"),
        ("ACC.csv", ["0.1,0.02,0.98"] * 64, "1/64 g"),
        ("ACC.csv", ["300,200,9800"] * 64, "1/64 g"),
    ],
    ids=["kelvin", "g", "milli-g"],
)
def test_other_units_are_refused(folder: Path, name: str, rows: list[str], words: str) -> None:
    head = (folder / name).read_text().splitlines()[:2]
    (folder / name).write_text("\n".join([*head, *rows]) + "\n")
    with pytest.raises(DataError, match=words) as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E347"


def test_no_common_time(folder: Path) -> None:
    (folder / "EDA.csv").write_text(text("4", GOOD_EDA, f"{START + 3600}"))
    with pytest.raises(DataError, match="no common time"):
        read_session(folder, "A", "01")


def test_missing_files_are_named_together(folder: Path) -> None:
    (folder / "ACC.csv").unlink()
    (folder / "TEMP.csv").unlink()
    with pytest.raises(DataError, match=r"ACC\.csv, TEMP\.csv missing") as caught:
        read_session(folder, "A", "01")
    assert caught.value.code == "E341"


# The label file


def labels_of(tmp_path: Path, content: str) -> tuple[Label, ...]:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    return read_labels(path, tmp_path, float(START), 600.0)[0]


def test_labels_words_numbers_and_unix_times(tmp_path: Path) -> None:
    content = (
        "Start_s, End_s, Label\r\n"
        "10,20.5,Rest\r\n\r\n"
        f"{START + 30},{START + 40},1\r\n"
        "50,60,0\n70,80,Stress\n"
    )
    assert labels_of(tmp_path, content) == (
        Label(10, 20.5, "rest"),
        Label(30, 40, "stress"),
        Label(50, 60, "no stress"),
        Label(70, 80, "stress"),
    )


@pytest.mark.parametrize(
    ("code", "words", "content"),
    [
        ("E349", "line 1 is 'time,what'", "time,what\n"),
        ("E349", "line 1 is ''", ""),
        ("E349", "line 3", "start_s,end_s,label\n0,10,rest\n20,rest\n"),
        ("E349", "line 2", "start_s,end_s,label\n0,ten,rest\n"),
        ("E349", "start_s < end_s", "start_s,end_s,label\n10,10,rest\n"),
        ("E349", "start_s < end_s", "start_s,end_s,label\n0,inf,rest\n"),
        ("E349", "plain name", "start_s,end_s,label\n0,9,<script>\n"),
        ("E349", "plain name", "start_s,end_s,label\n0,9,rest,stress\n"),
        ("E349", "overlaps", "start_s,end_s,label\n0,9,rest\n8,20,stress\n"),
        ("E352", "none of 1 labels", "start_s,end_s,label\n600,700,rest\n"),
        ("E352", "none of 0 labels", "start_s,end_s,label\n"),
    ],
)
def test_label_file_that_cannot_be_meant(
    tmp_path: Path, code: str, words: str, content: str
) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(tmp_path, content)
    assert caught.value.code == code
    assert words in caught.value.message


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 40).map(lambda x: round(x, 2)), min_size=2, max_size=8, unique=True))
def test_painted_sample_has_a_label_only_if_it_lies_inside_it(times: list[float]) -> None:
    times = sorted(times)
    labels = [Label(a, b, f"c{i % 3}") for i, (a, b) in enumerate(pairwise(times))]
    codes = {"c0": 0, "c1": 1, "c2": 2}
    painted = paint(labels, codes, 30.1)
    assert (painted.rate_hz, painted.start_s, len(painted.values)) == (4.0, 0.0, 120)
    for i, code in enumerate(painted.values.tolist()):
        a, b = i / 4, (i + 1) / 4
        inside = [codes[x.name] for x in labels if x.start_s <= a + 1e-6 and b <= x.end_s + 1e-6]
        assert code == (inside[0] if inside else UNLABELLED)


# The data set


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three people: one folder each, or one folder a session."""
    lines = [Label(0, 5, "rest"), Label(5, 11, "stress")]
    for i, where in enumerate(["anna", "bo/day2", "bo/day1", "cy"]):
        write_e4_session(tmp_path / where, signals(12, seed=i), START + 1000 * i)
        write_labels(tmp_path / where / "labels.csv", lines)
    return tmp_path


def test_people_and_sessions_in_order(root: Path) -> None:
    (root / "notes.txt").write_text("not a person")
    (root / ".cache").mkdir()
    data = E4().load(root)
    assert [(r.subject, r.session) for r in data.recordings] == [
        ("anna", "01"),
        ("bo", "day1"),
        ("bo", "day2"),
        ("cy", "01"),
    ]
    assert E4().subjects(root) == ("anna", "bo", "cy")
    assert data.conditions == {0: "rest", 1: "stress"}
    assert data.stress_of == {0: 0, 1: 1}
    assert data.recordings[0].condition.values.tolist() == [0] * 20 + [1] * 24 + [UNLABELLED] * 4
    assert len(data.files) == 4 * 5
    assert data.files[4].path == "anna/labels.csv"
    assert not data.synthetic


def test_words_that_mean_stress_are_an_option(root: Path) -> None:
    lines = [Label(0, 4, "walk"), Label(4, 8, "exam"), Label(8, 11, "talk")]
    write_labels(root / "cy" / "labels.csv", lines)
    data = E4(stress_labels=("exam", "talk")).load(root)
    assert data.conditions == {0: "exam", 1: "rest", 2: "stress", 3: "talk", 4: "walk"}
    assert data.stress_of == {0: 1, 1: 0, 2: 0, 3: 1, 4: 0}


def test_all_problems_at_once(root: Path) -> None:
    (root / "anna" / "BVP.csv").unlink()
    (root / "bo" / "day1" / "labels.csv").unlink()
    for name in ("EDA.csv", "TEMP.csv"):
        (root / "cy" / name).write_text(text("8", ["30"]))
    with pytest.raises(DataError, match="and 3 more problems") as caught:
        E4().load(root)
    assert [e.code for e in each_problem(caught.value)] == ["E341", "E348", "E345", "E345"]
    assert "start_s,end_s,label" in each_problem(caught.value)[1].do


def test_copies_are_refused_whatever_the_clock_says(root: Path) -> None:
    lines = (root / "anna" / "BVP.csv").read_text().splitlines()
    (root / "cy" / "BVP.csv").write_text("\n".join([f"{START + 3000}.00", *lines[1:]]) + "\n")
    with pytest.raises(DataError, match="anna/01 = cy/01") as caught:
        E4().load(root)
    assert caught.value.code == "E350"


def test_constant_signals_are_no_copies() -> None:
    flat = {"wrist.bvp": Signal(np.zeros(100), 64.0)}
    condition = Signal(np.zeros(4, np.int64), 4.0)
    assert duplicates([Recording(who, "01", flat, condition) for who in "ab"]) == []


@pytest.mark.parametrize(
    ("code", "words", "prepare"),
    [
        ("E342", "zip file", lambda root: (root / "dora.zip").write_bytes(b"PK")),
        ("E342", "zip file", lambda root: (root / "bo" / "1644_A0.ZIP").write_bytes(b"PK")),
        ("E341", "no E4 session", lambda root: (root / "empty").mkdir()),
        ("E341", "both", lambda root: shutil.copy(root / "cy" / "BVP.csv", root / "bo")),
        ("E351", "bad name", lambda root: (root / "cy").rename(root / "bad name")),
        ("E351", "aaaa", lambda root: (root / "cy").rename(root / ("a" * 65))),
    ],
)
def test_folders_that_cannot_be_read_as_people(root: Path, code, words, prepare) -> None:
    prepare(root)
    with pytest.raises(DataError) as caught:
        E4().load(root)
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_zip_beside_its_unpacked_folder_is_ignored(root: Path) -> None:
    (root / "anna.zip").write_bytes(b"PK")
    assert len(E4().load(root).recordings) == 4


@pytest.mark.parametrize("what", ["none", "absent", "file", "zip", "no people"])
def test_root_that_is_no_data_folder(tmp_path: Path, what: str) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "a.zip").write_text("x")
    (tmp_path / "e").mkdir()
    given_root = {
        "none": None,
        "absent": tmp_path / "absent",
        "file": tmp_path / "f",
        "zip": tmp_path / "a.zip",
        "no people": tmp_path / "e",
    }[what]
    with pytest.raises(DataError) as caught:
        E4().load(given_root)
    assert caught.value.code == {"zip": "E342", "no people": "E341"}.get(what, "E340")


@pytest.mark.parametrize("text", ["../../x", "a\0b", "<b>", "..", ".a", "", "a" * 65, "é", "a\n"])
def test_ids_that_are_refused(text: str) -> None:
    with pytest.raises(DataError) as caught:
        check_id(text, "folder")
    assert caught.value.code == "E351"
    assert caught.value.message.isprintable()


def test_sample_loads_is_simulated_and_depends_on_its_seed_only(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        E4().write_sample(tmp_path / name, seed=seed)
        digests.append([f.sha256 for f in E4().load(tmp_path / name).files])
    data = E4().load(tmp_path / "a")
    assert data.synthetic
    assert len({r.subject for r in data.recordings}) == 6
    assert len(data.recordings) == 12
    for r in data.recordings:
        assert set(r.signals) == set(WRIST_CHANNELS)
        assert sorted(set(r.condition.values.tolist())) == [0, 1]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
