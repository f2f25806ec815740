"""Attacks on mechanisms as they run: what is promised must hold, and must not be idle.

The attacker knows everything but whether one client is in the sum, and applies the likelihood
ratio test to the worst-case pair. Every coordinate of a wide block is a release of its own: the
noise on one is that of a block of one parameter, as sensitivity in L1 or L2 knows no d.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from dp_audit import at_least, at_most, eps_lower_bound, mu_estimate
from mechanism_cases import VECTORS, calibrated, planned
from scipy import stats

from fedaffect.params import Layout
from fedaffect.privacy.accountants import closed_form
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.noise import SecretNoiseKey
from fedaffect.privacy.promise import promise_of
from fedaffect.privacy.spec import AdaptiveClip, ClipSpec

DRAWS = 100_000
DELTA = 0.02  # large, so that an attack can come near the promise
CERTAIN = 0.999
ONCE = planned(releases=1)
KEY = SecretNoiseKey(bytes(range(32)))
WIDE = Layout(("a",), ((DRAWS,),), {"first": ("a",)})
TWO = Layout(("a", "b"), ((DRAWS,), (DRAWS,)), {"first": ("a",), "second": ("b",)})
ONE = Layout(("a",), ((1,),), {"first": ("a",)})
CLIPS = {"first": 2.0, "second": 0.5}
PLACES = [("server", "zero_out"), ("server", "replace_one")]
PLACES += [("client", "zero_out"), ("client", "replace_one")]
SPLITS = [{}, {"per_block": CLIPS}]


def audited(name: str, where: str, adjacency: str, **options: Any) -> Any:
    clip = ClipSpec(1.5, per_block=options.pop("per_block", {}))
    layout = options.pop("layout", TWO if clip.per_block else WIDE)
    budget = {"delta": DELTA, "eps": 3.0} | options
    return calibrated(name, ONCE, layout, clip, where=where, adjacency=adjacency, **budget)


def louder(mechanism: Any, factor: float) -> Any:
    """Return the mechanism with a noise scale that is wrong by ``factor``."""
    wrong = tuple(dataclasses.replace(g, noise=factor * g.noise) for g in mechanism.groups)
    return dataclasses.replace(mechanism, groups=wrong)


def moves(mechanism: Any) -> list[float]:
    """Return how far the worst client moves a coordinate of each group, as clipping lets it."""
    d = len(mechanism.blocks.released)
    pair = np.zeros((2, d))
    for group in mechanism.groups:
        pair[0, mechanism.blocks.place(group.blocks[0])[0]] = 1e9
    if mechanism.spec.adjacency == "replace_one":
        pair[1] = -pair[0]
    with_one, other = (clipped_sum(row[None], mechanism).total for row in pair)
    return [
        float(np.abs((with_one - other)[mechanism.blocks.place(group.blocks[0])]).max())
        for group in mechanism.groups
    ]


def noises(mechanism: Any, release: int) -> list[np.ndarray]:
    """Return many draws of the noise of each group."""
    silent = clipped_sum(np.zeros((1, len(mechanism.blocks.released))), mechanism)
    noisy = mechanism.add_noise(silent, KEY, release).total
    return [noisy[mechanism.blocks.place(group.blocks[0])] for group in mechanism.groups]


def evidence(mechanism: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what speaks for the client, in ``DRAWS`` releases with it and without.

    Gaussian noise: the log-likelihood ratio. Laplace noise: how far the release is beyond the
    client's contribution, where the ratio is largest.
    """
    shifts, found = moves(mechanism), []
    for present, release in ((1.0, 1), (0.0, 2)):
        seen = [n + present * s for n, s in zip(noises(mechanism, release), shifts, strict=True)]
        parts = zip(seen, shifts, mechanism.groups, strict=True)
        if mechanism.noise == "laplace":
            found.append(np.min([x - s for x, s, _ in parts], axis=0))
        else:
            found.append(np.sum([(x * s - s * s / 2) / g.noise**2 for x, s, g in parts], axis=0))
    return found[0], found[1]


def counts(seen: tuple[np.ndarray, np.ndarray], level: float = 0.0) -> tuple[int, int]:
    """Return how often the attacker says "in" with the client and without."""
    return int((seen[0] >= level).sum()), int((seen[1] >= level).sum())


@pytest.mark.parametrize("row", VECTORS["clopper_pearson_eps"], ids=lambda r: f"{r['TP']}")
def test_bounds_of_the_audit(row: dict[str, Any]) -> None:
    tp, p, fp, n = row["TP"], row["P"], row["FP"], row["N"]
    assert at_least(tp, p, 0.975) == pytest.approx(row["tpr_lo"], rel=1e-9)
    assert at_most(fp, n, 0.975) == pytest.approx(row["fpr_hi"], rel=1e-9)
    assert eps_lower_bound(tp, p, fp, n, row["delta"]) == pytest.approx(row["eps_lb"], rel=1e-9)


@pytest.mark.parametrize("split", SPLITS, ids=["together", "per block"])
@pytest.mark.parametrize(
    ("name", "where", "adjacency"),
    [*[("gaussian", *place) for place in PLACES], ("moments", *PLACES[0])],
)
def test_gaussian_noise(name: str, where: str, adjacency: str, split: dict[str, Any]) -> None:
    ready = audited(name, where, adjacency, allocation="optimal" if split else "uniform", **split)
    promise = promise_of(ready, ONCE)
    assert promise is not None
    exact = closed_form.epsilon(promise.dominant, DELTA)
    assert exact <= promise.eps

    def attack(running: Any) -> tuple[float, float]:
        seen = evidence(running)
        tp, fp = counts(seen, level=exact)
        bound = eps_lower_bound(tp, DRAWS, fp, DRAWS, DELTA, CERTAIN)
        tp, fp = counts(seen)
        return bound, mu_estimate(tp, DRAWS, fp, DRAWS)

    bound, mu = attack(ready)
    assert 0.8 * exact < bound <= exact
    assert mu == pytest.approx(1 / ready.scale, rel=0.03)
    assert attack(louder(ready, 2 / 3))[0] > promise.eps
    for factor in (2 / 3, 3 / 2):
        assert attack(louder(ready, factor))[1] != pytest.approx(1 / ready.scale, rel=0.2)


@pytest.mark.parametrize("split", SPLITS, ids=["together", "per block"])
@pytest.mark.parametrize(("where", "adjacency"), PLACES)
def test_laplace_noise(where: str, adjacency: str, split: dict[str, Any]) -> None:
    ready = audited("laplace", where, adjacency, **split)
    pure = 1 / ready.scale

    def attack(running: Any) -> float:
        tp, fp = counts(evidence(running))
        return eps_lower_bound(tp, DRAWS, fp, DRAWS, 0.0, CERTAIN)

    assert 0.9 * pure < attack(ready) <= pure
    assert attack(louder(ready, 2 / 3)) > 1.3 * pure
    assert attack(louder(ready, 3 / 2)) < 0.75 * pure


@pytest.mark.parametrize("draws", [500, pytest.param(40_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("adjacency", ["zero_out", "replace_one"])
def test_sum_and_count_of_an_adaptive_clip(adjacency: str, draws: int) -> None:
    both = adjacency == "replace_one"
    rule = AdaptiveClip(count_noise=0.8 if both else 0.4)
    clip = ClipSpec(1.5, adaptive=rule)
    ready = calibrated("gaussian", ONCE, ONE, clip, z=0.5, delta=DELTA, adjacency=adjacency)
    sigma, mu = ready.groups[0].noise, 1 / ready.scale

    def guesses(running: Any, rows: list[float], within: int, first: int) -> int:
        total = clipped_sum(np.array(rows).reshape(-1, 1), running, within)
        said = 0
        for release in range(first, first + draws):
            noisy = running.add_noise(total, KEY, release)
            vote = noisy.total[0] * 1.5 / sigma**2 + noisy.within * 0.5 / running.count_noise**2
            said += vote >= (0 if both else 1 / (2 * running.scale**2))
        return said

    def attack(running: Any) -> tuple[int, int]:
        # A client at its bound is within: it moves sum and count the same way.
        return (
            guesses(running, [1.5], 1, 0),
            guesses(running, [-9.0] if both else [], 0, draws),
        )

    promise = promise_of(ready, ONCE)
    assert promise is not None
    tp, fp = attack(ready)
    assert eps_lower_bound(tp, draws, fp, draws, DELTA, CERTAIN) <= promise.eps
    close = 0.03 * math.sqrt(40_000 / draws)
    assert mu_estimate(tp, draws, fp, draws) == pytest.approx(mu, rel=close)
    tp, fp = attack(dataclasses.replace(ready, count_noise=0.5 * ready.count_noise))
    assert mu_estimate(tp, draws, fp, draws) != pytest.approx(mu, rel=close)


def test_the_papers_claim_is_refuted_and_its_true_value_is_not() -> None:
    clip = ClipSpec(1.0)
    asked = {"eps": None, "delta": 1e-5, "adjacency": "replace_one", "where": "client"}
    ready = calibrated("paper-gaussian1", ONCE, WIDE, clip, eps_per_round=1.0, **asked)
    claim = ready.paper_claim(ONCE)
    tp, fp = counts(evidence(ready))
    bound = eps_lower_bound(tp, DRAWS, fp, DRAWS, claim.delta, CERTAIN)
    assert claim.eps_per_round == 1.0 and bound > 9
    assert bound <= claim.true_eps_per_round


def test_releases_one_after_the_other_have_noise_of_their_own() -> None:
    # As above, but by 2000 releases of one parameter: draws must be new in every one.
    ready = audited("gaussian", "server", "zero_out", layout=ONE)
    total = clipped_sum(np.array([[9.0]]), ready)
    seen = np.array([ready.add_noise(total, KEY, r).total[0] for r in range(2000)])
    noise = (seen - 1.5) / ready.groups[0].noise
    assert stats.kstest(noise, stats.norm.cdf).pvalue > 1e-6
    for wrong in (2 / 3, 3 / 2):
        assert stats.kstest(noise * wrong, stats.norm.cdf).pvalue < 1e-6
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(noise[lag:], noise[:-lag])[0, 1]) < 5 / math.sqrt(2000)
