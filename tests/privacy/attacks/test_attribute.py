from dataclasses import replace

import numpy as np
import pytest
from evidence import evidence, people
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from fedaffect.privacy.attacks.attribute import AttributeInference, split_in_two
from fedaffect.privacy.attacks.shadow import Seen, answers, shadows_of
from fedaffect.privacy.attacks.shadow_questions import Question, judged
from fedaffect.registry import resolve

CHEAP = AttributeInference(shadows=32, rounds=1)


def planted(seed, shift=4.0, **changes):
    """People of two sexes whose first feature lies ``shift`` apart."""
    w = people(12, 4, windows=8, identity=0.5, seed=seed)
    sex = np.random.default_rng(seed).permutation(16) % 2
    features = w.features.copy()
    features[:, 0] += shift * (sex[w.subject] - 0.5)
    w = replace(w, features=features, attributes={"sex": sex})
    return evidence(w, seed=seed, rounds=1, upload_rounds=(1,), **changes)


def figure(result, name):
    [row] = [r for r in result.rows if r.name == name]
    return row.figure


def test_a_planted_attribute_is_found():
    result = replace(resolve("audit", "attribute")(), shadows=40).run(planted(0))
    assert (result.status, result.metric, result.figure.chance) == ("done", "AUC", 0.5)
    assert figure(result, "sex").value > 0.9
    assert figure(result, "sex, shadow labels permuted").value < 0.9
    assert result.finding.startswith("Uploads tell the sex of a client's people: AUC ")
    assert "The data tell no age of people." in result.notes
    assert {r.role for r in result.rows if "permuted" in r.name} == {"baseline"}


@pytest.mark.slow
def test_power_on_a_planted_attribute():
    found = sum("tell the sex" in CHEAP.run(planted(seed, shift=6.0)).finding for seed in range(20))
    assert found >= 18


def test_shadows_own_what_the_attacker_owns_and_share_nobody_when_apart():
    e = planted(1)
    shadows = shadows_of(e, 20, 1)
    w = e.windows
    for rows in shadows.drawn:
        assert (w.enrol | w.unseen)[rows].all()
        assert len(np.unique(w.subject[rows])) == 1  # as in the attacked clients
    apart = shadows.apart()
    for i, target in enumerate(shadows.targets):
        for j, rows in enumerate(shadows.drawn):
            assert apart[i, j] == (not set(w.subject[target]) & set(w.subject[rows]))


def test_answers_use_only_shadows_apart_from_the_client():
    # the shadows of a client's own person lie: with them the answer would be wrong
    rng = np.random.default_rng(0)
    truth = np.arange(40) % 2
    x = truth[:, None] + 0.1 * rng.normal(size=(40, 3))
    person = np.repeat(np.arange(4), 10)
    lying = np.where(person == 0, 1 - truth, truth)
    apart = np.array([person != 0, person != 0])
    seen = [Seen(x, np.array([[1.0] * 3, [0.0] * 3]), np.arange(2))]
    yes, no = answers(seen, lying, apart)
    assert no < 0 < yes
    doubled = answers([*seen, *seen], lying, apart)
    assert doubled == pytest.approx([yes, no])


@pytest.mark.parametrize(
    ("values", "high"),
    [
        ([0, 1, 1, 1], [0, 1, 1, 1]),
        ([20, 30, -1, 40, 50], [0, 0, -1, 1, 1]),
        ([3, 3, -1], [-1, -1, -1]),
    ],
)
def test_values_are_split_in_two(values, high):
    assert split_in_two(np.array(values)).tolist() == high


@given(arrays.arrays(np.int64, st.integers(1, 20), elements=st.integers(-1, 6)))
def test_a_split_keeps_order_and_the_unknown(values):
    high = split_in_two(values)
    assert ((high == -1) == (values < 0)).all() or (high == -1).all()
    for a in (0, 1):
        assert not (high == 1).any() or (high == a).any()
    if (high == 1).any():
        assert values[high == 0].max() < values[high == 1].min()


def test_noise_of_the_clients_is_in_the_shadows_too():
    e = planted(0, dp={"name": "gaussian", "eps": 0.05, "delta": 1e-5, "where": "client"})
    shadows = shadows_of(e, 6, 1)
    clear = evidence(e.windows, seed=0, rounds=1, upload_rounds=(1,))
    [noised], [plain] = shadows.real(), shadows_of(clear, 6, 1).real()
    group = e.mechanism.groups[0]
    norms = noised.shadow[:, 0] - plain.shadow[:, 0]  # logarithms, of the same first layer
    size = e.factory.layout.block_sizes["shared"] * 12 / 13  # its weight: 12 of 13 inputs
    assert noised.shadow[:, 0] == pytest.approx(np.log(group.noise * size**0.5), abs=0.4)
    assert (norms > 1).all()


@pytest.mark.parametrize(
    ("e", "status"),
    [
        (lambda: replace(planted(0), uploads=(), no_uploads="no key"), "not_run"),
        (lambda: evidence(people(3, 2, windows=8), rounds=1, upload_rounds=(1,)), "not_resolvable"),
    ],
)
def test_what_cannot_be_asked(e, status):
    result = CHEAP.run(e())
    assert (result.status, result.figure.value) == (status, None)
    assert result.reason


@pytest.mark.slow
def test_no_attribute_is_found_where_there_is_none():
    # the uploads stay, people's attributes are drawn anew: nothing depends on them
    e, alarms = planted(0, shift=0.0), 0
    shadows = shadows_of(e, 24, 1)
    seen, subject = shadows.real(), e.windows.subject
    blank = AttributeInference(shadows=24, rounds=1).run(replace(e, uploads=(), no_uploads="x"))
    for seed in range(200):
        value = np.random.default_rng(seed).permutation(16) % 2
        held = (shadows.drawn, shadows.targets)
        asked = (np.array([value[subject[rows[0]]] for rows in side]) for side in held)
        result = judged(blank, [Question("attribute", "the attribute", seen, *asked)], shadows, ())
        alarms += result.finding.startswith("Uploads tell")
    assert alarms <= stats.binom.ppf(0.999, 200, 0.05)
