from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaffect.data.features import window_features
from fedaffect.data.schema import (
    UNLABELLED,
    WRIST_CHANNELS,
    FileEntry,
    Recording,
    Recordings,
    Signal,
    channels_of,
)
from fedaffect.data.windows import cut_windows
from fedaffect.errors import DataError

RATE_HZ = {"acc": 32.0, "bvp": 64.0, "eda": 4.0, "temp": 4.0}
WINDOW_S = 700 / 64


def rate_of(channel: str) -> float:
    return 700.0 if channel.startswith("chest") else RATE_HZ[channel.split(".")[1].split("_")[0]]


def clock(channel: str, start_s: float, end_s: float) -> Signal:
    """A signal whose values are the times of its samples, in seconds."""
    n = int((end_s - start_s) * rate_of(channel))
    return Signal(start_s + np.arange(n) / rate_of(channel), rate_of(channel), start_s)


def recording(
    condition: Signal,
    *,
    subject: str = "A",
    session: str = "1",
    end_s: float = 200.0,
    **late: float,
) -> Recording:
    starts = {c: late.get(c.split(".")[1], 0.0) for c in WRIST_CHANNELS}
    return Recording(
        subject, session, {c: clock(c, s, end_s) for c, s in starts.items()}, condition
    )


def codes(*runs: tuple[int, float], rate_hz: float = 4.0, start_s: float = 0.0) -> Signal:
    values = np.repeat([c for c, _ in runs], [round(s * rate_hz) for _, s in runs])
    return Signal(values, rate_hz, start_s)


def data(*recordings: Recording) -> Recordings:
    names, meaning = {1: "rest", 2: "stress", 9: "reading"}, {1: 0, 2: 1, 9: None}
    return Recordings("test", recordings, names, meaning, "licence", "citation", notes=("first",))


def with_nan(one: Recording, channel: str, at: slice, value: float = np.nan) -> Recording:
    values = one.signals[channel].values.copy()
    values[at] = value
    signals = {**one.signals, channel: replace(one.signals[channel], values=values)}
    return replace(one, signals=signals)


def test_number_and_place_of_windows_follow_the_closed_form() -> None:
    table = cut_windows(data(recording(codes((1, 100), (2, 60), (1, 40)))))
    stride_s = WINDOW_S / 2
    per_run = [int((s - WINDOW_S) // stride_s) + 1 for s in (100, 60, 40)]  # 17, 9, 6
    assert per_run == [17, 9, 6]
    starts = [
        a + k * stride_s for a, n in zip((0, 100, 160), per_run, strict=True) for k in range(n)
    ]
    np.testing.assert_allclose(table.start_s, starts)
    assert table.condition.tolist() == [1] * 17 + [2] * 9 + [1] * 6
    assert table.stress.tolist() == [0] * 17 + [1] * 9 + [0] * 6
    assert table.features.shape == (32, 60)
    assert table.features.dtype == np.float32
    assert table.window_s == WINDOW_S
    assert table.feature_names[30] == "wrist.bvp/mean"
    assert table.subjects == ("A",)
    assert table.notes == ("first",)


def test_features_are_those_of_the_raw_samples() -> None:
    rng = np.random.default_rng(3)
    one = recording(codes((1, 90), (2, 110)))
    noisy = {
        c: replace(s, values=rng.normal(5, 2, len(s.values)).astype(np.float32))
        for c, s in one.signals.items()
    }
    table = cut_windows(data(replace(one, signals=noisy)))
    for row in (0, 7, len(table) - 1):
        expected = []
        for s in noisy.values():
            n = int(WINDOW_S * s.rate_hz)
            first = int(np.ceil(table.start_s[row] * s.rate_hz - 1e-9))
            expected.append(window_features(s.values[None, first : first + n], s.rate_hz)[0])
        np.testing.assert_allclose(table.features[row], np.concatenate(expected), rtol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(
        st.tuples(st.sampled_from([1, 2, 9, UNLABELLED]), st.integers(5, 300)),
        min_size=1,
        max_size=6,
    ),
    offset_s=st.floats(-5, 20),
    label_hz=st.sampled_from([1.0, 4.0, 7.0]),
    late=st.floats(0, 9),
    overlap=st.sampled_from([0.0, 0.5, 0.75]),
)
def test_every_sample_lies_inside_its_window_and_inside_one_condition(
    runs: list[tuple[int, int]], offset_s: float, label_hz: float, late: float, overlap: float
) -> None:
    condition = Signal(np.repeat([c for c, _ in runs], [n for _, n in runs]), label_hz, offset_s)
    one = recording(condition, eda=late, bvp=late / 3)
    try:
        table = cut_windows(data(one), overlap=overlap)
    except DataError as error:
        assert error.code == "E332"
        return
    for channel in ("wrist.acc_x", "wrist.bvp", "wrist.eda"):
        rate_hz = rate_of(channel)
        n = int(WINDOW_S * rate_hz)
        mean = table.features[:, table.feature_names.index(f"{channel}/mean")]
        first_s = mean - (n - 1) / 2 / rate_hz
        last_s = mean + (n - 1) / 2 / rate_hz
        assert (first_s >= table.start_s - 1e-3).all()
        assert (last_s < table.start_s + WINDOW_S + 1e-3).all()
        step = table.features[:, table.feature_names.index(f"{channel}/mean_abs_diff")]
        np.testing.assert_allclose(step, 1 / rate_hz, rtol=1e-3)
    inside = (table.start_s - offset_s) * label_hz
    until = (table.start_s + WINDOW_S - offset_s) * label_hz
    for a, b, code in zip(inside, until, table.condition, strict=True):
        seen = condition.values[int(np.floor(a + 1e-6)) : int(np.ceil(b - 1e-6))]
        assert set(seen.tolist()) == {code}
        assert code in (1, 2)
    assert (table.start_s + WINDOW_S <= 200 + 1e-6).all()
    assert (table.start_s >= max(late, 0) - 1e-6).all()


def test_people_and_recordings_are_counted_over_the_data_set() -> None:
    c = codes((1, 60), (2, 60))
    table = cut_windows(
        data(
            recording(c, subject="A", session="1"),
            recording(c, subject="A", session="2"),
            recording(codes((UNLABELLED, 100)), subject="B"),
            recording(c, subject="C"),
        )
    )
    assert table.subjects == ("A", "C")
    assert sorted(set(zip(table.subject.tolist(), table.recording.tolist(), strict=True))) == [
        (0, 0),
        (0, 1),
        (1, 3),
    ]
    assert any(note.startswith("B: left out") for note in table.notes)


def test_chest_windows_last_one_second() -> None:
    signals = {c: clock(c, 0, 30.0) for c in channels_of("chest")}
    one = Recording("A", "1", signals, codes((1, 10), (2, 20)))
    table = cut_windows(data(one), modality="chest")
    assert table.window_s == 1.0
    assert len(table) == 19 + 39
    assert table.features.shape[1] == 80


def test_both_devices_share_the_long_window() -> None:
    signals = {c: clock(c, 0, 40.0) for c in channels_of("both")}
    table = cut_windows(data(Recording("A", "1", signals, codes((2, 40)))), modality="both")
    assert table.window_s == WINDOW_S
    assert table.features.shape == (6, 140)
    ecg = table.features[:, table.feature_names.index("chest.ecg/mean")]
    np.testing.assert_allclose(ecg, table.start_s + 7655 / 2 / 700, atol=2e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_windows_that_are_not_finite_are_dropped_and_counted(value: float) -> None:
    one = recording(codes((1, 200)))
    whole = cut_windows(data(one))
    table = cut_windows(data(with_nan(one, "wrist.eda", slice(200, 201), value)))  # at 50 s
    lost = (whole.start_s <= 50) & (whole.start_s + WINDOW_S > 50)
    assert lost.sum() == 2
    np.testing.assert_array_equal(table.start_s, whole.start_s[~lost])
    np.testing.assert_array_equal(table.features, whole.features[~lost])
    assert f"A: 2 of {len(whole)} windows dropped: not finite" in table.notes


def test_too_many_windows_that_are_not_finite_stop() -> None:
    one = with_nan(recording(codes((1, 200))), "wrist.temp", slice(400, 700))
    with pytest.raises(DataError, match=r"A: \d+ of 35 windows") as caught:
        cut_windows(data(one))
    assert caught.value.code == "E331"


def test_missing_channel_names_person_and_channel() -> None:
    one = recording(codes((1, 60)))
    with pytest.raises(DataError, match=r"A, recording 1: channel chest.acc_x") as caught:
        cut_windows(data(one), modality="both")
    assert caught.value.code == "E330"


def test_unknown_condition_and_slow_channel_stop() -> None:
    with pytest.raises(DataError, match="condition 5 is not known") as caught:
        cut_windows(data(recording(codes((5, 60)))))
    assert caught.value.code == "E333"
    one = recording(codes((1, 60)))
    slow = {**one.signals, "wrist.temp": Signal(np.arange(12.0), 0.2)}
    with pytest.raises(DataError, match=r"A wrist\.temp") as caught:
        cut_windows(data(replace(one, signals=slow)))
    assert caught.value.code == "E334"


def test_no_window_at_all_stops() -> None:
    with pytest.raises(DataError) as caught:
        cut_windows(data(recording(codes((1, 8), (2, 8)))))
    assert caught.value.code == "E332"


def test_fingerprint_sees_data_and_options() -> None:
    one = recording(codes((1, 60), (2, 60)))
    base = cut_windows(data(one)).fingerprint
    assert base == cut_windows(data(one)).fingerprint
    assert len(base) == 64
    others = [
        cut_windows(data(with_nan(one, "wrist.eda", slice(7, 8), 0.5))).fingerprint,
        cut_windows(data(one), overlap=0.0).fingerprint,
        cut_windows(data(replace(one, session="2"))).fingerprint,
        cut_windows(data(replace(one, condition=codes((1, 61), (2, 59))))).fingerprint,
        cut_windows(replace(data(one), stress_of={1: 1, 2: 0})).fingerprint,
        cut_windows(replace(data(one), files=(FileEntry("a", 1, "0"),))).fingerprint,
    ]
    assert len({base, *others}) == 7
