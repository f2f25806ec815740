"""E4: a session as it is read and as it is written."""

import hashlib
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from e4_folders import RATES_HZ, START, signals, text, typed_session
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.data.e4 import read_session, write_e4_session
from fedaffect.data.schema import WRIST_CHANNELS, Signal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return typed_session(tmp_path)


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
