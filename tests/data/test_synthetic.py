from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from fedaffect.data.e4 import E4
from fedaffect.data.schema import WRIST_CHANNELS, Recordings, WindowTable, channels_of
from fedaffect.data.synthetic import BASELINE, STRESS, Synthetic, draw_conditions
from fedaffect.data.synthetic_chest import simulate_chest
from fedaffect.data.synthetic_person import draw_person
from fedaffect.data.synthetic_signals import simulate_session
from fedaffect.data.windows import cut_windows
from fedaffect.errors import UsageError
from fedaffect.rng import generator


def forest(table: WindowTable, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Balanced accuracy of a forest on the test windows."""
    model = RandomForestClassifier(50, random_state=0).fit(table.features[train], y[train])
    return float(balanced_accuracy_score(y[test], model.predict(table.features[test])))


def all_values(recordings: Recordings, channel: str) -> np.ndarray:
    return np.concatenate([r.signals[channel].values for r in recordings.recordings])


@pytest.fixture(scope="module")
def default() -> Recordings:
    return Synthetic().load()


@pytest.fixture(scope="module")
def table(default: Recordings) -> WindowTable:
    return cut_windows(default)


def test_forest_scores_lie_where_real_wrist_data_put_them(table: WindowTable) -> None:
    # Stress-Predict, 30 s windows, 34 people: identity .97 on random windows, stress .89 with
    # random folds and .74 leaving one person out (accuracy).
    random = np.random.default_rng(0).random(len(table)) < 0.3
    last = table.recording % 3 == 2
    folds = [table.subject % 4 == k for k in range(4)]
    identity_random = forest(table, table.subject, ~random, random)
    identity_session = forest(table, table.subject, ~last, last)
    stress_within = forest(table, table.stress, ~random, random)
    stress_unseen = np.mean([forest(table, table.stress, ~fold, fold) for fold in folds])
    assert identity_random >= 0.93
    assert 0.3 <= identity_session <= 0.6
    assert stress_within >= 0.9
    assert 0.72 <= stress_unseen <= 0.82
    assert stress_within - stress_unseen >= 0.08


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({"fingerprint": 0, "response_variation": 0}, 0.0, 0.25),  # chance is 0.125
        ({"session_drift": 0}, 0.9, 1.0),
        ({"session_drift": 3}, 0.0, 0.45),
    ],
)
def test_identity_across_sessions_follows_its_causes(
    options: dict[str, float], low: float, high: float
) -> None:
    one = cut_windows(Synthetic(people=8, sessions=3, **options).load())
    last = one.recording % 3 == 2
    assert low <= forest(one, one.subject, ~last, last) <= high


def test_without_stress_effect_there_is_no_stress_to_find() -> None:
    one = cut_windows(Synthetic(people=8, stress_effect=0).load())
    last = one.recording % 3 == 2
    assert 0.4 <= forest(one, one.stress, ~last, last) <= 0.6


def test_same_response_of_equal_people_makes_unseen_people_easy() -> None:
    one = cut_windows(Synthetic(people=8, fingerprint=0, response_variation=0).load())
    unseen = one.subject < 3
    assert forest(one, one.stress, ~unseen, unseen) > 0.85


def test_people_and_sessions_are_added_behind_the_earlier_ones() -> None:
    few = Synthetic(people=2, sessions=1, session_s=60).load().recordings
    many = Synthetic(people=5, sessions=2, session_s=60).load().recordings
    assert [r.subject for r in many] == [f"P{i:04d}" for i in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5)]
    for a, b in ((few[0], many[0]), (few[1], many[2])):
        assert (a.subject, a.session) == (b.subject, b.session)
        for channel in WRIST_CHANNELS:
            np.testing.assert_array_equal(a.signals[channel].values, b.signals[channel].values)
        np.testing.assert_array_equal(a.condition.values, b.condition.values)
    other = Synthetic(people=2, sessions=1, session_s=60, seed=1).load().recordings
    assert (
        few[0].signals["wrist.eda"].values[:40] != other[0].signals["wrist.eda"].values[:40]
    ).any()


def test_recordings_have_the_rates_and_units_of_an_e4(default: Recordings) -> None:
    assert default.synthetic
    assert len(default.recordings) == 72
    rates = {"wrist.bvp": 64.0, "wrist.eda": 4.0, "wrist.temp": 4.0}
    for r in default.recordings:
        assert set(r.signals) == set(WRIST_CHANNELS)
        assert {s.end_s for s in r.signals.values()} == {480.0, r.condition.end_s} == {480.0}
        assert all(s.rate_hz == rates.get(c, 32.0) for c, s in r.signals.items())
        assert {BASELINE, STRESS} <= set(r.condition.values.tolist()) <= {1, 2, 3}
    acc = np.stack([all_values(default, f"wrist.acc_{a}") for a in "xyz"])
    assert (acc == acc.round()).all()
    assert np.abs(acc).max() <= 128
    norm = np.sqrt((acc.astype(float) ** 2).sum(axis=0))
    assert 62 < np.median(norm) < 66
    temp, eda = all_values(default, "wrist.temp"), all_values(default, "wrist.eda")
    assert 24 <= temp.min() <= temp.max() <= 38
    assert 0.05 < np.percentile(eda, 1) < np.percentile(eda, 99) < 30
    # Standard deviation within 11 s windows of eight Stress-Predict people: median 30, 10th to
    # 90th percentile 14 to 90.
    sd = all_values(default, "wrist.bvp")[: 3000 * 700].reshape(-1, 700).std(axis=1)
    assert 15 < np.median(sd) < 60


def test_pulse_beats_at_the_heart_rate_of_the_person_and_rises_by_its_reaction() -> None:
    for index in range(6):
        person = draw_person(4, index)
        person = replace(person, traits={**person.traits, "fidget_log_per_min": -9.0})
        plan = [(BASELINE, 200.0), (STRESS, 200.0)]
        signals, _ = simulate_session(generator(4, "t", index), person, plan, session_drift=0)
        for part, push in ((slice(640, 12800), 0.0), (slice(15000, 25600), 1.0)):
            x = signals["wrist.bvp"].values[part]
            power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
            bpm = 60 * np.fft.rfftfreq(len(x), 1 / 64)
            expected = person.traits["heart_bpm"] + push * person.reactions["heart_bpm"]
            near = (bpm > expected - 18) & (bpm < expected + 18)
            found = (bpm[near] * power[near]).sum() / power[near].sum()
            assert found == pytest.approx(expected, abs=7)


def test_stress_reactions_scale_with_the_effect() -> None:
    one, two, none = (draw_person(0, 3, stress_effect=e) for e in (1.0, 2.0, 0.0))
    assert one.traits == two.traits
    for name, value in one.reactions.items():
        assert two.reactions[name] == pytest.approx(2 * value)
        assert none.reactions[name] == 0
    average = [draw_person(0, i, fingerprint=0, response_variation=0) for i in range(2)]
    assert average[0].traits == average[1].traits
    assert average[0].reactions == average[1].reactions
    assert draw_person(0, 0).traits != draw_person(0, 1).traits


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(60, 3000))
def test_conditions_take_turns_and_fill_the_session(seed: int, session_s: float) -> None:
    plan = draw_conditions(np.random.default_rng(seed), session_s)
    stressed = [code == STRESS for code, _ in plan]
    assert sum(s for _, s in plan) == round(session_s)
    assert all(a != b for a, b in pairwise(stressed))
    assert BASELINE in [code for code, _ in plan]
    assert min(s for _, s in plan) >= 20


def test_subjects_are_known_without_simulating() -> None:
    assert Synthetic(people=9999).subjects(None)[-1] == "P9999"
    assert Synthetic(people=3).subjects(None) == tuple(
        sorted({r.subject for r in Synthetic(people=3, sessions=1, session_s=60).load().recordings})
    )


@pytest.mark.parametrize(
    "options", [{"people": 0}, {"sessions": 0}, {"session_s": 30}, {"fingerprint": -1}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError) as caught:
        Synthetic(**options)
    assert caught.value.code == "E203"


def test_sample_is_read_back_by_the_e4_loader(tmp_path: Path) -> None:
    source = Synthetic(people=2, sessions=2, session_s=90, seed=5)
    source.write_sample(tmp_path, seed=5)
    read, made = E4().load(tmp_path), source.load()
    assert read.synthetic
    assert [(r.subject, r.session) for r in read.recordings] == [
        (r.subject, r.session) for r in made.recordings
    ]
    for a, b in zip(read.recordings, made.recordings, strict=True):
        for channel in WRIST_CHANNELS:
            x, y = a.signals[channel], b.signals[channel]
            assert abs(x.end_s - y.end_s) < 1e-6
            np.testing.assert_allclose(x.values, y.values[-len(x.values) :], atol=0.006)
        names = [
            [r.conditions[int(c)] for c in w.condition.values[:-4]]
            for r, w in ((read, a), (made, b))
        ]
        assert names[0] == names[1][: len(names[0])]


def test_chest_has_all_channels_at_700_hz_in_plausible_units() -> None:
    plan = [(BASELINE, 20.0), (STRESS, 20.0)]
    signals, condition = simulate_chest(generator(0, "t"), draw_person(0, 0), plan)
    assert tuple(sorted(signals)) == tuple(sorted(channels_of("chest")))
    assert {(s.rate_hz, len(s.values)) for s in signals.values()} == {(700.0, 28000)}
    assert (len(condition.values), condition.rate_hz) == (28000, 700.0)
    ecg = signals["chest.ecg"].values
    peaks = np.flatnonzero(
        (ecg[1:-1] > 0.5 * ecg.max()) & (ecg[1:-1] >= ecg[:-2]) & (ecg[1:-1] > ecg[2:])
    )
    beats = 1 + (np.diff(peaks) > 200).sum()
    assert 40 * 40 / 60 < beats < 150 * 40 / 60
    norm = np.sqrt(sum(signals[f"chest.acc_{a}"].values.astype(float) ** 2 for a in "xyz"))
    assert 0.9 < np.median(norm) < 1.1
    assert 28 < np.median(signals["chest.temp"].values) < 37
