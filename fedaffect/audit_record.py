"""What an audit leaves behind: one frozen result an attack, with a JSON round trip."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fedaffect.record import Estimate

AUDIT_VERSION = 1
Threat = Literal["A", "B", "C", "D", "code"]
THREATS: dict[str, str] = {
    "A": "whoever holds the global model or models",
    "B": "an honest but curious server: every upload of every round",
    "C": "whoever receives embeddings of windows",
    "D": "a malicious participant",
    "code": "nobody: the mechanism itself, on its worst case",
}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AttackRow(_Record):
    """One line of an attack's table: an attacker, a layer, a round.

    Args:
        name: What this line is, such as ``linear probe``.
        where: Where it was applied, such as a layer or a round; empty where that says nothing.
        metric: What the figure counts.
        figure: The figure with interval and chance level.
        role: ``attack`` counts for the headline; ``baseline`` is what it is compared with, such as
            the raw signal, the untrained net, or the model's own head.
    """

    name: str
    where: str = ""
    metric: str
    figure: Estimate
    role: Literal["attack", "baseline"] = "attack"


class RocPoint(_Record):
    """A point of a receiver operating characteristic, never below one over its negatives."""

    fpr: float
    tpr: float


class EpsBound(_Record):
    """What an audit says about the true epsilon, beside what is claimed.

    ``lower`` is a lower confidence bound, ``estimate`` a point estimate: the two are never merged.

    Args:
        lower: Lower bound on epsilon at ``confidence``; ``None`` where only an estimate exists.
        confidence: Confidence of ``lower``, such as 0.95.
        lower_gate: The same bound at the confidence of the gate (0.999, Bonferroni over gated
            tests); ``None`` where the result is not gated.
        gate_confidence: Confidence of ``lower_gate``.
        best_possible: Largest ``lower`` that this design could have shown.
        estimate: Point estimate of epsilon; ``None`` without one.
        mu: Point estimate of the Gaussian trade-off parameter; ``None`` without one.
        mu_low: 95 % lower bound of ``mu`` under the Gaussian assumption; ``None`` without one.
        claimed: Epsilon of the statement with the same unit, adjacency, observer and delta.
        delta: Delta of bound, estimate and claim.
        unit: Unit of privacy of all of them.
        adjacency: Adjacency of all of them.
        observer: Observer of all of them.
        horizon: ``run`` or ``one release``.
    """

    lower: float | None
    confidence: float
    lower_gate: float | None = None
    gate_confidence: float | None = None
    best_possible: float | None = None
    estimate: float | None = None
    mu: float | None = None
    mu_low: float | None = None
    claimed: float | None
    delta: float
    unit: str
    adjacency: str
    observer: str
    horizon: str


class AttackResult(_Record):
    """One attack: what the attacker knew, what it found, and what it could have found.

    Args:
        id: Code of the attack, such as ``c1``.
        name: Registered name, such as ``identity``.
        title: What it is, in words.
        family: Group of a report: identity, linkage, membership, inversion, attribute, bound.
        threat: Threat model, a key of ``THREATS``.
        knowledge: What the attacker knew or held, one sentence.
        status: ``done``; ``not_run`` where the run lacks what it needs; ``refused`` where it would
            measure something else than leakage; ``not_resolvable`` where too few people took part.
        reason: Why it is not ``done``, one sentence.
        metric: What ``figure`` counts.
        figure: The strongest figure of the attack with its interval over people and chance level.
        reference: The same figure against the non-private reference; ``None`` without one.
        smallest_effect: Smallest value of the metric that this design finds in 9 of 10 cases.
        rows: All attackers, layers and baselines.
        roc: Points for a log-log figure, ascending in FPR.
        n_members: Members, or attempts that should succeed.
        n_nonmembers: Non-members, or attempts that should fail; the smallest FPR is 1 over it.
        tpr_at_fpr: FPR as text to TPR with interval, for FPRs that can be resolved.
        bound: What it says about epsilon.
        finding: What it found, one sentence.
        notes: Sentences that a reader of the figure needs.
        seconds: What it cost.
    """

    id: str
    name: str
    title: str
    family: Literal["identity", "linkage", "membership", "inversion", "attribute", "bound"]
    threat: Threat
    knowledge: str
    status: Literal["done", "not_run", "refused", "not_resolvable"] = "done"
    reason: str = ""
    metric: str = ""
    figure: Estimate = Estimate(value=None, note="n/a")
    reference: Estimate | None = None
    smallest_effect: float | None = None
    rows: tuple[AttackRow, ...] = ()
    roc: tuple[RocPoint, ...] = ()
    n_members: int = 0
    n_nonmembers: int = 0
    tpr_at_fpr: dict[str, Estimate] = {}
    bound: EpsBound | None = None
    finding: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class Gate(_Record):
    """A condition that ends the audit with exit code 6 where it fails."""

    expression: str
    passed: bool
    detail: str


class AuditRecord(_Record):
    """A finished audit of one run: ``audit.json``.

    ``headline`` names the result to quote: the strongest attack on identity.
    """

    schema_version: int = AUDIT_VERSION
    kind: str = "audit"
    run_id: str
    version: str
    started: str
    seconds: float
    seed: int
    full: bool
    only: tuple[str, ...] = ()
    results: tuple[AttackResult, ...]
    gates: tuple[Gate, ...] = ()
    headline: str = ""
    notes: tuple[str, ...] = ()
    environment: dict[str, Any] = {}
