import json
from dataclasses import replace

import numpy as np
import pytest

from fedaffect.data import normalise as normalisation
from fedaffect.data import public_scale as module
from fedaffect.data.features import feature_names
from fedaffect.data.normalise import CHOICES
from fedaffect.data.public_scale import public_columns, public_scale, write_public_scale
from fedaffect.data.schema import CHEST_CHANNELS, WRIST_CHANNELS, WindowTable
from fedaffect.data.synthetic import Synthetic
from fedaffect.data.windows import cut_windows
from fedaffect.errors import DataError

NAMES = ("wrist.bvp/mean", "wrist.eda/mean", "wrist.temp/entropy")


def normalise(t: WindowTable, *, choice: str, train: np.ndarray) -> tuple[np.ndarray, str]:
    return normalisation.normalise(
        t.features, choice=choice, train=train, subject=t.subject, feature_names=t.feature_names
    )


def table(features: np.ndarray, subject: np.ndarray) -> WindowTable:
    n = len(features)
    zeros = np.zeros(n, dtype=np.int64)
    return WindowTable(
        "test", features.astype(np.float32), zeros, subject, zeros, zeros, np.zeros(n), 1.0,
        tuple("ABC"), NAMES, {0: "rest"}, "", "", True, "",
    )  # fmt: skip


@pytest.fixture
def three() -> tuple[WindowTable, np.ndarray]:
    rng = np.random.default_rng(0)
    subject = np.repeat([0, 1, 2], 40)
    x = rng.normal(0, [1, 3, 0.2], (120, 3)) + subject[:, None] * 5.0
    return table(x, subject), (np.arange(120) % 40 < 25) & (subject < 2)


def test_global_uses_training_windows_of_all_people_only(
    three: tuple[WindowTable, np.ndarray],
) -> None:
    t, train = three
    z, text = normalise(t, choice="global", train=train)
    x = t.features.astype(np.float64)
    expected = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    np.testing.assert_allclose(z, np.clip(expected, -10, 10), rtol=1e-5, atol=1e-6)
    assert z.dtype == np.float32
    assert "training windows of all people" in text
    changed = t.features.copy()
    changed[~train] += 100
    again, _ = normalise(replace(t, features=changed), choice="global", train=train)
    np.testing.assert_array_equal(again[train], z[train])


def test_subject_uses_a_persons_own_windows_only(three: tuple[WindowTable, np.ndarray]) -> None:
    t, train = three
    z, text = normalise(t, choice="subject", train=train)
    for person in (0, 1):
        own = t.subject == person
        np.testing.assert_allclose(z[own & train].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(z[own & train].std(axis=0), 1, rtol=1e-4)
    unseen = t.subject == 2
    np.testing.assert_allclose(z[unseen].mean(axis=0), 0, atol=1e-5)
    assert "1 people calibrated on the person's own unlabelled windows" in text
    changed = t.features.copy()
    changed[t.subject == 1] *= 7
    again, _ = normalise(replace(t, features=changed), choice="subject", train=train)
    np.testing.assert_array_equal(again[t.subject != 1], z[t.subject != 1])
    _, all_seen = normalise(t, choice="subject", train=np.ones(len(t), dtype=bool))
    assert "calibrated" not in all_seen


def test_public_depends_on_the_window_alone(three: tuple[WindowTable, np.ndarray]) -> None:
    t, train = three
    z, text = normalise(t, choice="public", train=train)
    assert "nothing computed from private data" in text
    one, _ = normalise(
        table(t.features[7:8], t.subject[7:8]), choice="public", train=np.zeros(1, dtype=bool)
    )
    np.testing.assert_array_equal(one[0], z[7])
    centre, scale = public_scale()["wrist.eda/mean"]
    value = float(t.features[7, 1])
    assert z[7, 1] == pytest.approx(np.arcsinh((value - centre) / scale), rel=1e-5)


@pytest.mark.parametrize("choice", CHOICES)
def test_constant_and_huge_features_stay_finite(choice: str) -> None:
    x = np.tile([3.3, 1e30, 0.0], (6, 1))
    x[0, 2] = 1e30
    train = np.arange(6) > 0
    z, _ = normalise(table(x, np.zeros(6, dtype=np.int64)), choice=choice, train=train)
    assert np.isfinite(z).all()
    if choice == "none":
        np.testing.assert_array_equal(z, x.astype(np.float32))
    else:
        assert np.abs(z).max() <= 10
        assert z[0, 2] == 10
    if choice in ("global", "subject"):
        np.testing.assert_allclose(z[:, :2], 0, atol=1e-5)


def test_unknown_choice_feature_and_empty_training_are_refused(
    three: tuple[WindowTable, np.ndarray],
) -> None:
    t, train = three
    with pytest.raises(ValueError, match="zscore"):
        normalise(t, choice="zscore", train=train)
    with pytest.raises(DataError) as caught:
        normalise(t, choice="global", train=np.zeros(len(t), dtype=bool))
    assert caught.value.code == "E336"
    with pytest.raises(DataError, match=r"wrist\.glucose/mean") as caught:
        public_columns(("wrist.bvp/mean", "wrist.glucose/mean"))
    assert caught.value.code == "E335"


def test_public_scale_covers_every_channel_and_fits_other_simulated_people() -> None:
    names = feature_names(WRIST_CHANNELS + CHEST_CHANNELS)
    assert tuple(public_scale()) == names
    _, scale = public_columns(names)
    assert (scale > 0).all()
    t = cut_windows(Synthetic(people=6, sessions=1, seed=7).load())
    z, _ = normalise(t, choice="public", train=np.ones(len(t), dtype=bool))
    assert np.abs(np.median(z, axis=0)).max() < 1.5
    assert (np.abs(z) > 6).mean() < 0.01
    assert z.std(axis=0).min() > 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    # Medians over eight people of Stress-Predict (S03, S05, S09, S12, S14, S20, S27, S33).
    [
        ("wrist.acc_x/mean", -32.4),
        ("wrist.acc_z/rms", 47.6),
        ("wrist.bvp/rms", 30.3),
        ("wrist.bvp/median_frequency", 1.28),
        ("wrist.eda/mean", 0.967),
        ("wrist.temp/mean", 31.56),
    ],
)
def test_public_scale_is_near_a_real_wrist(name: str, value: float) -> None:
    centre, scale = public_scale()[name]
    assert abs(value - centre) < 1.5 * scale


@pytest.mark.slow
def test_the_command_builds_the_shipped_constants(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "scale.json"
    write_public_scale(path)
    built = json.loads(path.read_text())["scale"]
    shipped = json.loads(Path(module.__file__).with_name("public_scale.json").read_text())["scale"]
    assert list(built) == list(shipped)
    np.testing.assert_allclose(list(built.values()), list(shipped.values()), rtol=1e-3, atol=1e-4)
