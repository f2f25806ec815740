"""What the games of a mechanism audit say of the claim, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedaffect.audit_record import AttackRow, EpsBound, RocPoint
from fedaffect.errors import UsageError
from fedaffect.privacy.accountants import accountant
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.statistics import clopper_pearson, roc, tpr_at
from fedaffect.privacy.audits.bounds import gdp_eps
from fedaffect.privacy.audits.claims import bound_terms, claim_of, verdict
from fedaffect.privacy.audits.game_bounds import GameBound, game_bounds
from fedaffect.privacy.audits.releases import Game
from fedaffect.privacy.audits.worst_case import TOGETHER
from fedaffect.privacy.base import Event
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.mechanisms.paper import PaperClaim, PaperMode
from fedaffect.privacy.promise import Promise, protects
from fedaffect.privacy.wording import times
from fedaffect.record import Estimate

SHOWN_FPRS = (1e-1, 1e-2, 1e-3, 1e-4)
ROUNDING = 1e-3  # relative, between an accountant and the statement


@dataclass(frozen=True)
class GamesFound:
    """The bounds of all games, and what follows.

    Args:
        found: What each game shows.
        event: What one unit lives through.
        terms: The run's claim, without a bound yet.
        gate: Confidence of the gate.
        one_release: Eps of one release with the noise that keeps the claim; without a claim, with
            the mechanism's own. ``None`` without a finite one.
        accounted: Eps of the run with the mechanism's own noise, by the accountant; ``None``
            without a finite one.
        paper: The paper's claim, in its modes.
    """

    found: Sequence[GameBound]
    event: Event
    terms: EpsBound
    gate: float
    one_release: float | None
    accounted: float | None
    paper: PaperClaim | None

    @classmethod
    def of(
        cls, evidence: Evidence, mechanism: NoisedSum, event: Event, games: Sequence[Game]
    ) -> GamesFound:
        """Compute the bounds of ``games`` on ``mechanism``."""
        claim = claim_of(evidence)
        terms = bound_terms(evidence, claim)
        paper = None
        if isinstance(mechanism, PaperMode):
            paper = mechanism.paper_claim(evidence.plan)
        if claim is None and paper is not None:
            terms = terms.model_copy(update={"claimed": paper.true_eps_total})
        delta = terms.delta
        accounted = _accounted(evidence, mechanism, delta)
        scale = event.scale
        if terms.claimed is not None and not _agree(accounted, terms.claimed):
            scale = _scale_of_claim(mechanism, event, terms.claimed, delta)
        once = replace(event, releases=1, rate=1.0, scale=scale)
        known = scale > 0 and delta > 0
        return cls(
            game_bounds(games, delta, evidence.gate_confidence),
            event,
            terms,
            evidence.gate_confidence,
            accountant(mechanism.method, once).epsilon(once, delta) if known else None,
            accounted,
            paper,
        )

    @property
    def best(self) -> GameBound:
        """What the game with the largest bound on the run shows."""
        return max(self._run, key=lambda f: f.lower)

    @property
    def bound(self) -> EpsBound:
        """The bound of the run; that of one release where it alone refutes what it should cost."""
        once = self._of(self._once, {"claimed": self.one_release, "horizon": "one release"})
        run = self._of(self._run, {})
        if run.claimed is None or _refuted(run) or not _refuted(once):
            return run
        return once

    @property
    def _once(self) -> list[GameBound]:
        """One release that the unit is surely in."""
        return [f for f in self.found if f.game.releases == 1 and f.game.rate == 1]

    @property
    def _run(self) -> list[GameBound]:
        """What bounds the run; where draws amplify, not a release that the unit is surely in."""
        return [f for f in self.found if f.game.rate == self.event.rate]

    def _of(self, found: Sequence[GameBound], terms: dict[str, object]) -> EpsBound:
        """Return the largest of the bounds ``found``, with the mu of all blocks together."""
        whole = [f for f in found if f.game.name == TOGETHER]
        lived = self.event.releases if not terms else 1
        exact = [f for f in whole if f.game.releases == lived and self.event.rate == 1]
        mu = exact[-1].mu if exact else None
        best = max(found, key=lambda f: f.lower)
        return self.terms.model_copy(
            update={
                "lower": best.lower,
                "lower_gate": max(f.lower_gate for f in found),
                "gate_confidence": self.gate,
                "best_possible": max(f.best_possible for f in found),
                "mu": mu,
                "mu_low": exact[-1].mu_low if exact else None,
                "estimate": gdp_eps(mu, self.terms.delta) if mu and self.terms.delta > 0 else None,
                **terms,
            }
        )

    @property
    def rows(self) -> tuple[AttackRow, ...]:
        """One line a game, and the accountant's eps beside them."""
        rows = [_row(f) for f in self.found]
        for where, eps in (("one release", self.one_release), ("the run", self.accounted)):
            if eps is not None:
                rows.append(
                    AttackRow(
                        name="accountant",
                        where=where,
                        metric="epsilon, upper bound",
                        figure=Estimate(value=eps),
                        role="baseline",
                    )
                )
        return tuple(rows)

    @property
    def roc(self) -> tuple[RocPoint, ...]:
        """The ROC of the best game, from one over its trials, on a logarithmic grid."""
        game = self.best.game
        false, true = roc(game.inside, game.outside)
        grid = np.geomspace(1 / len(game.outside), 1.0, 40)
        at = np.searchsorted(false, grid, side="right") - 1
        return tuple(
            RocPoint(fpr=float(f), tpr=float(true[i])) for f, i in zip(grid, at, strict=True)
        )

    @property
    def rates(self) -> dict[str, Estimate]:
        """TPR of the best game at the FPRs that its trials resolve."""
        game, found = self.best.game, {}
        for fpr in SHOWN_FPRS:
            if (tpr := tpr_at(game.inside, game.outside, fpr)) is not None:
                low, high = clopper_pearson(round(tpr * len(game.inside)), len(game.inside))
                found[f"{fpr:g}"] = Estimate(value=tpr, low=low, high=high, chance=fpr)
        return found

    @property
    def finding(self) -> str:
        """What was found, in a sentence or two."""
        bound, paper = self.bound, self.paper
        said = verdict(bound)
        said = said[0].upper() + said[1:]
        if bound.horizon == "one release":
            said = f"One release: {said[0].lower()}{said[1:]}"
        if self._more_than_claimed:
            said += (
                f" The accountant itself gives eps {self.accounted:.2f} for the noise that this "
                "mechanism has: more than is claimed."
            )
        if paper is not None and paper.eps_per_round is not None:
            once = max(f.lower for f in self._once)
            if once > paper.eps_per_round:
                said = (
                    f"The paper's claim of eps {paper.eps_per_round:g} a round is refuted: one "
                    f"release alone shows at least {once:.2f}. {said}"
                )
        return said

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the bound needs."""
        composed = max(f.game.releases for f in self.found)
        notes = [
            "Trials are draws of noise from a test key; nobody's data is used and nothing charged.",
            f"With every trial told right the bound would be {self.bound.best_possible:.2f}: a "
            "larger eps cannot be shown by so many trials.",
            f"The largest bound of {times(len(self.found), 'game')} is shown, all of them paid for "
            "(Bonferroni).",
            "Likelihood ratios are rounded to nine digits: leaks through the rounding of float64 "
            "are outside the promise and this audit.",
        ]
        if composed < self.event.releases:
            notes.append(
                f"{composed} of {self.event.releases} releases were composed: a bound on fewer "
                "releases holds for all."
            )
        if any(f.mu is not None for f in self.found):
            notes.append(
                "Where the draws are normal (Kolmogorov-Smirnov), bounds on eps go by mu: they "
                "assume a Gaussian trade-off curve."
            )
        return tuple(notes)

    @property
    def _more_than_claimed(self) -> bool:
        claimed = self.terms.claimed
        if claimed is None or self.accounted is None:
            return False
        return not _agree(self.accounted, claimed)


def _row(found: GameBound) -> AttackRow:
    releases = found.game.releases
    mu = "" if found.mu is None else f", mu {found.mu:.3f}"
    return AttackRow(
        name=found.game.name,
        where=("one release" if releases == 1 else f"{releases} releases")
        + (f", in each with probability {found.game.rate:.3g}" if found.game.rate < 1 else ""),
        metric="epsilon, lower bound at 95 %",
        figure=Estimate(
            value=found.lower,
            chance=0.0,
            note=f"{len(found.game.inside):,} trials with the unit{mu}",
        ),
    )


def _refuted(bound: EpsBound) -> bool:
    assert bound.lower_gate is not None  # every game has one
    return bound.claimed is not None and bound.lower_gate > bound.claimed


def _accounted(evidence: Evidence, mechanism: NoisedSum, delta: float) -> float | None:
    """Return eps of the run without amplification by drawn clients, by the accountant."""
    if not protects(mechanism) or mechanism.scale <= 0 or delta <= 0:
        return None
    promise = Promise(mechanism.events(evidence.plan), delta, mechanism.method)
    return promise.eps_of_participants if mechanism.noise_at == "server" else promise.eps


def _agree(accounted: float | None, claimed: float) -> bool:
    """Return whether the accountant finds no more than is claimed."""
    return accounted is not None and accounted <= claimed * (1 + ROUNDING)


def _scale_of_claim(mechanism: NoisedSum, event: Event, claimed: float, delta: float) -> float:
    """Return the smallest noise / sensitivity that keeps the claim; 0 where none is known."""
    try:
        return accountant(mechanism.method, event).scale(event, claimed, delta)
    except UsageError:  # E222: out of reach of the accountant
        return 0.0
