"""Curves and intervals of membership scores: against scikit-learn, loops, and repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from sklearn.metrics import roc_auc_score

from fedaffect.privacy.attacks.membership_statistics import MembershipScores, strongest
from fedaffect.privacy.attacks.statistics import tpr_at


def drawn(
    members: int,
    others: int,
    windows: int = 10,
    *,
    shift: float = 0.0,
    person: float = 0.7,
    seed: int = 0,
) -> MembershipScores:
    """Return scores with people's own means of deviation ``person``, noise 1."""
    rng, count = np.random.default_rng(seed), members + others
    who = np.repeat(np.arange(count), windows)
    member = who < members
    noise = person * rng.normal(size=count)[who] + rng.normal(size=len(who))
    return MembershipScores(noise + shift * member, who, member, seed)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_area_and_wins_by_a_loop(cells: list[tuple[int, int]]) -> None:
    subject = np.array([0, 1, *(who for who, _ in cells)])
    scores = np.array([0.0, 0.0, *(float(score) for _, score in cells)])
    scored = MembershipScores(scores, subject, subject % 2 == 0, 0)
    people = np.unique(subject)
    for i, one in enumerate(people):
        for j, other in enumerate(people):
            pairs = [(a, b) for a in scores[subject == one] for b in scores[subject == other]]
            assert scored._wins[i, j] == sum((a > b) + (a == b) / 2 for a, b in pairs)
    assert scored.auc().value == pytest.approx(roc_auc_score(scored.member, scores))
    estimate = scored.auc()
    assert estimate.low <= estimate.value <= estimate.high


def test_mean_of_a_person() -> None:
    scores = MembershipScores(
        np.array([1.0, 2.0, 6.0, 5.0]),
        np.array([7, 3, 3, 9]),
        np.array([True, False, False, True]),
        0,
    )
    by_person = scores.by_person()
    assert by_person.scores.tolist() == [4.0, 1.0, 5.0]
    assert by_person.subject.tolist() == [3, 7, 9]
    assert by_person.member.tolist() == [False, True, True]


def test_roc_starts_at_one_over_the_non_members_and_rises() -> None:
    scored = drawn(20, 30, shift=1.0)
    points = scored.roc()
    false, true = (np.array([getattr(p, axis) for p in points]) for axis in ("fpr", "tpr"))
    assert false[0] >= 1 / 300
    assert len(points) <= 100
    assert (np.diff(false) > 0).all() and (np.diff(true) >= 0).all()
    assert (false[-1], true[-1]) == (1.0, 1.0)
    for f, t in zip(false, true, strict=True):
        assert t == tpr_at(scored.inside, scored.outside, f)


def test_rates_that_cannot_be_resolved_have_no_value() -> None:
    rates = drawn(8, 15, 1).tpr_at_fpr()
    assert [rate.value for rate in rates.values()] == [None, None]
    assert rates["0.01"].note == "not resolvable: needs 100 non-members, there are 15"
    rates = drawn(8, 15, 10).tpr_at_fpr()
    assert rates["0.01"].value is not None
    assert rates["0.001"].value is None


def test_a_rate_and_its_interval() -> None:
    scored = drawn(60, 60, 20, shift=2.5, person=0.3)
    rate = scored.tpr_at_fpr()["0.01"]
    exact = norm.sf(norm.isf(0.01) - 2.5 / np.sqrt(1.09))
    assert rate.low < exact < rate.high
    assert rate.low <= rate.value <= rate.high
    assert rate.high - rate.low < 0.3
    apart = drawn(10, 10, 20, shift=100.0).tpr_at_fpr()["0.01"]
    assert (apart.value, apart.high) == (1.0, 1.0)
    assert apart.low == pytest.approx(0.025 ** (1 / 10))  # Clopper & Pearson, 10 members


def test_a_rate_of_zero_leaves_room_for_the_people_who_were_not_looked_at() -> None:
    rate = drawn(8, 8, 20, shift=-100.0).tpr_at_fpr()["0.01"]
    assert (rate.low, rate.value) == (0.0, 0.0)
    assert rate.high == pytest.approx(1 - 0.025 ** (1 / 8))


def test_low_false_positive_rates_with_few_people_are_not_called_too_high() -> None:
    draws = 100
    rates = [drawn(20, 4, 60, seed=s).tpr_at_fpr()["0.01"] for s in range(draws)]
    assert sum(rate.low > 0.01 for rate in rates) <= binom.ppf(0.999, draws, 0.025)
    assert max(rate.value for rate in rates) > 0.1  # one person's windows lift it by luck


def test_few_separated_people_leave_room_for_luck() -> None:
    widths = []
    for people in (2, 4, 16, 64):
        estimate = drawn(people, people, shift=100.0).auc()
        assert (estimate.value, estimate.high) == (1.0, 1.0)
        widths.append(1.0 - estimate.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.5 > 0.1 > widths[-1] > 0
    assert drawn(1, 30).auc().low == 0.0


def test_luck_is_as_probable_as_a_count_of_all_draws_says() -> None:
    """Three of six people took part and have the highest scores: 1 of 20 draws does as well."""
    scored = drawn(3, 3, shift=100.0)
    assert scored.p_value == pytest.approx(1 / 20, abs=0.03)
    assert drawn(3, 3, shift=-100.0).p_value == 1.0
    assert scored.without_a_leak.mean() == pytest.approx(0.5, abs=0.03)


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = drawn(9, 12, 20), drawn(9, 12, 20)
    assert one.tpr_at_fpr() == other.tpr_at_fpr()
    assert one.p_value == other.p_value


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize(("members", "others"), [(8, 4), (12, 12), (30, 10)])
def test_an_interval_covers_the_area_with_few_people(
    members: int, others: int, shift: float
) -> None:
    draws = 200
    exact = norm.cdf(shift / np.sqrt(2 * (1 + 0.7**2)))
    estimates = [drawn(members, others, shift=shift, seed=s).auc() for s in range(draws)]
    missed = sum(not e.low <= exact <= e.high for e in estimates)
    assert missed <= binom.ppf(0.999, draws, 0.05)
    if members > 8:  # not by being as wide as the axis
        assert np.mean([e.high - e.low for e in estimates]) < 0.4


def test_luck_of_the_strongest_is_paid_for() -> None:
    """Two scores without a leak: not called detected more often than in 5 % of cases."""
    draws = 200
    heads = []
    for seed in range(draws):
        scored = drawn(8, 8, 4, seed=seed)
        heads.append(strongest([scored, scored.by_person()]))
    assert sum(head.detected for head in heads) <= binom.ppf(0.999, draws, 0.05)
    assert sum(head.figure.low > 0.5 for head in heads) <= binom.ppf(0.999, draws, 0.05)


def test_the_strongest_score_is_the_headline() -> None:
    weak, strong = drawn(12, 12), drawn(12, 12, shift=3.0)
    head = strongest([weak, strong])
    assert head.best == 1
    assert head.detected
    assert head.figure == strong.auc(0.975)
    assert head.figure.low <= strong.auc().low
