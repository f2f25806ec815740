"""Many short trainings with and without one worst-case client.

Papers: M. Jagielski, J. Ullman, A. Oprea, "Auditing Differentially Private Machine Learning: How
Private is Private SGD?", NeurIPS 2020; the tight variant, by mu, is that of M. Nasr et al., "Tight
Auditing of Differentially Private Machine Learning", USENIX Security 2023.

Departures: the trainings are short and have few clients, with the run's own mechanism; a bound on
fewer releases holds for all of them.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.privacy.accountants import accountant
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.attacks.statistics import auc
from fedaffect.privacy.audits.bounds import clopper_pearson_eps, gdp_eps
from fedaffect.privacy.audits.claims import bound_terms, claim_of, verdict
from fedaffect.privacy.audits.releases import noise_scales
from fedaffect.privacy.base import ClippedSum
from fedaffect.privacy.canaries import canaries_of, longest_along
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.record import Estimate
from fedaffect.rng import stream_key


@dataclass(frozen=True)
class MultiRunAudit:
    """Trains again and again with other noise, and looks for one client in the final model.

    Args:
        repetitions: Trainings with the client, and as many without.
        rounds: Rounds of a training.
        clients: Real clients of a training, those with the most windows.
    """

    id: ClassVar[str] = "e4"
    name: ClassVar[str] = "multi-run"
    threat: ClassVar[Threat] = "A"
    full: ClassVar[bool] = True

    repetitions: int = 100
    rounds: int = 2
    clients: int = 2

    def run(self, evidence: Evidence) -> AttackResult:
        """Bound eps from below by the final models alone."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Many trainings with and without one client",
            family="bound",
            threat=self.threat,
            knowledge="The final model, and all that everybody else sent; not whether one client "
            "with the longest contribution took part.",
            metric="epsilon, lower bound at 95 %",
        )
        mechanism = evidence.mechanism
        if why := _cannot_train(evidence):
            return blank.model_copy(update={"status": "not_run", "reason": why})
        assert isinstance(mechanism, NoisedSum)  # who else has groups
        rounds = min(self.rounds, evidence.plan.participations)
        present, absent = (
            np.array([self._score(evidence, mechanism, rounds, i, joins) for i in self._numbers])
            for joins in (True, False)
        )
        terms = bound_terms(evidence, claim_of(evidence))
        mu, low = _mu(present, absent) if mechanism.noise == "gaussian" else (None, None)
        half = len(present[1::2])
        bound = terms.model_copy(
            update={
                "lower": _lower(present, absent, terms.delta, 0.95),
                "lower_gate": _lower(present, absent, terms.delta, evidence.gate_confidence),
                "gate_confidence": evidence.gate_confidence,
                "best_possible": clopper_pearson_eps(half, half, 0, half, terms.delta),
                "mu": mu,
                "mu_low": low,
                "estimate": gdp_eps(mu, terms.delta) if mu and terms.delta > 0 else None,
            }
        )
        said = verdict(bound)
        return blank.model_copy(
            update={
                "figure": Estimate(
                    value=bound.lower, chance=0.0, note="lower bound, over trainings"
                ),
                "rows": self._rows(evidence, mechanism, rounds, present, absent, terms.delta),
                "n_members": len(present),
                "n_nonmembers": len(absent),
                "bound": bound,
                "finding": said[0].upper() + said[1:],
                "notes": (
                    f"Trainings of {rounds} rounds; the claim is for "
                    f"{evidence.plan.participations}: a bound on fewer releases holds for all.",
                    "Estimate and mu assume a Gaussian trade-off curve; neither is a bound.",
                    "Noise comes from test keys; nothing is charged.",
                ),
                "seconds": time.perf_counter() - started,
            }
        )

    @property
    def _numbers(self) -> range:
        return range(self.repetitions)

    def _score(
        self, evidence: Evidence, mechanism: NoisedSum, rounds: int, number: int, joins: bool
    ) -> float:
        """Return how clearly the client shows in the final model of one training."""
        seed = stream_key(evidence.seed, "audit", self.name)
        canaries = canaries_of(seed, 1, mechanism, rounds)
        assert canaries is not None
        longest = longest_along(canaries.direction(0), mechanism)  # (r,)
        key = TestNoiseKey(f"audit {seed}, {number}, {joins}")
        w, params = evidence.windows, evidence.initial.astype(np.float64)
        clients = np.bincount(w.client[w.train & (w.client >= 0)]).argsort()[::-1][: self.clients]
        released = mechanism.blocks.released
        for release in range(1, rounds + 1):
            rows = [longest * joins]
            for client in clients:
                windows = np.flatnonzero(w.train & (w.client == client))
                update = evidence.trainer.update(params, windows, release, {})
                rows.append(mechanism.on_client(update, params))
            total = _noised(mechanism, np.array(rows), key, release)
            params = params + mechanism.blocks.expand(total / len(rows))
        moved = (params - evidence.initial)[released]
        return float(moved @ (longest / noise_scales(mechanism) ** 2))

    def _rows(
        self,
        evidence: Evidence,
        mechanism: NoisedSum,
        rounds: int,
        present: np.ndarray,
        absent: np.ndarray,
        delta: float,
    ) -> tuple[AttackRow, ...]:
        ranked = auc(present, absent)
        rows = [
            AttackRow(name="one client", metric="AUC", figure=Estimate(value=ranked, chance=0.5))
        ]
        event = replace(mechanism.events(evidence.plan)[0], releases=rounds, rate=1.0)
        if event.scale > 0 and delta > 0:
            eps = accountant(mechanism.method, event).epsilon(event, delta)
            rows.append(
                AttackRow(
                    name="accountant",
                    where=f"{rounds} rounds",
                    metric="epsilon, upper bound",
                    figure=Estimate(value=eps),
                    role="baseline",
                )
            )
        return tuple(rows)


def _cannot_train(evidence: Evidence) -> str:
    """Return why such trainings say nothing about the run; empty where they do."""
    mechanism, w = evidence.mechanism, evidence.windows
    if not isinstance(mechanism, NoisedSum) or not mechanism.groups:
        return "no noise is added, so there is no bound to look for"
    if mechanism.noise_at == "steps":
        return "the unit is a window and noise is drawn in local steps: see the mechanism audit"
    if mechanism.spec.clip.target == "weights":
        return "clipped weights forget every round but the last: see the mechanism audit"
    return "" if (w.train & (w.client >= 0)).any() else "no client holds a training window"


def _noised(mechanism: NoisedSum, rows: np.ndarray, key: TestNoiseKey, release: int) -> np.ndarray:
    """Return the noised sum of the contributions ``rows`` (n, r), noised where the run noises."""
    bounds, norm = mechanism.bounds, mechanism.norm
    if mechanism.noise_at == "server":
        whole = ClippedSum(rows.sum(axis=0), len(rows), bounds, norm, within=len(rows))
        return mechanism.add_noise(whole, key, release).total
    total = np.zeros(rows.shape[1])
    for number, row in enumerate(rows):
        alone = ClippedSum(row, 1, bounds, norm)
        total += mechanism.add_noise(alone, key.client(number), release).total
    return total


def _lower(present: np.ndarray, absent: np.ndarray, delta: float, confidence: float) -> float:
    """Return the bound on eps of a threshold that every second training sets for the others."""
    threshold = (present[::2].mean() + absent[::2].mean()) / 2
    said = [int((scores[1::2] > threshold).sum()) for scores in (present, absent)]
    tested = len(present[1::2])
    return clopper_pearson_eps(said[0], tested, said[1], tested, delta, confidence)


def _mu(present: np.ndarray, absent: np.ndarray) -> tuple[float, float]:
    """Return mu of two Gaussians with one deviation, and its one-sided 95 % lower end.

    The error is that of a standardised difference of means (Hedges & Olkin 1985).
    """
    n, m = len(present), len(absent)
    spread = math.sqrt((present.var(ddof=1) + absent.var(ddof=1)) / 2)
    mu = float(present.mean() - absent.mean()) / spread if spread > 0 else 0.0
    error = math.sqrt(1 / n + 1 / m + mu**2 / (2 * (n + m - 2)))
    return mu, max(0.0, mu - 1.645 * error)
