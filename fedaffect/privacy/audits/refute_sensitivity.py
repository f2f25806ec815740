"""Whether a claimed sensitivity is true: change one window of a client and look.

The paper (M. Benouis, Y. S. Can, E. André, section IV) counts Df = 2C / |D_i| for one record of an
update that is clipped as a whole. One record moves every later step of local training, so the
clipped update can move by up to 2C. Here one window of a client is replaced, the client is trained
again, and an attacker tells the two noised updates apart.

Per-window steps clip the gradient of every window by itself: there one window moves a step's sum by
no more than is claimed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fedaffect.audit_record import AttackResult, AttackRow, EpsBound, Threat
from fedaffect.privacy.accountants import accountant
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.audits.bounds import clopper_pearson_eps
from fedaffect.privacy.audits.claims import bound_terms, claim_of
from fedaffect.privacy.audits.one_window import (
    Change,
    Sensitivity,
    cannot_replace,
    changes,
    sensitivity_of,
)
from fedaffect.privacy.audits.releases import told_apart
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.mechanisms.paper import PaperMode
from fedaffect.record import Estimate
from fedaffect.rng import stream_key


@dataclass(frozen=True)
class RefuteSensitivity:
    """Replaces one window of a client, and tells the two noised contributions apart.

    Args:
        natural: Ordinary windows that are tried; one outlier comes on top.
        trials: Noised contributions of each of the two neighbours.
    """

    id: ClassVar[str] = "r1"
    name: ClassVar[str] = "refute-sensitivity"
    threat: ClassVar[Threat] = "code"
    full: ClassVar[bool] = True

    natural: int = 4
    trials: int = 2000

    def run(self, evidence: Evidence) -> AttackResult:
        """Compare the measured change with the claimed sensitivity, and bound eps of a release."""
        started = time.perf_counter()
        blank = AttackResult(
            id=self.id,
            name=self.name,
            title="Is the claimed sensitivity true?",
            family="bound",
            threat=self.threat,
            knowledge="All windows of a client but one, and the model that it started from.",
            metric="measured change / claimed sensitivity (1: as claimed)",
        )
        mechanism = evidence.mechanism
        if not isinstance(mechanism, NoisedSum) or not mechanism.groups:
            why = "nothing is clipped and noised, so no sensitivity is claimed"
            return blank.model_copy(update={"status": "not_run", "reason": why})
        if why := cannot_replace(evidence):
            return blank.model_copy(update={"status": "not_run", "reason": why})
        seed = stream_key(evidence.seed, "audit", self.name)
        claimed = sensitivity_of(mechanism)
        measured = changes(evidence, mechanism, self.natural, seed)
        worst = max(measured, key=lambda change: change.size)
        bound, eps = self._bound(evidence, mechanism, worst, seed)
        return blank.model_copy(
            update={
                "figure": Estimate(
                    value=worst.size / claimed.claimed, chance=0.0, note=f"by {worst.name}"
                ),
                "rows": _rows(measured, claimed, bound, eps),
                "n_members": self.trials,
                "n_nonmembers": self.trials,
                "bound": bound,
                "finding": _finding(mechanism, worst, claimed, bound, eps),
                "notes": _notes(mechanism, self.trials),
                "seconds": time.perf_counter() - started,
            }
        )

    def _bound(
        self, evidence: Evidence, mechanism: NoisedSum, worst: Change, seed: int
    ) -> tuple[EpsBound, float | None]:
        """Return the bound on eps of one release, and the eps of a release that is claimed."""
        game = told_apart(mechanism, worst.name, worst.before, worst.after, self.trials, f"{seed}")
        tp, fp = int((game.inside > 0).sum()), int((game.outside > 0).sum())
        terms = bound_terms(evidence, claim_of(evidence))
        delta, n = terms.delta, self.trials
        true, claimed = _one_release(evidence, mechanism, delta)
        bound = terms.model_copy(
            update={
                "lower": clopper_pearson_eps(tp, n, fp, n, delta),
                "best_possible": clopper_pearson_eps(n, n, 0, n, delta),
                "claimed": true,
                "unit": "window",
                "adjacency": "replace_one",
                "horizon": "one release",
            }
        )
        return bound, claimed


def _one_release(
    evidence: Evidence, mechanism: NoisedSum, delta: float
) -> tuple[float | None, float | None]:
    """Return what one release with one window replaced is worth, and what is claimed for it."""
    event = mechanism.events(evidence.plan)[0]
    scale = event.scale * mechanism.spec.reach / 2
    once = replace(event, releases=1, rate=1.0, scale=scale, adjacency="replace_one")
    true = accountant(mechanism.method, once).epsilon(once, delta) if scale and delta else None
    paper = mechanism.paper_claim(evidence.plan) if isinstance(mechanism, PaperMode) else None
    return true, true if paper is None else paper.eps_per_round


def _rows(
    measured: Sequence[Change], claimed: Sensitivity, bound: EpsBound, eps: float | None
) -> tuple[AttackRow, ...]:
    metric = f"change of the clipped contribution ({claimed.norm})"
    known = {
        f"claimed sensitivity {claimed.formula}": claimed.claimed,
        f"2C over the {measured[0].windows} windows of this client": claimed.true
        / measured[0].windows,
        "what the clip bounds": claimed.true,
        "length of the update before the clip": measured[0].length,
    }
    rows = [AttackRow(name=c.name, metric=metric, figure=Estimate(value=c.size)) for c in measured]
    rows += [
        AttackRow(name=name, metric=metric, figure=Estimate(value=value), role="baseline")
        for name, value in known.items()
    ]
    shown = Estimate(value=bound.lower, chance=0.0, note="95 % lower bound")
    rows.append(AttackRow(name="one noised release", metric="epsilon", figure=shown))
    if eps is not None:
        rows.append(
            AttackRow(
                name="claimed for one release",
                metric="epsilon",
                figure=Estimate(value=eps),
                role="baseline",
            )
        )
    return tuple(rows)


def _finding(
    mechanism: NoisedSum, worst: Change, claimed: Sensitivity, bound: EpsBound, eps: float | None
) -> str:
    moved = f"replacing one window moved the clipped contribution by {worst.size:.4g}"
    limit = f"the claimed {claimed.formula} = {claimed.claimed:.4g}"
    shown = f"one noised release shows eps of at least {bound.lower or 0:.2f} with 95 % confidence"
    if worst.size > claimed.claimed * (1 + 1e-6):
        found = f"The claimed sensitivity is refuted: {moved}, {limit}; {shown}"
        return f"{found}." if eps is None else f"{found}, where {eps:g} is claimed."
    inactive = ""
    if mechanism.noise_at != "steps" and worst.length < min(mechanism.bounds):
        inactive = (
            f" The update is only {worst.length:.4g} long: clipping is never active at this "
            "learning rate."
        )
    return (
        f"The claimed sensitivity is not contradicted: {moved}, within {limit}; {shown}.{inactive}"
    )


def _notes(mechanism: NoisedSum, trials: int) -> tuple[str, ...]:
    notes = [
        f"{trials} noised releases of each neighbour, told apart by the sign of the log likelihood "
        "ratio.",
        "The replaced window is a record, not a person: a person has many.",
    ]
    if isinstance(mechanism, PaperMode):
        notes.append("What refutes the paper's claim is a finding, not a failure of this run.")
    return tuple(notes)
