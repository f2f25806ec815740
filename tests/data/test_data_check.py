import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fedaffect.data.check import check_dataset
from fedaffect.data.e4 import E4
from fedaffect.data.schema import (
    UNLABELLED,
    WRIST_CHANNELS,
    DatasetInfo,
    Finding,
    Recording,
    Recordings,
    Signal,
)

RATES_HZ = {"acc": 32.0, "bvp": 64.0, "eda": 4.0, "temp": 4.0}
SECONDS = 100


@dataclass(frozen=True)
class InMemory:
    """A data set that is already loaded."""

    recordings: Recordings
    info = DatasetInfo("In memory", "any", "wrist", "none", "none", needs_root=False)

    def subjects(self, root: Path | None) -> tuple[str, ...]:
        return tuple(r.subject for r in self.recordings.recordings)

    def load(self, root: Path | None) -> Recordings:
        return self.recordings

    def write_sample(self, root: Path, seed: int = 0) -> None:
        raise AssertionError("a check writes nothing")


def person(subject: str, seed: int, **changes: np.ndarray) -> Recording:
    """Return 100 s of plausible noise; ``changes`` replace channels, such as ``eda=...``."""
    rng = np.random.default_rng(seed)
    level = {"acc_x": 0.0, "acc_y": 5.0, "acc_z": 60.0, "bvp": 0.0, "eda": 2.0, "temp": 33.0}
    signals = {}
    for channel in WRIST_CHANNELS:
        word = channel.split(".")[1]
        rate_hz = RATES_HZ[word.split("_")[0]]
        values = level[word] + 0.3 * rng.standard_normal(int(SECONDS * rate_hz))
        signals[channel] = Signal(changes.get(word, values), rate_hz)
    codes = np.repeat([0, 1, UNLABELLED, 2], [40, 30, 20, 10])
    return Recording(subject, "01", signals, Signal(codes, 1.0))


def check(*people: Recording, **changes: object) -> list[Finding]:
    data = Recordings(
        dataset="x",
        recordings=people,
        conditions={0: "rest", 1: "stress", 2: "fun"},
        stress_of={0: 0, 1: 1, 2: None},
        licence="none",
        citation="none",
        notes=("one note",),
    )
    return check_dataset("x", InMemory(replace(data, **changes)), None)  # type: ignore[arg-type]


def by_code(findings: list[Finding]) -> dict[str, Finding]:
    return {f.details["code"]: f for f in findings}


def test_sound_data_give_only_ok() -> None:
    findings = check(person("a", 1), person("b", 2))
    assert {f.level for f in findings} == {"ok"}
    found = by_code(findings)
    assert set(found) == {"size", "rates", "labels", "note"}
    size = found["size"].details
    assert (size["people"], size["sessions"], size["hours"]) == (2, 2, round(200 / 3600, 3))
    assert found["rates"].details["wrist.bvp"] == [64.0]
    assert found["labels"].details["seconds"] == {
        who: {"rest": 40.0, "stress": 30.0, "unlabelled": 20.0, "fun": 10.0} for who in "ab"
    }
    assert found["note"].what == "one note"


def test_one_class_people_are_named() -> None:
    calm = replace(person("b", 2), condition=Signal(np.array([0] * 50 + [2] * 50), 1.0))
    silent = replace(person("c", 3), condition=Signal(np.full(100, UNLABELLED), 1.0))
    finding = by_code(check(person("a", 1), calm, silent))["W130"]
    assert (finding.level, finding.details["people"]) == ("warning", ["b", "c"])


def test_one_class_data_set_is_an_error() -> None:
    calm = replace(person("b", 2), condition=Signal(np.zeros(100, np.int64), 1.0))
    assert by_code(check(calm))["W130"].level == "error"


@pytest.mark.parametrize(("share", "level"), [(0.1, "warning"), (0.5, "error")])
def test_share_that_is_not_finite(share: float, level: str) -> None:
    eda = 2 + np.random.default_rng(0).random(400)
    eda[: int(400 * share)] = np.nan
    finding = by_code(check(person("a", 1, eda=eda), person("b", 2)))["W131"]
    assert finding.level == level
    assert finding.details["share"] == {"a": pytest.approx(share)}


def test_flat_share_counts_stretches_of_more_than_five_seconds() -> None:
    bvp = np.random.default_rng(0).standard_normal(6400)
    bvp[1000 : 1000 + 640] = 7.0  # 10 s: counts
    bvp[3000 : 3000 + 320] = 7.0  # 5 s: does not
    finding = by_code(check(person("a", 1, bvp=bvp)))["W132"]
    assert finding.level == "warning"
    assert finding.details["share"] == {"a": pytest.approx(0.1)}


def test_a_resting_wrist_is_not_flat_enough_to_tell() -> None:
    still = np.full(3200, 3.0)
    still[:1700] += np.random.default_rng(0).standard_normal(1700)
    assert "W132" not in by_code(check(person("a", 1, acc_x=still)))
    dead = np.full(3200, 3.0)
    assert "W132" in by_code(check(person("a", 1, acc_x=dead)))


def test_saturated_channel() -> None:
    acc = np.random.default_rng(0).standard_normal(3200)
    acc[::20] = 127.0
    acc[10::20] = -128.0
    finding = by_code(check(person("a", 1, acc_z=acc)))["W133"]
    assert finding.details["channel"] == "wrist.acc_z"
    assert finding.details["share"] == {"a": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("word", "value", "n", "level"),
    [
        ("temp", 46.0, 400, "warning"),
        ("temp", 306.0, 400, "error"),
        ("eda", -0.5, 400, "warning"),
        ("acc_x", 129.0, 3200, "warning"),
    ],
)
def test_values_out_of_range(word: str, value: float, n: int, level: str) -> None:
    values = 30 + np.random.default_rng(0).random(n)
    count = n // 20 if level == "warning" else n // 2
    values[:: n // count] = value
    finding = by_code(check(person("a", 1, **{word: values})))["W134"]
    assert finding.level == level
    assert finding.details["share"] == {"a": pytest.approx(count / n)}


def test_rates_that_differ() -> None:
    other = person("b", 2)
    slow = Signal(np.random.default_rng(0).random(200) + 30, 2.0)
    other = replace(other, signals={**other.signals, "wrist.temp": slow})
    finding = by_code(check(person("a", 1), other))["W135"]
    assert finding.details["wrist.temp"] == [2.0, 4.0]


def test_labels_without_signals() -> None:
    longer = Signal(np.repeat([0, 1], [60, 100]), 1.0)
    finding = by_code(check(replace(person("a", 1), condition=longer)))["W136"]
    assert finding.details["a"] == 60.0


def test_copied_signal_is_an_error() -> None:
    a, b = person("a", 1), person("b", 2)
    b = replace(b, signals={**b.signals, "wrist.bvp": a.signals["wrist.bvp"]})
    findings = check(a, b)
    assert findings[0].level == "error"
    assert findings[0].details["code"] == "E350"
    assert findings[0].details["recordings"] == ("a/01", "b/01")


def test_no_people_is_an_error() -> None:
    assert by_code(check())["E352"].level == "error"


def test_empty_channel_does_not_stop_the_check() -> None:
    findings = check(person("a", 1, eda=np.array([])), person("b", 2))
    assert by_code(findings)["size"].details["people"] == 2


def test_all_problems_of_real_files_are_listed(tmp_path: Path) -> None:
    E4().write_sample(tmp_path)
    assert all(f.level == "ok" for f in check_dataset("e4", E4(), tmp_path))
    (tmp_path / "P01/01/EDA.csv").write_text("1700000000\n8\n1\n")
    (tmp_path / "P02/02/labels.csv").unlink()
    shutil.copy(tmp_path / "P03/01/TEMP.csv", tmp_path / "P04/01/BVP.csv")
    findings = check_dataset("e4", E4(), tmp_path)
    assert [(f.level, f.details["code"]) for f in findings] == [
        ("error", "E345"),
        ("error", "E348"),
        ("error", "E345"),
    ]
    assert all(f.details["do"] for f in findings)


def test_root_that_is_missing_is_a_finding(tmp_path: Path) -> None:
    (finding,) = check_dataset("e4", E4(), tmp_path / "absent")
    assert (finding.level, finding.details["code"]) == ("error", "E340")
