from dataclasses import replace

import numpy as np
import pytest
from evidence import evidence, people
from scipy import stats

from fedaffect.privacy.attacks.naming import chance_in
from fedaffect.privacy.attacks.strangers import strangers_of
from fedaffect.privacy.attacks.verification import ACROSS, WITHIN, Verification
from fedaffect.registry import resolve


def untrained(windows, seed=0, **changes):
    """Evidence on a network that was not trained, which saves the time of training."""
    made = evidence(windows, seed=seed, params=np.zeros(0), **changes)
    return replace(made, params=made.initial)


def rows_of(result, **wanted):
    return [r for r in result.rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_strangers_are_told_apart():
    e = evidence(people(unseen=8))
    result = resolve("audit", "verification")().run(e)
    assert (result.status, result.metric, result.figure.chance) == ("done", "EER", 0.5)
    assert result.figure.low <= result.figure.value <= result.figure.high < 0.5
    assert (result.n_members, result.n_nonmembers) == (8, 56)
    attacks = rows_of(result, where=ACROSS, metric="EER", role="attack")
    assert [r.name for r in attacks] == ["cosine", "whitened cosine"]
    assert result.figure.value == min(r.figure.value for r in attacks) < result.smallest_effect
    assert len(rows_of(result, metric="d'")) == len(rows_of(result, where=WITHIN)) == 4
    baselines = rows_of(result, role="baseline")
    assert [r.name for r in baselines] == ["raw signal, strongest", "untrained net, strongest"]
    assert "tells strangers apart" in result.finding
    assert result.tpr_at_fpr["0.1"].value > 0.5
    assert result.tpr_at_fpr["0.01"].value is None
    assert min(point.fpr for point in result.roc) == 1 / 56


def test_who_enrols_and_who_is_tested():
    w = people(seen=3, unseen=4, recordings=3, windows=20)
    found = strangers_of(w)
    assert found.across and found.people.tolist() == [3, 4, 5, 6]
    last = w.recording % 3 == 2
    for i, person in enumerate(found.people):
        mine = w.subject == person
        assert np.array_equal(found.enrol == i, mine & ~last)
        test, within = found.test == i, found.within == i
        assert test.any() and not (test & ~(mine & last)).any()
        assert within.any() and not (within & ~(mine & last)).any()
        assert w.start_s[test].min() - (w.start_s[within].max() + w.window_s) >= w.window_s
    assert set(found.background) == {-1, 0, 1, 2}
    assert not (found.background[w.unseen] >= 0).any()


def test_one_recording_is_cut_in_halves_with_a_gap():
    w = people(unseen=5, recordings=1)
    found = strangers_of(w)
    assert not found.across and np.array_equal(found.enrol, found.within)
    for i in range(5):
        gap_s = w.start_s[found.test == i].min() - w.start_s[found.enrol == i].max() - w.window_s
        assert gap_s >= 60
    result = Verification().run(untrained(w))
    assert {r.where for r in result.rows} == {WITHIN}
    assert any("one recording" in note for note in result.notes)


def test_a_new_recording_costs_what_the_recording_gave_away():
    result = Verification().run(untrained(people(unseen=12, identity=0.5, drift=1.5)))
    across, within = (
        min(r.figure.value for r in rows_of(result, where=where, metric="EER", role="attack"))
        for where in (ACROSS, WITHIN)
    )
    assert within < 0.2 < across - 0.1
    said = f"{within:.1%} within a recording, {across:.1%} across recordings"
    assert any(said in note for note in result.notes)


def test_the_equal_error_rate_of_one_feature_is_the_closed_form():
    # Two opposite people on a line: a window passes where its sign is that of the person, so the
    # cosine is right with Phi(mean) and both error rates are Phi(-mean).
    w = people(unseen=4, identity=0.0, stress=0.0, n_features=1, windows=2000)
    sign = np.where(w.subject % 2, 1.0, -1.0)
    moved = w.features.astype(np.float64) - w.features[w.unseen].mean() + sign[:, None]
    found = strangers_of(w).scores(moved)[0]
    two = np.isin(found.owner, [0, 1])
    pair = type(found)(found.name, found.scores[two][:, :2], found.owner[two])
    assert set(np.unique(pair.scores.round(9))) == {-1.0, 1.0}
    assert pair.eer == pytest.approx(stats.norm.cdf(-1), abs=0.02)


def test_whitening_sees_through_what_varies_within_everybody():
    w = people(seen=8, unseen=8, identity=1.0, n_features=6)
    loud = w.features.astype(np.float64)
    loud[:, 0] += 50 * np.random.default_rng(0).normal(size=len(loud))
    cosine, whitened = strangers_of(w).scores(loud)
    assert cosine.eer > 0.4 and whitened.eer < 0.25


def test_the_reference_is_the_same_attack_without_dp():
    e = untrained(people(unseen=5))
    ruined = replace(e, params=np.zeros_like(e.params), reference=e.params)
    result = Verification().run(ruined)
    assert result.reference == Verification().run(e).figure
    assert result.figure.value == 0.5
    assert "not detected by these attacks" in result.finding


@pytest.mark.parametrize(
    ("windows", "status", "reason"),
    [
        (people(unseen=0), "refused", "everybody took part"),
        (people(unseen=3), "not_resolvable", "fewer than 4"),
        (people(unseen=6, windows=2, recordings=1), "not_resolvable", "fewer than 4"),
    ],
)
def test_what_cannot_be_verified(windows, status, reason):
    result = Verification().run(untrained(windows))
    assert (result.status, result.figure.value) == (status, None)
    assert reason in result.reason


def found(seeds, **planted):
    """How often strangers are told apart from their windows as they are."""
    count = 0
    for seed in range(seeds):
        w = people(unseen=8, seed=seed, **planted)
        pairs = strangers_of(w).scores(w.features)
        rates = np.min([pair.permuted_eer(seed) for pair in pairs], axis=0)
        count += chance_in(rates, higher_is_stronger=False).detected
    return count


def test_planted_strangers_are_found():
    assert found(30, identity=0.5, windows=20) >= 28  # equal error rate about 30 %


@pytest.mark.slow
def test_nobody_is_told_apart_who_is_like_everybody_else():
    # Recordings differ, so that windows of one person resemble one another: not across recordings.
    assert found(200, identity=0.0, drift=1.0, windows=16) <= stats.binom.ppf(0.999, 200, 0.05)
