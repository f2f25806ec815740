"""RMIA and LiRA against plain loops, and against the exact likelihood ratio of a toy model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mean_estimation import log_likelihood_ratio, mean_estimation
from scipy.stats import norm, spearmanr

from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.membership import Groups, confidence, groups_of, references_of
from fedaffect.privacy.attacks.membership_lira import lira_scores, logit_scaled
from fedaffect.privacy.attacks.membership_rmia import Rmia, rmia_scores
from fedaffect.privacy.attacks.statistics import auc


def compared(found: Evidence) -> Groups:
    groups = groups_of(found)
    assert isinstance(groups, Groups)
    return groups


def probability(params: np.ndarray, x: np.ndarray, y: int) -> float:
    logit = float(x.astype(np.float64) @ params) * (2 * y - 1)
    return 1 / (1 + math.exp(-logit))


def slow_references(found: Evidence, models: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (S, N) and who is out (S, N) from what the trainer was asked for."""
    w, trainer = found.windows, found.trainer
    asked = trainer.trained_on[-models:]
    masks = np.array([np.frombuffer(mask, dtype=bool) for mask, _ in asked])
    p = []
    for mask in masks:
        sign = 2 * w.stress[mask] - 1
        theta = sum(s * x.astype(np.float64) for s, x in zip(sign, w.features[mask], strict=True))
        theta = theta / mask.sum()
        p.append([probability(theta, x, y) for x, y in zip(w.features, w.stress, strict=True)])
    return np.array(p), np.array([~np.isin(w.subject, w.subject[mask]) for mask in masks])


def slow_rmia(found: Evidence, a: float, gamma: float, models: int) -> list[float]:
    """Return the paper's score by a loop over every pair of windows of two people."""
    w, (p, out) = found.windows, slow_references(found, models)
    ratio = []
    for i in range(len(w.subject)):
        without = [p[k, i] for k in range(models) if out[k, i]]
        p_out = sum(without) / len(without)
        p_in = a * p_out + 1 - a
        target = probability(found.params, w.features[i], w.stress[i])
        ratio.append(target / ((p_in + p_out) / 2))
    scores = []
    for x, who in zip(ratio, w.subject, strict=True):
        others = [z for z, other in zip(ratio, w.subject, strict=True) if other != who]
        scores.append(sum(x / z >= gamma for z in others) / len(others))
    return scores


@pytest.mark.parametrize(("a", "gamma"), [(0.3, 1.0), (0.6, 1.3)])
def test_rmia_by_a_loop(a: float, gamma: float) -> None:
    found = mean_estimation(6, 5, 20, windows=4, seed=3)
    scored = Rmia(models=4, a=a, gamma=gamma).scored(found, compared(found))
    slow = slow_rmia(found, a, gamma, 4)
    if gamma == 1:  # a ratio of exactly 1 is decided by rounding
        assert scored.scores == pytest.approx(slow, abs=1.01 / 35)
    assert np.mean(np.abs(scored.scores - slow) < 1e-12) > 0.95
    assert len(set(scored.scores)) > 10


def test_rmia_of_the_best_and_the_worst_window() -> None:
    target, mean_out = np.array([0.9, 0.1, 0.5, 0.5]), np.array([0.1, 0.9, 0.5, 0.5])
    scores = rmia_scores(target, mean_out, np.array([0, 1, 2, 3]), 0.3, 1.0)
    assert scores[0] == 1.0
    assert scores[1] == 0.0
    own = rmia_scores(target, mean_out, np.array([0, 0, 0, 1]), 0.3, 1.0)
    assert own.tolist()[:3] == [1.0, 0.0, 1.0]  # a person's own windows do not count
    assert own[3] == pytest.approx(2 / 3)


@pytest.mark.parametrize("one_variance", [True, False])
def test_lira_by_a_loop(one_variance: bool) -> None:
    found = mean_estimation(6, 5, 20, windows=4, seed=4)
    groups = compared(found)
    references = references_of(found, groups, 8)
    target = confidence(found, found.params, groups)
    scores = lira_scores(target, references, one_variance=one_variance)
    p, out = slow_references(found, 8)
    fits = []
    for i in range(len(groups.rows)):
        logits = [math.log(p[k, i] / (1 - p[k, i])) for k in range(8) if out[k, i]]
        fits.append((np.mean(logits), np.var(logits, ddof=1)))
    pooled = np.mean([variance for _, variance in fits])
    chances = [
        norm.cdf(math.log(t / (1 - t)), mean, math.sqrt(pooled if one_variance else variance))
        for t, (mean, variance) in zip(target, fits, strict=True)
    ]
    assert norm.cdf(scores) == pytest.approx(chances, rel=1e-6, abs=1e-12)


def test_logits_of_certain_answers_are_finite() -> None:
    logits = logit_scaled(np.array([1e-12, 0.5, 1.0]))
    assert logits[0] == pytest.approx(-math.log(1e12))
    assert logits[1] == 0.0
    assert logits[2] == pytest.approx(math.log(1e12), rel=1e-4)


def test_reference_models_leave_everyone_out_equally_often() -> None:
    found = mean_estimation(7, 4, 5, windows=3)
    groups = compared(found)
    references = references_of(found, groups, 6)
    assert (references.out.sum(axis=0) == 3).all()
    for out in references.out:
        assert len(np.unique(groups.subject[out])) in (5, 6)  # whole people, half of eleven
        assert not set(groups.subject[out]) & set(groups.subject[~out])


def test_more_reference_models_begin_with_the_same_ones() -> None:
    found = mean_estimation(7, 4, 5)
    groups = compared(found)
    found.trainer.trained_on.clear()
    for models in (4, 8):
        references_of(found, groups, models)
    asked = found.trainer.trained_on
    assert asked[:4] == asked[4:8]
    assert len(set(asked)) == 8


def test_attacks_rank_as_the_exact_likelihood_ratio_does() -> None:
    """100 of 200 windows in 100 dimensions: the exact attack has d' = 2 sqrt(d / N) = sqrt(2)."""
    found = mean_estimation(100, 100, 100, seed=1)
    groups = compared(found)
    member, exact = groups.member, log_likelihood_ratio(found)
    shadows = references_of(found, groups, 64)
    target = confidence(found, found.params, groups)
    lira = lira_scores(target, shadows, one_variance=True)
    own = lira_scores(target, shadows, one_variance=False)
    rmia = Rmia(models=4).scored(found, groups).scores
    areas = [auc(s[member], s[~member]) for s in (exact, lira, own, rmia, target)]
    assert areas[0] == pytest.approx(norm.cdf(1.0), abs=0.06)
    assert areas[1] == pytest.approx(areas[0], abs=0.02)
    assert areas[2] == pytest.approx(areas[0], abs=0.03)
    assert areas[0] + 0.02 > areas[3] > areas[4]  # RMIA lies between the optimum and the loss
    assert spearmanr(lira, exact).statistic > 0.97
    assert spearmanr(own, exact).statistic > 0.95
    assert spearmanr(rmia, exact).statistic > 0.8
