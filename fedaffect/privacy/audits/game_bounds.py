"""Lower bounds on epsilon from games against a mechanism, all of them paid for together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.audits.bounds import (
    clopper_pearson_eps,
    gdp_eps,
    gdp_lower_bound,
    hockey_stick_eps,
)
from fedaffect.privacy.audits.releases import Game

BINS = 64  # of a histogram of log likelihood ratios
NOT_NORMAL = 1e-6  # p value below which draws are not taken as Gaussian


@dataclass(frozen=True)
class GameBound:
    """What one game shows.

    Args:
        game: What was played.
        lower: Lower bound on eps at 95 %, over all games together (Bonferroni).
        lower_gate: The same at the confidence of the gate.
        best_possible: Largest ``lower`` that so many trials could show.
        mu: Estimate of mu; ``None`` without Gaussian noise.
        mu_low: Lower bound of mu at 95 %, over all games together.
    """

    game: Game
    lower: float
    lower_gate: float
    best_possible: float
    mu: float | None
    mu_low: float | None


def game_bounds(games: Sequence[Game], delta: float, gate: float) -> list[GameBound]:
    """Return what each game shows.

    The bound is that of a hockey-stick divergence, which assumes nothing. Where the noise is meant
    to be Gaussian and its log likelihood ratios are normal, it is the larger of that and of eps at
    the lower bound of mu, which reaches any eps. Sums of Laplace noise look normal too, but their
    tails are not: a bound by mu would refute what is true.

    Args:
        games: What was played.
        delta: Delta of the claim.
        gate: Confidence of the gate.
    """
    each = [1 - (1 - confidence) / (2 * len(games)) for confidence in (0.95, gate)]
    return [_bound(game, delta, each) for game in games]


def _bound(game: Game, delta: float, each: Sequence[float]) -> GameBound:
    lowers = [hockey_stick_eps(game.inside, game.outside, delta, c, BINS) for c in each]
    half = len(game.inside) // 2
    best = clopper_pearson_eps(half, half, 0, half, delta, each[0])
    mu = mu_of(game)
    mu_lows = [0.0, 0.0]
    if mu is not None:
        n, m = len(game.inside), len(game.outside)
        tp, fp = int((game.inside > 0).sum()), int((game.outside > 0).sum())
        mu_lows = [gdp_lower_bound(tp, n, fp, m, c) for c in each]
        if delta > 0:
            assumed = [gdp_eps(low, delta) for low in mu_lows]
            lowers = [max(pair) for pair in zip(lowers, assumed, strict=True)]
            best = max(best, gdp_eps(gdp_lower_bound(n, n, 0, m, each[0]), delta))
    return GameBound(game, lowers[0], lowers[1], best, mu, mu_lows[0] if mu is not None else None)


def mu_of(game: Game) -> float | None:
    """Return mu of Gaussian noise; ``None`` where the ratios are not normal with one deviation.

    With Gaussian noise they have means ``+-mu^2 / 2`` and deviation ``mu``, times one factor where
    the attacker takes the noise for larger than it is.
    """
    from scipy.stats import kstest

    if not game.gaussian or game.rate < 1:
        return None
    deviations = [float(side.std(ddof=1)) for side in (game.inside, game.outside)]
    if min(deviations) <= 0 or max(deviations) > 1.1 * min(deviations):
        return None
    for side, deviation in zip((game.inside, game.outside), deviations, strict=True):
        if kstest((side - side.mean()) / deviation, "norm").pvalue < NOT_NORMAL:
            return None
    spread = math.hypot(*deviations) / math.sqrt(2)
    return float(np.mean(game.inside) - np.mean(game.outside)) / spread
