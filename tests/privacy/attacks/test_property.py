import re
from dataclasses import replace

import numpy as np
import pytest
from evidence import evidence, people
from scipy import stats

from fedaffect.privacy.attacks.attribute import PREVALENCE
from fedaffect.privacy.attacks.channels import ALL, channels_of
from fedaffect.privacy.attacks.property import CONDITION, PropertyInference
from fedaffect.privacy.attacks.shadow import shadows_of
from fedaffect.privacy.attacks.shadow_questions import Question, judged
from fedaffect.registry import resolve

NAMES = tuple(f"wrist.{c}/f{i}" for c in ("bvp", "eda") for i in range(6))


def windows(seed=0):
    """People whose shares of stress differ, and whose first channel is never near zero."""
    rng = np.random.default_rng(seed)
    w = people(12, 4, windows=10, identity=0.3, stress=3.0, seed=seed)
    direction = w.features[w.stress == 1].mean(axis=0) - w.features[w.stress == 0].mean(axis=0)
    share = rng.permutation(np.linspace(0.1, 0.9, 16))
    stress = (rng.random(len(w.stress)) < share[w.subject]).astype(np.int64)
    features = w.features + ((stress - w.stress)[:, None] * direction).astype(np.float32)
    features[:, :6] += 3.0
    return replace(w, features=features, stress=stress, feature_names=NAMES)


@pytest.fixture(scope="module")
def result():
    e = evidence(windows(), rounds=1, upload_rounds=(1,))
    return replace(resolve("audit", "property")(), shadows=40).run(e)


def row(result, name):
    [found] = [r for r in result.rows if r.name == name]
    return found


@pytest.mark.parametrize("name", [PREVALENCE, CONDITION, "no wrist.bvp (planted)"])
def test_planted_properties_are_found(result, name):
    assert result.status == "done"
    assert row(result, name).figure.value > 0.85
    assert row(result, f"{name}, shadow labels permuted").role == "baseline"
    assert re.match(
        r"Uploads tell which clients (hold no window of the stress condition|lack wrist.bvp) "
        r"\(planted\): AUC \d\.\d\d \(chance 0\.50\)\.",
        result.finding,
    )


def test_the_share_of_stress_is_estimated(result):
    found = row(result, "share of stress windows")
    assert (found.metric, found.figure.chance) == ("correlation", 0.0)
    assert found.figure.value > 0.7
    assert found.figure.low > 0


def test_one_channel_cannot_be_missing():
    w = replace(windows(), feature_names=())
    e = evidence(w, rounds=1, upload_rounds=(1,))
    found = PropertyInference(shadows=16, rounds=1).run(e)
    assert not any("no wrist" in r.name for r in found.rows)
    assert any("none can be missing" in note for note in found.notes)


def test_without_uploads_it_does_not_run():
    found = PropertyInference().run(evidence(windows(), rounds=1))
    assert (found.status, found.reason) == ("not_run", "the server kept no uploads")


def test_channels_by_name():
    w = windows()
    assert {c: at.tolist() for c, at in channels_of(w).items()} == {
        "wrist.bvp": [0, 1, 2, 3, 4, 5],
        "wrist.eda": [6, 7, 8, 9, 10, 11],
    }
    assert list(channels_of(replace(w, feature_names=()))) == [ALL]


@pytest.mark.slow
def test_power_on_planted_properties():
    asked = replace(resolve("audit", "property")(), shadows=48, rounds=1)
    found = []
    for seed in range(12):
        finding = asked.run(
            evidence(windows(seed), seed=seed, rounds=1, upload_rounds=(1,))
        ).finding
        found.append(finding.startswith("Uploads tell"))
    assert sum(found) >= 11


@pytest.mark.slow
def test_no_property_is_found_where_nothing_was_planted():
    # who counts as changed is drawn anew: nothing was changed, and nothing depends on it
    e, alarms = evidence(windows(), rounds=1, upload_rounds=(1,)), 0
    shadows = shadows_of(e, 24, 1)
    blank = PropertyInference(shadows=24, rounds=1).run(replace(e, uploads=(), no_uploads="x"))
    seen = shadows.planted(lambda rows: (rows, None), *(np.zeros(n, bool) for n in (24, 12)))
    for seed in range(200):
        rng = np.random.default_rng(seed)
        changed = (rng.permutation(n) % 2 for n in (24, 12))
        result = judged(blank, [Question("changed", "who changed", seen, *changed)], shadows, ())
        alarms += result.finding.startswith("Uploads tell")
    assert alarms <= stats.binom.ppf(0.999, 200, 0.05)
