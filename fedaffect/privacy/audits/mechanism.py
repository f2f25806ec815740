"""Monte-Carlo audit of the calibrated mechanism itself, on its worst case.

Nothing of the run's data is used: the code that clipped and noised the releases is run again on
inputs that are as bad as the clip allows, with noise of a test key, and charges nothing. It finds
noise that is too small, used twice or missing from a block, and a clip that does not bind.

Source: Z. Ding, Y. Wang, G. Wang, D. Zhang, D. Kifer, "Detecting Violations of Differential
Privacy", CCS 2018 (sampling a mechanism on neighbours); the bounds are those of ``bounds``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from fedaffect.audit_record import AttackResult, Threat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.audits.claims import claim_of
from fedaffect.privacy.audits.games_found import GamesFound
from fedaffect.privacy.audits.releases import Game
from fedaffect.privacy.audits.worst_case import games, sum_and_count, whole_vector, widened
from fedaffect.privacy.base import Event
from fedaffect.privacy.groups import norm_ratio
from fedaffect.privacy.mechanisms.adaptive import AdaptiveGaussian
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.record import Estimate
from fedaffect.rng import stream_key

WIDEST, NARROWEST = 100_000, 10_000  # coordinates of a block


@dataclass(frozen=True)
class MechanismAudit:
    """Draws of clip and noise for two neighbours, told apart by the likelihood ratio test.

    Args:
        draws: Most coordinates that the games noise, over all their releases.
        calls: Releases of a game in which a release is one trial only.
    """

    id: ClassVar[str] = "e1"
    name: ClassVar[str] = "mechanism"
    threat: ClassVar[Threat] = "code"
    full: ClassVar[bool] = False

    draws: int = 40_000_000
    calls: int = 2_000

    def run(self, evidence: Evidence) -> AttackResult:
        """Bound eps of the run and of one release from below, beside what is claimed."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Monte-Carlo audit of the mechanism",
            family="bound",
            threat=self.threat,
            knowledge="Everything but whether the unit is in: the mechanism's worst case.",
            metric="epsilon, lower bound at 95 %",
        )
        mechanism = evidence.mechanism
        if not isinstance(mechanism, NoisedSum) or not mechanism.groups:
            why = "no noise is added, so there is none to audit"
            return blank.model_copy(update={"status": "not_run", "reason": why})
        event = _event(evidence, mechanism)
        found = GamesFound.of(evidence, mechanism, event, self._play(evidence, mechanism, event))
        trials = len(found.best.game.inside)
        return blank.model_copy(
            update={
                "figure": Estimate(
                    value=found.bound.lower, chance=0.0, note="lower bound, over draws of noise"
                ),
                "rows": found.rows,
                "roc": found.roc,
                "tpr_at_fpr": found.rates,
                "n_members": trials,
                "n_nonmembers": trials,
                "bound": found.bound,
                "finding": found.finding,
                "notes": found.notes,
                "seconds": time.perf_counter() - started,
            }
        )

    def _play(self, evidence: Evidence, mechanism: NoisedSum, event: Event) -> list[Game]:
        """Play one release, and as many together as one unit lives through."""
        claimed = claim_of(evidence) is not None
        seed = stream_key(evidence.seed, "audit", self.name)
        blocks = len(widened(mechanism, 2, clear=claimed).blocks.layout.names)
        room = self.draws // (4 * blocks)  # two kinds of games, each with two neighbours
        width = min(WIDEST, max(NARROWEST, room // event.releases))
        wide = widened(mechanism, width, clear=claimed)
        played = games(wide, 1, 1.0, seed)
        if event.releases > 1 or event.rate < 1:
            played += games(wide, max(1, min(event.releases, room // width)), event.rate, seed)
        if norm_ratio(mechanism.norm, mechanism.noise, 4) > 1 and mechanism.noise_at != "steps":
            vectors = self.draws // (4 * len(mechanism.blocks.released))
            played.append(whole_vector(mechanism, max(2, min(self.calls, vectors)), seed))
        if isinstance(mechanism, AdaptiveGaussian):
            played.append(sum_and_count(widened(mechanism, 1, clear=False), self.calls, seed))
        return played


def _event(evidence: Evidence, mechanism: NoisedSum) -> Event:
    """Return what one unit lives through; of several kinds of units the one that pays most.

    Draws of clients amplify nothing for the strongest observer, who knows who takes part.
    """
    event = max(mechanism.events(evidence.plan), key=lambda e: e.rate**2 * e.releases)
    return event if mechanism.noise_at == "steps" else replace(event, rate=1.0)
