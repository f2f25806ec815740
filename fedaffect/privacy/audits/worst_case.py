"""Neighbouring inputs as bad as the clip lets them be, through a mechanism's own clip and noise.

An attacker who knows everything but whether one unit is in the sum applies the likelihood ratio
test, which is the best there is (Neyman & Pearson 1933). Shapes: N trials, B blocks, W coordinates
of a block, K coordinates of a pair.

A release of a wide mechanism is W trials at once: clip norms, and the noise on a coordinate, do not
depend on the number of coordinates, and the noise on different coordinates is independent. So the
mechanism is audited with its own clips and noise on blocks that are W wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from fedaffect.params import Layout
from fedaffect.privacy.audits.releases import (
    DIGITS,
    Game,
    log_density,
    noise_scales,
    noiser,
    told_apart,
)
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.blocks import BlockPlan
from fedaffect.privacy.clipping import clip
from fedaffect.privacy.mechanisms.adaptive import AdaptiveGaussian
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.rng import generator

Noised = TypeVar("Noised", bound=NoisedSum)
TOGETHER = "all blocks together"
LONG = 1e6  # an update, in clip norms, before it is clipped


@dataclass(frozen=True)
class _Pair:
    """Neighbours that differ in the K coordinates of a trial.

    Args:
        name: What they are.
        places: Released coordinates of each trial, (N, K).
        present: Clipped contribution there with the unit, (K,).
        other: The same with its replacement; zero where it is left out.
    """

    name: str
    places: np.ndarray
    present: np.ndarray
    other: np.ndarray


def widened(mechanism: Noised, width: int, *, clear: bool) -> Noised:
    """Return ``mechanism`` with each of its released blocks ``width`` coordinates wide.

    Args:
        mechanism: The calibrated mechanism; class, clips and noise stay its own.
        width: Number W.
        clear: Whether to keep blocks that leave without noise: what is claimed to be private is.
    """
    old = mechanism.blocks
    wanted = old.named("noise", "clear") if clear else old.named("noise")
    names = tuple(b for b in wanted if old.layout.block_sizes[b])
    policies = tuple((b, policy) for b, policy in old.policies if b in names)
    layout = Layout(names, tuple((width,) for _ in names), {b: (b,) for b in names})
    own = [(group, tuple(b for b in group.blocks if b in names)) for group in mechanism.groups]
    groups = tuple(replace(g, blocks=bs, parameters=width * len(bs)) for g, bs in own if bs)
    return replace(mechanism, plan_of_blocks=BlockPlan(layout, policies), groups=groups)


def games(wide: NoisedSum, releases: int, rate: float, seed: int) -> list[Game]:
    """Return a game for each block alone, and one for all blocks together.

    In the second the unit moves two coordinates of every block, neighbours with opposite signs;
    and contributions change their sign from release to release. Noise that is used twice, in a
    block, in two blocks or in two releases, would cancel.

    Args:
        wide: The calibrated mechanism, its blocks W wide.
        releases: Releases T in a trial.
        rate: Probability with which the unit is in a release, by a coin that nobody sees.
        seed: Seed of noise and coins.
    """
    names = wide.blocks.layout.names
    place = {block: wide.blocks.place(block) for block in names}
    even = {block: at[: len(at) // 2 * 2].reshape(-1, 2) for block, at in place.items()}
    alone = [_pair(wide, f"block {block}", place[block][:, None]) for block in names]
    together = [_pair(wide, TOGETHER, np.hstack([even[b] for b in names]))]
    return [
        game
        for name, pairs in (("alone", alone), ("together", together))
        for game in _play(wide, pairs, releases, rate, f"{seed}, {releases} releases, {name}")
    ]


def whole_vector(mechanism: NoisedSum, trials: int, seed: int) -> Game:
    """Return the game of one release in which the unit moves every coordinate, on the real blocks.

    It is the worst case where the norm of the clip lets a spread-out vector go further in the norm
    of the noise: an L2 clip under Laplace noise, a cube under Gaussian noise.
    """
    noised = [block for group in mechanism.groups for block in group.blocks]
    everything = np.concatenate([mechanism.blocks.place(block) for block in noised])
    pair = _pair(mechanism, "the whole vector", everything[None, :])
    sums = np.zeros((2, len(mechanism.blocks.released)))
    sums[:, everything] = pair.present, pair.other
    return told_apart(mechanism, pair.name, sums[0], sums[1], trials, f"{seed}, vector")


def sum_and_count(narrow: AdaptiveGaussian, trials: int, seed: int) -> Game:
    """Return the game of one release of a sum and of the count of clients within the clip.

    A client at its bound is within; its replacement is the opposite, clipped from further out.

    Args:
        narrow: The calibrated mechanism, its blocks one coordinate wide.
        trials: Number N.
        seed: Seed of the noise.
    """
    places = np.arange(len(narrow.blocks.released))
    pair = _pair(narrow, "sum and count", places[None, :])
    scale, both = noise_scales(narrow)[places], narrow.spec.adjacency == "replace_one"
    votes = (0.5, -0.5 if both else 0.0)
    found = []
    for contribution, vote in zip((pair.present, pair.other), votes, strict=True):
        key = TestNoiseKey(f"audit {seed}, count {vote}")
        alone = ClippedSum(contribution, 1, narrow.bounds, narrow.norm, vote + 0.5)
        ratios = np.zeros(trials)
        for trial in range(trials):
            noisy = narrow.add_noise(alone, key, trial)
            assert noisy.within is not None  # an adaptive clip counts
            ratios[trial] = log_density(noisy.total, pair.present, "gaussian", scale).sum()
            ratios[trial] -= log_density(noisy.total, pair.other, "gaussian", scale).sum()
            ratios[trial] += _vote_ratio(noisy.within, votes, narrow.count_noise)
        found.append(ratios)
    return Game(pair.name, 1, found[0], found[1], 1.0, gaussian=True)


def _pair(mechanism: NoisedSum, name: str, places: np.ndarray) -> _Pair:
    """Return the neighbours whose long updates in ``places`` (N, K) differ in sign.

    Of the first, middle and last trial the one is taken that the clip lets go furthest.
    """
    slot = np.arange(places.shape[1])
    signs = (-1.0) ** (slot + slot // 2)  # (K,): + - - + + - - +, two slots a block
    longest = LONG * max(group.clip for group in mechanism.groups)
    start = np.zeros(mechanism.blocks.layout.size)
    present = np.zeros(len(signs))
    for row in {0, len(places) // 2, len(places) - 1}:
        update = start.copy()
        update[mechanism.blocks.released[places[row]]] = longest * signs
        clipped = _clipped(mechanism, update, start)[places[row]]
        present = max(present, clipped, key=lambda c: float(np.abs(c).sum()))
    both = mechanism.spec.adjacency == "replace_one"
    return _Pair(name, places, present, -present if both else 0 * present)


def _clipped(mechanism: NoisedSum, update: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the contribution (r,) of a client, or in per-window steps of one window."""
    if mechanism.noise_at != "steps":
        return mechanism.on_client(update, start)
    return clip(update[mechanism.blocks.released], mechanism.groups[0].clip, "l2")


def _play(
    mechanism: NoisedSum, pairs: Sequence[_Pair], releases: int, rate: float, text: str
) -> list[Game]:
    """Return a game a pair; pairs differ in different coordinates and share the releases."""
    sides = [
        _ratios(mechanism, pairs, [getattr(p, side) for p in pairs], releases, rate, text + side)
        for side in ("present", "other")
    ]
    gaussian = mechanism.noise == "gaussian"
    return [
        Game(p.name, releases, a, b, rate, gaussian) for p, a, b in zip(pairs, *sides, strict=True)
    ]


def _ratios(
    mechanism: NoisedSum,
    pairs: Sequence[_Pair],
    truth: Sequence[np.ndarray],
    releases: int,
    rate: float,
    text: str,
) -> list[np.ndarray]:
    """Return the log likelihood ratios (N,) of each pair where contributions are ``truth``."""
    ratios = [np.zeros(len(pair.places)) for pair in pairs]
    coins, scales = generator(0, "audit", text), noise_scales(mechanism)
    draw = noiser(mechanism, TestNoiseKey(f"audit {text}"))
    for release in range(releases):
        sign = (-1.0) ** release
        total = np.zeros(len(mechanism.blocks.released))
        for pair, own in zip(pairs, truth, strict=True):
            joined = coins.random(len(pair.places)) < rate if rate < 1 else np.ones(1, dtype=bool)
            total[pair.places] = sign * joined[:, None] * own
        seen = draw(total, release + 1)
        for pair, ratio in zip(pairs, ratios, strict=True):
            at = pair.places
            for hypothesis, side in ((pair.present, 1), (pair.other, -1)):
                density = log_density(seen[at], sign * hypothesis, mechanism.noise, scales[at])
                ratio += side * _mixed(density.sum(axis=1), rate)
    return [np.round(ratio, DIGITS) for ratio in ratios]


def _mixed(log_ratio: np.ndarray, rate: float) -> np.ndarray:
    """Return log(1 - q + q e^ratio): the unit was in the release with probability q."""
    if rate == 1:
        return log_ratio
    mixed: np.ndarray = np.logaddexp(np.log1p(-rate), np.log(rate) + log_ratio)
    return mixed


def _vote_ratio(seen: float, votes: tuple[float, float], noise: float) -> float:
    """Return the log likelihood ratio of a noised count between two votes."""
    present, other = votes
    return (seen - (present + other) / 2) * (present - other) / noise**2
